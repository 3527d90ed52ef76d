package characterise

import (
	"errors"
	"fmt"
	"math"
	"time"

	"agentwatt/shared/clock"
)

func seconds(s float64) time.Duration { return time.Duration(math.Round(s * 1e9)) }

// mostOffsets bounds the offsets that align tries.
const mostOffsets = 200_000

// align returns by how many seconds the reference's clock is ahead of ours: the offset at which the reference is highest
// while the load was busy and lowest while it was idle. The schedule must not repeat itself, or there is more than one. u is
// the standard uncertainty: from how far the two halves of the schedule agree, and the reference's resolution.
func align(c *curve, marks []Mark, origin clock.Stamp) (offset, u float64, err error) {
	var schedule []phase
	for i := 1; i < len(marks); i++ {
		schedule = append(schedule, phase{marks[i-1].At.Sub(origin).Seconds(), marks[i].At.Sub(origin).Seconds(), marks[i-1].Busy})
	}
	last := schedule[len(schedule)-1].end
	least, most := c.at[0], c.at[len(c.at)-1]-last
	if most < least {
		return 0, 0, fmt.Errorf("the reference is shorter than the load's schedule of %.3f s", last)
	}
	shortest := math.Inf(1)
	for _, p := range schedule {
		shortest = min(shortest, p.end-p.begin)
	}
	step := max(min(shortest/10, max(c.step, 1e-3)), (most-least)/mostOffsets)
	if step > shortest/4 {
		return 0, 0, errors.New("the reference is too coarse, or too long, to find the load's schedule in it")
	}
	best, contrast := least, math.Inf(-1)
	for x := least; x <= most; x += step {
		if k := contrasts(c, schedule, x); k > contrast {
			best, contrast = x, k
		}
	}
	second := math.Inf(-1) // the best that is not the same peak
	for x := least; x <= most; x += step {
		if math.Abs(x-best) > shortest {
			second = max(second, contrasts(c, schedule, x))
		}
	}
	if contrast <= 0 || second > 0.8*contrast {
		return 0, 0, fmt.Errorf("the load's schedule is not found in the reference: contrast %.3g W at the best offset, %.3g W at another", contrast, second)
	}
	best = climb(c, schedule, best, step)
	half := len(schedule) / 2
	early, late := climb(c, schedule[:half], best, step), climb(c, schedule[half:], best, step)
	return best, max(math.Abs(early-late)/2, c.step/math.Sqrt(12)), nil
}

// climb goes up the contrast from x, closer and closer.
func climb(c *curve, schedule []phase, x, step float64) float64 {
	best := contrasts(c, schedule, x)
	for ; step > 1e-5; step *= 0.6 {
		for _, y := range []float64{x - step, x + step} {
			if k := contrasts(c, schedule, y); k > best {
				x, best = y, k
			}
		}
	}
	return x
}

// contrasts returns the mean power while busy less that while idle when the schedule begins at x on the reference's clock.
func contrasts(c *curve, schedule []phase, x float64) float64 {
	var e, t [2]float64
	for _, p := range schedule {
		i := 0
		if p.busy {
			i = 1
		}
		e[i] += c.to(x+p.end) - c.to(x+p.begin)
		t[i] += p.end - p.begin
	}
	if t[0] == 0 || t[1] == 0 {
		return 0
	}
	return e[1]/t[1] - e[0]/t[0]
}
