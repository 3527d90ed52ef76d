// Package hwmon reads power and energy from the kernel's hardware monitoring tree: AMD GPUs, NVIDIA Grace sockets and
// modules, and the rails of boards and power supplies.
package hwmon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"

	"agentwatt/meterd/internal/sampler"
	"agentwatt/meterd/internal/sysfs"
	"agentwatt/shared/clock"
	"agentwatt/shared/fault"
	"agentwatt/shared/power"
)

// Source reads all channels of one tree.
type Source struct {
	class   string
	leave   []string // chips that other sources read
	now     func() clock.Stamp
	meters  atomic.Pointer[[]power.Meter] // replaced as a whole when devices come or go
	ports   []port                        // of the meter with the same index
	chips   []string                      // directories of the tree when it was last searched
	lost    bool                          // a port is without its file
	looked  clock.Stamp                   // when the tree was last looked at
	pending []power.Note
	closed  bool
}

// Open finds the channels under sysRoot, which is /sys on a real host; now stamps the samples. Chips whose names are in leave are not
// read: another source knows more about them. Errors wrap
// sampler.ErrUnavailable where there is no channel, or where none may be read; the latter carries a hint.
func Open(sysRoot string, now func() clock.Stamp, leave ...string) (*Source, error) {
	s := &Source{class: filepath.Join(sysRoot, "class", "hwmon"), leave: leave, now: now}
	if err := s.search(); err != nil {
		return nil, fmt.Errorf("find hwmon power channels: %w", err)
	}
	if len(s.Meters()) == 0 {
		return nil, fmt.Errorf("no power or energy channel in %s: %w", s.class, sampler.ErrUnavailable)
	}
	if err := s.denied(); err != nil {
		err = fmt.Errorf("read hwmon channels: %w: %w", err, sampler.ErrUnavailable)
		return nil, fault.Hint(errors.Join(err, s.Close()), "these files are readable for root only on this host: open them to a group with a udev rule, or run as root")
	}
	return s, nil
}

// denied returns an error if no channel may be read.
func (s *Source) denied() error {
	var denied error
	for i := range s.ports {
		p := &s.ports[i]
		if p.attr == nil {
			return nil
		}
		_, err := p.attr.Int()
		if sysfs.Status(err) != power.Denied {
			return nil
		}
		denied = err
	}
	return denied
}

// Meters lists one meter per channel. A channel that is lost stays listed until its device is found again.
func (s *Source) Meters() []power.Meter { return *s.meters.Load() }

// Read reads every channel once. It does not allocate while all devices are there.
func (s *Source) Read(ctx context.Context, dst []power.Sample) ([]power.Sample, error) {
	if s.closed {
		return dst, fmt.Errorf("read hwmon channels: %w", os.ErrClosed)
	}
	if err := ctx.Err(); err != nil {
		return dst, err
	}
	if err := s.look(); err != nil {
		return dst, fmt.Errorf("find hwmon devices: %w", err)
	}
	s.lost = false
	for i := range s.ports {
		dst = append(dst, s.read(i))
	}
	return dst, nil
}

func (s *Source) read(i int) power.Sample {
	p := &s.ports[i]
	before := s.now()
	raw, status := p.read()
	t, within := sampler.Stamp(before, s.now())
	if status == power.Lost {
		s.lost = true
		if p.attr != nil {
			p.close() // nothing was written, so nothing can be lost by it
			s.note(t, i, keyDevice, "lost")
		}
	}
	return power.Sample{Meter: i, Time: t, Within: within, Raw: raw, Status: status}
}

// Notes tells of devices that went and came, and of what their drivers say beside the values.
func (s *Source) Notes(dst []power.Note) []power.Note {
	dst = append(dst, s.pending...)
	s.pending = s.pending[:0]
	return dst
}

// Close releases the files.
func (s *Source) Close() error {
	s.closed = true
	var errs []error
	for i := range s.ports {
		errs = append(errs, s.ports[i].close())
	}
	return errors.Join(errs...)
}
