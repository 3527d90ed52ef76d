//go:build !linux

package clock

import (
	"errors"
	"fmt"
)

// Kernel returns the kernel's clock state; only Linux tells it.
func Kernel(*Clock) (State, error) {
	return State{}, fmt.Errorf("read kernel clock state: %w", errors.ErrUnsupported)
}
