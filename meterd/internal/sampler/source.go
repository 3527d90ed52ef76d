// Package sampler reads power sources on an absolute schedule and turns what they say into batches.
package sampler

import (
	"context"
	"errors"

	"agentwatt/shared/power"
)

// Source is one kind of power meter on this host: NVML, RAPL, hwmon, ...
//
// A source is opened by its own package's Open function, which returns an error wrapping ErrUnavailable, with the
// reason, where the host has no such meter. Read is called from one goroutine at a time.
type Source interface {
	// Meters lists what the source reads. The slice is not changed after it was returned; if devices come or go the
	// source returns a new slice, and samples refer to the slice in force when Read returned them.
	Meters() []power.Meter
	// Read appends one sample per meter (more where the hardware buffers, none where nothing is new) and returns the
	// extended slice. A meter that could not be read yields a sample whose Status says why. An error means that the
	// source as a whole failed; dst is then returned as it came.
	Read(ctx context.Context, dst []power.Sample) ([]power.Sample, error)
	// Close releases the hardware.
	Close() error
}

// Noter is a source that has more to say than samples: context in force (power limits, clocks), events (a reset, a device
// that came back), what it found out about a device.
type Noter interface {
	// Notes appends what the last Read came upon, each note once, and returns the extended slice. It is called after each
	// Read, by the same goroutine, and does not touch the hardware. In steady state it appends nothing and allocates nothing.
	Notes(dst []power.Note) []power.Note
}

// ErrUnavailable is wrapped by every Open of a source whose hardware, driver or permission is missing on this host.
var ErrUnavailable = errors.New("not available")

// ErrRefused is wrapped by an Open whose user, password or key was refused: asking again soon may lock the account.
var ErrRefused = errors.New("not to be asked again soon")

// ErrGone is wrapped by Read when the source will never work again in this process; the sampler then stops it.
var ErrGone = errors.New("gone")
