//go:build !linux

package clock

import (
	"errors"
	"fmt"
	"time"
)

// Kernel returns the kernel's clock state; only Linux tells it.
func Kernel(*Clock) (State, error) {
	return State{}, fmt.Errorf("read kernel clock state: %w", errors.ErrUnsupported)
}

func epoch(*Clock) (Stamp, error) {
	return 0, fmt.Errorf("read monotonic clock: %w", errors.ErrUnsupported)
}

func asleepNow() (time.Duration, error) {
	return 0, fmt.Errorf("read how long the machine was suspended: %w", errors.ErrUnsupported)
}
