package power

import (
	"math"
	"testing"
	"time"

	"agentwatt/shared/clock"
)

// A device that keeps 20 ms values and hands over fifty at once, a second late, says as much about the power as one that is polled.
func TestBufferedSamplesArePlacedByTheDevice(t *testing.T) {
	const begin = clock.Stamp(1_790_000_000_000_000_000)
	m := Meter{ID: "ring", Scope: Accelerator, Quantity: Instant, Scale: Scale{1000, 1}, Period: 20 * time.Millisecond, PeriodFrom: Measured, Buffered: true}
	var samples []Sample
	joules := 0.0
	for i := range int64(1000) {
		milliwatts := 300_000 + 100_000*(i/25%2) + i%3 // a step every half second
		taken := begin.Add(time.Duration(i) * 20 * time.Millisecond)
		handed := begin.Add(time.Duration(i/50+1) * time.Second)
		samples = append(samples, Sample{Time: handed, Device: taken, Raw: milliwatts})
		if i >= 100 && i < 900 {
			joules += float64(milliwatts) / 1000 * 0.02
		}
	}
	u := Between(m, samples, begin.Add(2*time.Second), begin.Add(18*time.Second))
	if !u.Valid || math.Abs(u.Energy.Joules()/joules-1) > 0.002 {
		t.Errorf("got %v, valid %v, %v; want %.1f J", u.Energy, u.Valid, u.Warnings, joules)
	}
	m.Buffered = false
	if u := Between(m, samples, begin.Add(2*time.Second), begin.Add(18*time.Second)); u.Valid {
		t.Errorf("placed by the time of the call it is valid too, %v: the test shows nothing", u.Energy)
	}
}
