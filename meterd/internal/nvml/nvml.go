//go:build linux && cgo

package nvml

import (
	"context"
	"fmt"
	"time"

	lib "github.com/NVIDIA/go-nvml/pkg/nvml"

	"agentwatt/meterd/internal/sampler"
	"agentwatt/shared/clock"
	"agentwatt/shared/fault"
	"agentwatt/shared/power"
)

// Source reads all GPUs of this host. It implements sampler.Source.
type Source struct {
	lib     lib.Interface
	now     func() clock.Stamp
	devices []*device
	meters  []power.Meter
	absent  []string
	closed  bool
}

// Open loads the library and finds the GPUs. Its errors wrap sampler.ErrUnavailable with the reason and a hint where
// there is no library, no driver, no permission, no GPU, or no GPU with a power value.
func Open(ctx context.Context, o Options) (*Source, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("open NVML: %w", err)
	}
	l, err := load(o.Library)
	if err != nil {
		return nil, err
	}
	s := &Source{lib: l, now: o.Now}
	if s.now == nil {
		s.now = func() clock.Stamp { return clock.At(time.Now()) }
	}
	if err := s.discover(); err != nil {
		l.Shutdown()
		return nil, err
	}
	return s, nil
}

// discover fills in the devices, their meters and what is absent.
func (s *Source) discover() error {
	n, ret := s.lib.DeviceGetCount()
	if ret != lib.SUCCESS {
		err := fmt.Errorf("count GPUs: %v: %w", ret, sampler.ErrUnavailable)
		return fault.Hint(err, "%s", remedy(ret))
	}
	if n == 0 {
		err := fmt.Errorf("the NVIDIA driver sees no GPU: %w", sampler.ErrUnavailable)
		return fault.Hint(err, "in a container, pass the GPUs in; on the host, see nvidia-smi -L")
	}
	for i := range n {
		d, absent := find(s.lib, i)
		for _, reason := range absent {
			s.absent = append(s.absent, fmt.Sprintf("GPU %d %s: %s", i, d.uuid, reason))
		}
		if len(d.meters) > 0 {
			s.devices = append(s.devices, d)
			s.meters = append(s.meters, d.meters...)
		}
	}
	if len(s.meters) == 0 {
		return fmt.Errorf("no GPU has a power value: %s: %w", s.absent[0], sampler.ErrUnavailable)
	}
	return nil
}

// Meters lists up to three meters per GPU: energy, instant and average; or energy and draw on old drivers.
func (s *Source) Meters() []power.Meter { return s.meters }

// Absent lists what the GPUs of this host do not offer, each with its reason.
func (s *Source) Absent() []string { return s.absent }

// Read appends one sample per meter: one library call per GPU. It never fails as a whole; a GPU that is lost says so in
// its samples, and is looked for again every 5 s.
func (s *Source) Read(ctx context.Context, dst []power.Sample) ([]power.Sample, error) {
	if err := ctx.Err(); err != nil {
		return dst, err
	}
	if s.closed { // calling into a library that is shut down is undefined
		return dst, fmt.Errorf("read NVML after its end: %w", sampler.ErrGone)
	}
	first := 0
	for _, d := range s.devices {
		if d.lost {
			d.revive(s.now())
		}
		dst = d.read(first, s.now, dst)
		first += len(d.meters)
	}
	return dst, nil
}

// Close shuts the library down. Closing twice is the same as once.
func (s *Source) Close() error {
	if s.closed {
		return nil
	}
	s.closed = true
	if ret := s.lib.Shutdown(); ret != lib.SUCCESS {
		return fmt.Errorf("shut NVML down: %v", ret)
	}
	return nil
}
