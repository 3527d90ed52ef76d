//go:build linux && cgo

package amdsmi

import (
	"context"
	"fmt"
	"time"

	"agentwatt/meterd/internal/sampler"
	"agentwatt/shared/clock"
	"agentwatt/shared/fault"
	"agentwatt/shared/power"
)

// Source reads all AMD GPUs of one host.
type Source struct {
	lib     *library
	layout  layout
	thread  *thread
	task    func() // readAll
	now     func() clock.Stamp
	devices []*device
	meters  []power.Meter
	absent  []string
	samples []power.Sample // of the last read; written on the thread
	notes   []power.Note   // not yet handed out; written on the thread
	asked   clock.Stamp    // when the GPUs were last asked for what is in force
	revived clock.Stamp    // when no GPU was lost, or the library was last started again for those that are
	backOff time.Duration  // until it may be started once more
	closed  bool
}

const (
	readLimit = 2 * time.Second  // what a read of all GPUs may take; it takes under a millisecond each
	openLimit = 30 * time.Second // what the start of the library may take
	askAgain  = 5 * time.Second  // between looks at limits and partition modes
)

// Open loads and starts the library and finds the GPUs. Errors wrap sampler.ErrUnavailable where there is no library, no
// driver or no GPU, and where the library is of a version that is not known. The caller closes the source.
func Open(ctx context.Context, o Options) (*Source, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if o.SysRoot == "" {
		o.SysRoot = "/sys"
	}
	if o.Now == nil {
		o.Now = func() clock.Stamp { return clock.At(time.Now()) }
	}
	s := &Source{thread: startThread(), now: o.Now, backOff: retryLost}
	s.task = s.readAll
	var err error
	if stuck := s.thread.do(ctx, openLimit, func() { err = s.start(o) }); stuck != nil {
		s.thread.stop()
		if ctx.Err() != nil {
			return nil, stuck
		}
		return nil, fmt.Errorf("start AMD SMI: %w after %v: %w", stuck, openLimit, sampler.ErrUnavailable)
	}
	if err != nil {
		s.thread.stop()
		return nil, err
	}
	return s, nil
}

// start does what Open does, on the thread.
func (s *Source) start(o Options) error {
	var err error
	if s.lib, err = find(o.Library); err != nil {
		return err
	}
	if c := s.lib.init(); c != success {
		err := fmt.Errorf("start %s: %v: %w", s.lib.path, c, sampler.ErrUnavailable)
		return fault.Hint(err, "load the amdgpu driver, and let this user read /dev/kfd and /dev/dri/renderD*: the groups render and video")
	}
	if err := s.discover(o); err != nil {
		s.lib.shutDown()
		return err
	}
	return nil
}

// Meters lists what the GPUs offer; it never changes.
func (s *Source) Meters() []power.Meter { return s.meters }

// Absent lists what the GPUs of this host do not offer, each with its reason.
func (s *Source) Absent() []string { return s.absent }

// Read reads every GPU: two library calls each. If the library does not return, all samples say that they failed, and the next
// read waits for the library before it asks again.
func (s *Source) Read(ctx context.Context, dst []power.Sample) ([]power.Sample, error) {
	if s.closed { // calling into a library that is shut down is undefined
		return dst, fmt.Errorf("read AMD SMI after its end: %w", sampler.ErrGone)
	}
	if err := ctx.Err(); err != nil {
		return dst, err
	}
	before := s.now()
	switch err := s.thread.do(ctx, readLimit, s.task); {
	case err == nil:
		return append(dst, s.samples...), nil
	case ctx.Err() != nil:
		return dst, ctx.Err()
	}
	at, within := sampler.Stamp(before, s.now())
	for i := range s.meters {
		dst = append(dst, power.Sample{Meter: i, Time: at, Within: within, Status: power.Failed})
	}
	return dst, nil
}

// readAll reads every GPU, on the thread.
func (s *Source) readAll() {
	s.samples = s.samples[:0]
	now := s.now()
	s.reviveLost(now)
	ask := now.Sub(s.asked) >= askAgain
	if ask {
		s.asked = now
	}
	for _, d := range s.devices {
		s.samples = d.read(s.lib, s.layout, s.now, s.samples)
		if d.event != "" {
			s.note(d.pci, "energy_counter", d.event)
		}
		if ask && !d.lost {
			s.ask(d)
		}
	}
}

// ask notes what of a GPU's context has changed.
func (s *Source) ask(d *device) {
	if info, c := s.lib.powerCap(d.handle); c == success {
		if force, _ := limits(info); force > 0 && force != d.limit {
			d.limit = force
			s.note(d.pci, "power_limit_watts", fmt.Sprint(force))
		}
	}
	if mode, c := s.lib.partition(d.handle); c == success && len(mode) > 0 && string(mode) != d.mode {
		d.mode = string(mode)
		s.note(d.pci, "partition_mode", d.mode)
	}
}

func (s *Source) note(device, key, value string) {
	t, _ := sampler.Stamp(s.now(), s.now())
	s.notes = append(s.notes, power.Note{Time: t, Device: device, Key: key, Value: value})
}

// Notes appends what was found out since the last call: versions and identities once, limits, partition modes and the state of
// the energy counter when they change.
func (s *Source) Notes(dst []power.Note) []power.Note {
	if s.thread.busy { // and may be writing notes
		return dst
	}
	dst = append(dst, s.notes...)
	s.notes = s.notes[:0]
	return dst
}

// Close shuts the library down. Closing twice is the same as once.
func (s *Source) Close() error {
	if s.closed {
		return nil
	}
	s.closed = true
	defer s.thread.stop()
	var c code
	if err := s.thread.do(context.Background(), readLimit, func() { c = s.lib.shutDown() }); err != nil {
		return fmt.Errorf("shut AMD SMI down: %w", err)
	}
	if c != success {
		return fmt.Errorf("shut AMD SMI down: %v", c)
	}
	return nil
}
