//go:build linux && cgo

package nvml

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	lib "github.com/NVIDIA/go-nvml/pkg/nvml"
	"golang.org/x/sys/unix"

	"agentwatt/meterd/internal/sampler"
	"agentwatt/shared/clock"
	"agentwatt/shared/fault"
	"agentwatt/shared/power"
)

// Source reads all GPUs of this host. It implements sampler.Source and sampler.Noter.
type Source struct {
	lib    *library
	now    func() clock.Stamp
	boot   func() time.Duration
	rings  bool
	listed atomic.Pointer[listing]

	devices  []*device
	count    int                 // GPUs that the driver saw when they were last looked for
	counters map[string]*counter // by meter ID, so that a reset is seen over the loss of a GPU
	notes    []power.Note        // not yet told
	looked   clock.Stamp         // when lost GPUs were last looked for
	tries    int                 // how often since all were there
	changed  bool                // the GPUs are not what they were: look at once
	down     bool                // the library is not initialised
	gone     error               // why it never will be
	closed   bool
}

// listing is what the host has. It is replaced as a whole when GPUs come, go or change.
type listing struct {
	meters []power.Meter
	absent []string
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
	s := &Source{lib: l, now: o.Now, boot: o.Boot, rings: o.Ring, counters: map[string]*counter{}}
	if s.now == nil {
		s.now = func() clock.Stamp { return clock.At(time.Now()) }
	}
	if s.boot == nil {
		s.boot = sinceBoot
	}
	if err := s.first(); err != nil {
		l.Shutdown()
		return nil, err
	}
	return s, nil
}

// sinceBoot is the kernel's CLOCK_BOOTTIME; 0, which no sample is near, if it cannot be read.
func sinceBoot() time.Duration {
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts) != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}

// first finds the GPUs when the source is opened.
func (s *Source) first() error {
	if ret := s.enumerate(); ret != lib.SUCCESS {
		err := fmt.Errorf("count GPUs: %v: %w", ret, sampler.ErrUnavailable)
		return fault.Hint(err, "%s", remedy(ret))
	}
	if s.count == 0 {
		err := fmt.Errorf("the NVIDIA driver sees no GPU: %w", sampler.ErrUnavailable)
		return fault.Hint(err, "in a container, pass the GPUs in; on the host, see nvidia-smi -L")
	}
	if l := s.listed.Load(); len(l.meters) == 0 {
		return fmt.Errorf("no GPU has a power value: %s: %w", l.absent[0], sampler.ErrUnavailable)
	}
	return nil
}

// Meters lists the meters of each GPU: energy, instant and average, or energy and draw on old drivers; those of its
// memory and of its module where it tells them.
func (s *Source) Meters() []power.Meter { return s.listed.Load().meters }

// Absent lists what the GPUs of this host do not offer, each with its reason.
func (s *Source) Absent() []string { return s.listed.Load().absent }

// Read appends one sample per meter: one library call per GPU. A GPU that is lost says so in its samples, and is looked
// for again at growing intervals. It fails as a whole only when another version of the driver was loaded under this process.
func (s *Source) Read(ctx context.Context, dst []power.Sample) ([]power.Sample, error) {
	if err := ctx.Err(); err != nil {
		return dst, err
	}
	if s.closed { // calling into a library that is shut down is undefined
		return dst, fmt.Errorf("read NVML after its end: %w", sampler.ErrGone)
	}
	if err := s.recover(); err != nil {
		return dst, err
	}
	first := 0
	for _, d := range s.devices {
		begin := len(dst)
		dst = d.read(first, s.now, s.boot, dst)
		s.watch(d, first, dst[begin:])
		first += d.size()
	}
	s.look()
	return dst, nil
}

// Notes appends what the last reads came upon.
func (s *Source) Notes(dst []power.Note) []power.Note {
	dst = append(dst, s.notes...)
	s.notes = s.notes[:0]
	return dst
}

// maxNotes bounds what is kept for a caller that never asks for notes.
const maxNotes = 4096

// note keeps one note. Texts from the driver are made fit to be sent.
func (s *Source) note(at clock.Stamp, device, key, value string) {
	if len(s.notes) < maxNotes {
		s.notes = append(s.notes, power.Note{Time: at, Device: device, Key: key, Value: strings.ToValidUTF8(value, "?")})
	}
}

// Close shuts the library down. Closing twice is the same as once.
func (s *Source) Close() error {
	if s.closed {
		return nil
	}
	s.closed = true
	if s.down {
		return nil
	}
	if ret := s.lib.Shutdown(); ret != lib.SUCCESS {
		return fmt.Errorf("shut NVML down: %v", ret)
	}
	return nil
}
