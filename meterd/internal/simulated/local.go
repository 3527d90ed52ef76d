package simulated

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"time"

	"agentwatt/meterd/internal/sampler"
	"agentwatt/shared/clock"
	"agentwatt/shared/power"
)

// Config describes devices that are computed in this process. Each has a counter in millijoules and a reading in
// milliwatts, as NVML has, and both show the state at the last refresh.
type Config struct {
	Devices   int           // 1 to 1024
	Wave      Waveform      // power of each device since Open
	Period    time.Duration // between refreshes; 0: every read is fresh
	Averaging time.Duration // the power reading is the mean over this time before the refresh; 0: the power at it
	Gain      float64       // sensor error: readings are the true value times 1+Gain; above -1
	Seed      uint64        // when each device refreshes, within a Period
}

// Local computes its devices in closed form.
type Local struct {
	Config
	now    func() clock.Stamp
	start  clock.Stamp
	phase  []time.Duration // of each device's refreshes
	meters []power.Meter
	closed bool
}

const mostDevices = 1024

// OpenLocal starts the devices; now stamps the samples.
func OpenLocal(c Config, now func() clock.Stamp) (*Local, error) {
	switch {
	case c.Devices < 1 || c.Devices > mostDevices:
		return nil, fmt.Errorf("simulate %d devices: 1 to %d are possible", c.Devices, mostDevices)
	case c.Period < 0 || c.Averaging < 0:
		return nil, fmt.Errorf("simulate devices: period %v or averaging %v is negative", c.Period, c.Averaging)
	case !(c.Gain > -1 && c.Gain < 10):
		return nil, fmt.Errorf("simulate devices: gain %v is not between -1 and 10", c.Gain)
	}
	if c.Wave.power == nil {
		c.Wave = Constant(0)
	}
	s := &Local{Config: c, now: now, start: now()}
	random := rand.New(rand.NewPCG(c.Seed, 0))
	for i := range c.Devices {
		phase := time.Duration(0)
		if c.Period > 0 {
			phase = time.Duration(random.Int64N(int64(c.Period)))
		}
		s.phase = append(s.phase, phase)
		s.meters = append(s.meters, s.describe(fmt.Sprintf("SIM-%d", i))...)
	}
	return s, nil
}

// describe returns the two meters of a device.
func (s *Local) describe(device string) []power.Meter {
	m := power.Meter{
		Device: device, Name: "Simulated accelerator", Scope: power.Accelerator, Simulated: true,
		Limit:    power.Power(math.Ceil(float64(s.Wave.peak) * (1 + max(s.Gain, 0)))),
		Accuracy: math.Abs(s.Gain), AccuracyFrom: power.Specification,
		Period: s.Period,
	}
	if s.Period > 0 {
		m.PeriodFrom = power.Specification
	}
	energy, reading := m, m
	energy.ID, energy.Model = "simulated/"+device+"/energy", "simulated/energy"
	energy.Quantity, energy.Scale = power.Counter, power.Scale{Num: 1000, Den: 1} // mJ
	reading.ID, reading.Model = "simulated/"+device+"/power", "simulated/power"
	reading.Quantity, reading.Scale = power.Instant, power.Scale{Num: 1000, Den: 1} // mW
	if s.Averaging > 0 {
		reading.Quantity, reading.Averaging, reading.AveragingFrom = power.Mean, s.Averaging, power.Specification
	}
	return []power.Meter{energy, reading}
}

// Energy is the truth: what one device really used between two moments. It is known to a few µJ per hour.
func (s *Local) Energy(begin, end clock.Stamp) power.Energy {
	joules := s.Wave.energy(end.Sub(s.start).Seconds()) - s.Wave.energy(begin.Sub(s.start).Seconds())
	return power.Energy(math.Round(joules * float64(power.Joule)))
}

// Meters lists a counter and a power reading per device.
func (s *Local) Meters() []power.Meter { return s.meters }

// Read reads every meter once. It does not allocate.
func (s *Local) Read(ctx context.Context, dst []power.Sample) ([]power.Sample, error) {
	if s.closed {
		return dst, fmt.Errorf("read simulated devices: %w", os.ErrClosed)
	}
	if err := ctx.Err(); err != nil {
		return dst, err
	}
	for i := range s.phase {
		before := s.now()
		energy, reading := s.shown(i, before.Sub(s.start))
		t, within := sampler.Stamp(before, s.now())
		dst = append(dst,
			power.Sample{Meter: 2 * i, Time: t, Within: within, Raw: energy},
			power.Sample{Meter: 2*i + 1, Time: t, Within: within, Raw: reading})
	}
	return dst, nil
}

// shown returns what device i shows at a time after the start: the values of its last refresh, or of the start.
func (s *Local) shown(i int, at time.Duration) (millijoules, milliwatts int64) {
	switch phase := s.phase[i]; {
	case s.Period == 0:
	case at < phase:
		at = 0
	default:
		at = phase + (at-phase)/s.Period*s.Period
	}
	t, gain := at.Seconds(), (1+s.Gain)*1000
	watts := s.Wave.power(t)
	if w := s.Averaging.Seconds(); w > 0 {
		watts = (s.Wave.energy(t) - s.Wave.energy(t-w)) / w
	}
	return int64(math.Floor(s.Wave.energy(t) * gain)), int64(math.Round(watts * gain))
}

// Close ends the simulation.
func (s *Local) Close() error {
	s.closed = true
	return nil
}
