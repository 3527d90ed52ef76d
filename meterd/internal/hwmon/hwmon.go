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
	"time"

	"agentwatt/meterd/internal/sampler"
	"agentwatt/meterd/internal/sysfs"
	"agentwatt/shared/clock"
	"agentwatt/shared/fault"
	"agentwatt/shared/power"
)

// Source reads all channels of one tree.
type Source struct {
	class  string
	now    func() clock.Stamp
	meters atomic.Pointer[[]power.Meter] // replaced as a whole when devices come or go
	ports  []port                        // of the meter with the same index
	lost   bool                          // a port is without its file
	looked clock.Stamp                   // when the tree was last searched
	closed bool
}

// port is where a meter is read.
type port struct {
	path string
	attr *sysfs.Attr // nil while the device is lost: by then the path may belong to another one
}

// searchAgain is the time between searches for devices that are lost. A driver that is bound again gets a new directory,
// so opening the old file again is not enough.
const searchAgain = time.Second

// Open finds the channels under sysRoot, which is /sys on a real host; now stamps the samples. Errors wrap
// sampler.ErrUnavailable where there is no channel, or where none may be read; the latter carries a hint.
func Open(sysRoot string, now func() clock.Stamp) (*Source, error) {
	s := &Source{class: filepath.Join(sysRoot, "class", "hwmon"), now: now}
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

// search looks through the tree. It opens the channels of devices that were lost and adds those of new ones; a meter that
// was listed keeps its place.
func (s *Source) search() error {
	s.looked = s.now()
	list, err := channels(s.class)
	if err != nil {
		return err
	}
	known, busy := map[string]int{}, map[string]bool{}
	var meters []power.Meter
	if old := s.meters.Load(); old != nil {
		meters = *old
	}
	for i, p := range s.ports {
		known[meters[i].ID] = i
		busy[p.path] = p.attr != nil
	}
	for _, c := range list {
		i, ok := known[c.meter.ID]
		switch {
		case busy[c.path]:
		case ok && s.ports[i].attr == nil:
			s.ports[i] = connect(c.path)
		case !ok:
			meters = append(meters[:len(meters):len(meters)], c.meter) // the old slice is in use
			s.ports = append(s.ports, connect(c.path))
		}
	}
	s.meters.Store(&meters)
	return nil
}

// connect opens a channel. One that may not be opened stays, and says so in every read.
func connect(path string) port {
	a, err := sysfs.Open(path)
	if sysfs.Status(err) == power.Lost {
		return port{path, nil}
	}
	return port{path, a}
}

// denied returns an error if no channel may be read.
func (s *Source) denied() error {
	var denied error
	for _, p := range s.ports {
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
	if s.lost && s.now().Sub(s.looked) >= searchAgain {
		if err := s.search(); err != nil {
			return dst, fmt.Errorf("find lost hwmon devices: %w", err)
		}
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
	raw, status := int64(0), power.Lost
	if p.attr != nil {
		var err error
		raw, err = p.attr.Int()
		status = sysfs.Status(err)
	}
	t, within := sampler.Stamp(before, s.now())
	if status == power.Lost {
		s.lost = true
		if p.attr != nil {
			p.attr.Close() // nothing was written, so nothing can be lost by it
			p.attr = nil
		}
	}
	return power.Sample{Meter: i, Time: t, Within: within, Raw: raw, Status: status}
}

// Close releases the files.
func (s *Source) Close() error {
	s.closed = true
	var err error
	for _, p := range s.ports {
		if p.attr != nil {
			err = errors.Join(err, p.attr.Close())
		}
	}
	return err
}
