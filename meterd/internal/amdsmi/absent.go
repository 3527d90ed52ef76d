//go:build !(linux && cgo)

package amdsmi

import (
	"context"
	"fmt"

	"agentwatt/meterd/internal/sampler"
	"agentwatt/shared/fault"
	"agentwatt/shared/power"
)

// Source is empty in a program that was built without cgo; Open never returns one.
type Source struct{}

// Open says that this program cannot read AMD SMI: the library is C++ and is loaded through cgo.
func Open(context.Context, Options) (*Source, error) {
	err := fmt.Errorf("this meterd was built without AMD SMI: %w", sampler.ErrUnavailable)
	return nil, fault.Hint(err, "build it on Linux with a C compiler and CGO_ENABLED=1; the source amdgpu needs neither")
}

// Meters lists nothing.
func (*Source) Meters() []power.Meter { return nil }

// Absent lists nothing.
func (*Source) Absent() []string { return nil }

// Read reads nothing.
func (*Source) Read(_ context.Context, dst []power.Sample) ([]power.Sample, error) { return dst, nil }

// Notes says nothing.
func (*Source) Notes(dst []power.Note) []power.Note { return dst }

// Close does nothing.
func (*Source) Close() error { return nil }
