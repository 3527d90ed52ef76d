//go:build linux && cgo

package nvml

import (
	"fmt"
	"time"

	"agentwatt/shared/power"
)

// chip is what is known about the power sensor of one GPU generation, by CUDA compute capability: the die, not the
// product name, decides how the sensor works.
type chip struct {
	major, minor int // minor -1: any
	name         string
	update       time.Duration  // between fresh power values
	from         power.Origin   // of update, and of the windows below where those are not zero
	instant      window         // field 186
	average      window         // field 185
	draw         window         // nvmlDeviceGetPowerUsage
	drawIs       power.Quantity // what nvmlDeviceGetPowerUsage returns
}

// window is the stretch of time that one reading describes.
type window struct {
	length time.Duration // of the boxcar; 0: not known
	delay  time.Duration // beyond the window's own half (Mean), or of the whole reading (Instant)
	known  power.Origin  // of delay
}

// The default when nobody has calibrated the sensor: 5 % at k = 2 (METHOD 6). Published gain errors of single cards lie
// between -6.2 % and +10.9 %, mostly within 5.5 % (SC'24, below); the vendor states 5 % for Fermi and Kepler only.
const defaultAccuracy = 0.05

// chips lists the generations with published measurements. Update periods and windows: Yang, Adamek, Armour,
// "Part-time Power Measurements: nvidia-smi's Lack of Attention", SC'24, arXiv 2312.02741, Overall_Results.xlsx.
// Delays: from the shift that fits that paper's traces best against its external meter (0.05 s for the A100, 0.1 s for the
// RTX 3090 and 4090, and 0.6 s for the 1 s average, of which 0.5 s is half the window). Those shifts hold every value
// until the next one; power.Between takes a value for the moment it first showed and draws straight lines between, which
// is half an update period (50 ms) earlier. power.TestTraces checks the result on the same traces. The energy counter's
// tick was 10 ms in 2019 and 20 to 100 ms since; 100 ms is assumed until it is measured.
func chips() []chip {
	const (
		ms  = time.Millisecond
		pub = power.Publication
	)
	second := window{1000 * ms, 50 * ms, pub}
	return []chip{
		{6, -1, "Pascal", 20 * ms, pub, window{length: 10 * ms}, window{}, window{length: 10 * ms}, power.Instant},
		{7, 0, "GV100", 20 * ms, pub, window{length: 10 * ms}, window{}, window{length: 10 * ms}, power.Instant},
		{7, 5, "Turing", 100 * ms, pub, window{length: 100 * ms}, window{}, window{length: 100 * ms}, power.Instant},
		{8, 0, "GA100", 100 * ms, pub, window{25 * ms, 12 * ms, pub}, window{}, window{25 * ms, 12 * ms, pub}, power.Instant},
		{8, 6, "GA10x", 100 * ms, pub, window{100 * ms, 50 * ms, pub}, second, second, power.Mean},
		{8, 9, "AD10x", 100 * ms, pub, window{100 * ms, 50 * ms, pub}, second, second, power.Mean},
		// The paper measured the H100; the H200 is the same die. Its instant delay is taken from the GA100's like sensor.
		{9, 0, "GH100", 100 * ms, pub, window{25 * ms, 12 * ms, power.Assumed}, second, second, power.Mean},
	}
}

// chipOf returns what is known about compute capability major.minor. Generations after the paper get a 100 ms period
// that is only assumed, the 1 s averages of nvml.h, and nothing else.
func chipOf(major, minor int) chip {
	for _, c := range chips() {
		if c.major == major && (c.minor == minor || c.minor == -1) {
			return c
		}
	}
	c := chip{major: major, minor: minor, name: fmt.Sprintf("sm%d%d", major, minor),
		update: 100 * time.Millisecond, from: power.Assumed, drawIs: power.Instant}
	if major >= 8 { // nvml.h: Ampere except GA100, and newer, average over 1 s
		c.average, c.draw = window{length: time.Second}, window{length: time.Second}
		c.drawIs = power.Mean
	}
	return c
}

// meter describes the value k of one GPU with this chip.
func (c chip) meter(f field, uuid, name string, limit power.Power) power.Meter {
	m := power.Meter{
		ID: "nvml/" + uuid + "/" + string(f.kind), Device: uuid, Name: name,
		Scope: f.of, Scale: f.unit, Limit: limit,
		Period: c.update, PeriodFrom: c.from,
		Accuracy: defaultAccuracy, AccuracyFrom: power.Assumed,
		Model: "nvml/" + c.name + "/" + string(f.kind),
	}
	var w window
	switch f.kind {
	case energy:
		m.Quantity = power.Counter
		m.Period, m.PeriodFrom = 100*time.Millisecond, power.Assumed
		return m
	case instant:
		m.Quantity, w = power.Instant, c.instant
	case average:
		m.Quantity, w = power.Mean, c.average
	case draw:
		m.Quantity, w = c.drawIs, c.draw
	}
	m.Averaging, m.Delay, m.DelayFrom = w.length, w.delay, w.known
	if w.length > 0 {
		m.AveragingFrom = c.windowFrom()
	}
	return m
}

// windowFrom is the origin of the averaging windows: measured and published with the update period, else the header.
func (c chip) windowFrom() power.Origin {
	if c.from == power.Publication {
		return power.Publication
	}
	return power.Specification
}
