// Package calibration keeps what meterd characterise found out about single sensors, one file per sensor and date, and
// puts it into the meters that the sources declare. What was measured of one card is never carried over to another.
package calibration

import (
	"fmt"
	"math"
	"strings"
	"time"

	"agentwatt/meterd/internal/characterise"
	"agentwatt/shared/power"
)

// Format is the version of the record's format.
const Format = "agentwatt/calibration/1"

// Validity is how long a record holds if nothing else is said (SPEC and METHOD: calibrations are annual).
const Validity = 365 * 24 * time.Hour

// Record is what is known of one sensor. All uncertainties u are expanded, k = 2.
type Record struct {
	Format    string            `yaml:"format"`
	Meter     string            `yaml:"meter"`  // ID
	Device    string            `yaml:"device"` // the exact one
	Model     string            `yaml:"model"`
	Quantity  string            `yaml:"quantity"` // what the meter's values are
	Host      string            `yaml:"host"`
	Date      time.Time         `yaml:"date"`
	Expires   time.Time         `yaml:"expires"`
	Versions  map[string]string `yaml:"versions,omitempty"` // driver, firmware, ... in force; another one ends the record
	Reference Reference         `yaml:"reference"`
	Against   string            `yaml:"against"` // what window and delay were fitted to: reference or switching
	Cycles    int               `yaml:"cycles"`

	Period Span   `yaml:"period"`       // between refreshes
	Window Span   `yaml:"window"`       // of the boxcar that a value averages over
	Delay  Span   `yaml:"delay"`        // from the middle of the window to the moment the value shows
	Rise   Span   `yaml:"rise"`         // 10 % to 90 % of a step
	Noise  Number `yaml:"noise_watts"`  // standard deviation, k = 1
	Gain   Number `yaml:"gain"`         // slope of reading over truth
	Offset Number `yaml:"offset_watts"` // reading at no power

	Correlation float64  `yaml:"gain_offset_correlation"` // of the errors of gain and offset
	Idle        float64  `yaml:"idle_watts"`              // the powers between which the gain is known
	Busy        float64  `yaml:"busy_watts"`              //
	Residual    float64  `yaml:"residual_watts"`          // spread of the plateaus around the line, k = 1
	Notes       []string `yaml:"notes,omitempty"`
}

// Reference is the better meter that the sensor was compared with; empty: none.
type Reference struct {
	Name        string  `yaml:"name,omitempty"`
	SHA256      string  `yaml:"sha256,omitempty"`      // of the file
	Certificate string  `yaml:"certificate,omitempty"` // of its own calibration
	Accuracy    float64 `yaml:"accuracy,omitempty"`    // relative, k = 2
	Floor       float64 `yaml:"floor_watts,omitempty"` // of its zero, k = 2
}

// Span is a duration with its uncertainty, or why it is not known.
type Span struct {
	Value   time.Duration `yaml:"value,omitempty"`
	U       time.Duration `yaml:"u,omitempty"`
	Unknown string        `yaml:"unknown,omitempty"`
}

// Number is like Span.
type Number struct {
	Value   float64 `yaml:"value,omitempty"`
	U       float64 `yaml:"u,omitempty"`
	Unknown string  `yaml:"unknown,omitempty"`
}

// Known reports whether there is a value.
func (s Span) Known() bool { return s.Unknown == "" }

// Known reports whether there is a value.
func (n Number) Known() bool { return n.Unknown == "" }

// Circumstances are what a recording does not say about itself.
type Circumstances struct {
	Host     string
	Date     time.Time
	Validity time.Duration     // 0: Validity
	Versions map[string]string // in force: "driver", "firmware", "vbios", ...
}

// New makes the record of a result.
func New(m power.Meter, r characterise.Result, ref *characterise.Reference, c Circumstances) Record {
	if c.Validity == 0 {
		c.Validity = Validity
	}
	date := c.Date.UTC().Truncate(time.Second)
	out := Record{
		Format: Format, Meter: m.ID, Device: m.Device, Model: m.Model, Quantity: m.Quantity.String(),
		Host: c.Host, Date: date, Expires: date.Add(c.Validity), Versions: c.Versions,
		Against: r.Against, Cycles: r.Cycles,
		Period: span(r.Period), Window: span(r.Window), Delay: span(r.Delay), Rise: span(r.Rise),
		Noise: number(r.Noise), Gain: number(r.Gain), Offset: number(r.Offset),
		Correlation: r.Cross, Idle: r.Idle, Busy: r.Busy, Residual: r.Residual, Notes: r.Notes,
	}
	if ref != nil {
		out.Reference = Reference{Name: ref.Name, SHA256: ref.Digest, Certificate: ref.Certificate, Floor: ref.Floor, Accuracy: max(ref.Accuracy, 0)}
	}
	return out
}

// span rounds to whole microseconds: nothing here is known better.
func span(e characterise.Estimate) Span {
	if !e.Known() {
		return Span{Unknown: e.Reason}
	}
	return Span{Value: micros(e.Value), U: max(micros(e.U), time.Microsecond)}
}

func micros(seconds float64) time.Duration {
	return time.Duration(math.Round(seconds*1e6)) * time.Microsecond
}

func number(e characterise.Estimate) Number {
	if !e.Known() {
		return Number{Unknown: e.Reason}
	}
	return Number{Value: e.Value, U: e.U}
}

// Ratio returns reading / truth at a power in watts and its expanded uncertainty, relative to truth.
func (r Record) Ratio(watts float64) (ratio, u float64) {
	estimate := func(n Number) characterise.Estimate {
		return characterise.Estimate{Value: n.Value, U: n.U, Reason: n.Unknown}
	}
	return characterise.Ratio(estimate(r.Gain), estimate(r.Offset), r.Correlation, watts)
}

// low is the lowest power of the range for which Factor holds: half of the calibrated load, or idle if that is more.
// Windows of a benchmark lie above it; below, an offset weighs more than the gain.
func (r Record) low() float64 { return max(r.Idle, r.Busy/2) }

// Factor returns reading / truth under the calibrated load, and the expanded uncertainty (k = 2, relative) of using it for
// every power from half of that load up: what the ratio differs there, and the ratio's own uncertainty. It is what a
// reading is divided by to correct it (power.Meter.GainPPM). ok is false where the gain is not known.
func (r Record) Factor() (factor, u float64, ok bool) {
	if !r.Gain.Known() || !r.Offset.Known() || r.Busy <= 0 {
		return 1, 0, false
	}
	factor, u = r.Ratio(r.Busy)
	low, uLow := r.Ratio(r.low())
	return factor, max(u, math.Abs(low-factor)+uLow), true
}

// FileName is where the record belongs in its directory.
func (r Record) FileName() string {
	id := strings.Map(func(c rune) rune {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '.':
			return c
		}
		return '_'
	}, r.Meter)
	return fmt.Sprintf("%s_%s.yaml", id, r.Date.Format("20060102T150405Z"))
}
