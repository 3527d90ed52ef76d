package characterise

import (
	"context"
	"errors"
	"fmt"

	"agentwatt/shared/clock"
)

// Load makes the device busy until ctx ends, and then returns soon. One that returns before has failed.
type Load func(ctx context.Context) error

// Drive switches the load by the schedule and returns when it did so: idle for Schedule.Shortest, then cycles of busy and
// idle. now stamps the marks with the clock of the samples. While it runs, somebody else reads the sensors. It has
// stopped the load when it returns; with an error the marks are those until then.
func Drive(ctx context.Context, s Schedule, load Load, now func() clock.Stamp) ([]Mark, error) {
	phases, err := s.Phases()
	if err != nil {
		return nil, fmt.Errorf("drive the load: %w", err)
	}
	var marks []Mark
	if !clock.Sleep(ctx, s.Shortest) {
		return nil, fmt.Errorf("wait for the device to be idle: %w", ctx.Err())
	}
	for i, d := range phases {
		marks = append(marks, Mark{now(), i%2 == 0})
		if i%2 == 1 {
			if !clock.Sleep(ctx, d) {
				return marks, fmt.Errorf("idle phase %d of %d: %w", i/2+1, s.Cycles, ctx.Err())
			}
			continue
		}
		busy, stop := context.WithTimeout(ctx, d)
		err := load(busy)
		early := busy.Err() == nil
		stop()
		switch {
		case ctx.Err() != nil:
			return marks, fmt.Errorf("busy phase %d of %d: %w", i/2+1, s.Cycles, ctx.Err())
		case early && err == nil:
			return marks, fmt.Errorf("busy phase %d of %d: the load ended before the phase of %v did", i/2+1, s.Cycles, d)
		case early || err != nil && !errors.Is(err, context.DeadlineExceeded):
			return marks, fmt.Errorf("busy phase %d of %d: %w", i/2+1, s.Cycles, err)
		}
	}
	return marks, nil
}
