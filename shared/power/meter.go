// Package power holds what a power meter says and what follows from it: units, meters, samples, batches, and
// Between, the energy of one meter over an interval with its coverage and uncertainty (METHOD 6).
//
// The package is pure: no clock, no files, no goroutines, only the standard library.
package power

import "time"

// Quantity says what a meter's raw values are. It is declared by the source, never guessed from values.
type Quantity uint8

// The quantities of METHOD 6, in order of preference.
const (
	Counter Quantity = iota + 1 // energy since an arbitrary start
	Instant                     // power at the time of the reading
	Mean                        // power averaged over Meter.Averaging, ending at the reading
	Held                        // power that the device refreshes every Meter.Period and repeats in between (BMC, PDU)
)

// Scope says what part of a system a meter covers. Scopes are never added to each other.
type Scope string

// The scopes of METHOD 1 that carry a headline, and the component scopes that never do.
const (
	Accelerator Scope = "accelerator" // GPU and its memory
	Module      Scope = "module"      // GPU and its CPU, Grace-Blackwell style
	Node        Scope = "node"        // host input, at the PSU or BMC
	Rack        Scope = "rack"        // PDU or power-shelf input
	CPU         Scope = "cpu"         // a processor package; component
	Memory      Scope = "memory"      // DRAM or accelerator memory alone; component
	Component   Scope = "component"   // anything else inside a node; component
)

// Headline reports whether agents per megawatt may be given at this scope.
func (s Scope) Headline() bool {
	return s == Accelerator || s == Module || s == Node || s == Rack
}

// Origin says where a declared property of a meter comes from.
type Origin uint8

// Origins, from weakest to strongest.
const (
	Unknown       Origin = iota // nobody has said
	Assumed                     // our default
	Specification               // the vendor's or a standard's document
	Publication                 // a published measurement
	Measured                    // measured on this device
)

// Scale converts one raw count to microjoules (Counter) or microwatts (all others) as the exact ratio Num/Den.
// The zero Scale is not valid.
type Scale struct {
	Num int64 `json:"num"`
	Den int64 `json:"den"`
}

// Meter describes one series of samples.
type Meter struct {
	ID        string        `json:"id"`                    // stable across restarts, e.g. "nvml/GPU-5f3c/energy"
	Device    string        `json:"device"`                // what is metered, e.g. a GPU's UUID or "package-0"; what must not be counted twice
	Name      string        `json:"name,omitempty"`        // for people, e.g. "NVIDIA H200"
	Scope     Scope         `json:"scope"`                 //
	Quantity  Quantity      `json:"quantity"`              //
	Scale     Scale         `json:"scale"`                 // of one raw count
	Step      int64         `json:"step_counts,omitempty"` // raw counts by which the value moves at least, where that is more than one: its resolution; 0: one count
	Wrap      int64         `json:"wrap_counts,omitempty"` // Counter: raw counts after which it starts again at 0; 0: never
	Period    time.Duration `json:"period_nanos"`          // between fresh values; 0: every read is fresh, or not known (PeriodFrom Unknown)
	Averaging time.Duration `json:"averaging_nanos"`       // Mean: the trailing window. Instant: the part of a Period that the sensor sees; 0: a point
	Delay     time.Duration `json:"delay_nanos"`           // a value read at t describes the device at t-Delay; Mean: besides half of Averaging
	Limit     Power         `json:"limit_microwatts"`      // the most this device can draw, for plausibility; 0: not known
	Accuracy  float64       `json:"accuracy_relative"`     // relative gain error, k = 2 (0.05 is 5 %); negative: not known
	Model     string        `json:"model,omitempty"`       // meters of one model share their gain error, e.g. "nvml/GH100/energy"
	Buffered  bool          `json:"buffered,omitempty"`    // the device keeps values and hands over several at once: Sample.Device, on the host's clock, says when each was taken
	Simulated bool          `json:"simulated,omitempty"`   // no hardware behind it; everything it touches says SIMULATED

	// What the meter reads where a million is true, as a calibration of this very device found: Between divides by it. 0: it was
	// not calibrated, and nothing is corrected. Accuracy is then that of the calibration, and Calibration names the record.
	GainPPM     int64  `json:"gain_ppm,omitempty"`
	Calibration string `json:"calibration,omitempty"` // e.g. "2026-11-20 against pdu-a/inlet-1, until 2027-11-20"

	// Where the properties above come from.
	PeriodFrom    Origin `json:"period_from"`
	AveragingFrom Origin `json:"averaging_from"`
	DelayFrom     Origin `json:"delay_from"`
	AccuracyFrom  Origin `json:"accuracy_from"`
}
