// Package rapl reads the energy counters of processors (Intel RAPL, and AMD's counters under the same names) from the
// powercap tree of /sys.
package rapl

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"agentwatt/meterd/internal/sampler"
	"agentwatt/meterd/internal/sysfs"
	"agentwatt/shared/clock"
	"agentwatt/shared/fault"
	"agentwatt/shared/power"
)

// Source reads all counters of one powercap tree.
type Source struct {
	now    func() clock.Stamp
	meters []power.Meter
	attrs  []*sysfs.Attr // of the meter with the same index
	watch  watch
	closed bool
}

// Open finds the counters under sysRoot, which is /sys on a real host; now stamps the samples. Errors wrap
// sampler.ErrUnavailable where there is no counter, or where none may be read; the latter carries a hint.
// A counter that may not be read while others may is a meter whose samples have status power.Denied.
func Open(sysRoot string, now func() clock.Stamp) (*Source, error) {
	class := filepath.Join(sysRoot, "class", "powercap")
	list, err := zones(class)
	if err != nil {
		return nil, fmt.Errorf("find energy counters: %w", err)
	}
	s := &Source{now: now}
	seen := map[string]bool{}
	var denied error
	for _, z := range list {
		a, err := sysfs.Open(filepath.Join(z.dir, "energy_uj"))
		switch sysfs.Status(err) {
		case power.OK:
		case power.Denied:
			denied = err
		default:
			continue // a zone without a counter, or one that is switched off
		}
		m := z.meter()
		if seen[m.ID] { // as on machines with one psys per socket
			m.ID = "rapl/" + m.Device + "@" + filepath.Base(z.dir) + "/energy"
		}
		seen[m.ID] = true
		s.meters = append(s.meters, m)
		s.attrs = append(s.attrs, a)
		s.watch.tell(m, z, now())
	}
	if len(s.meters) == 0 {
		return nil, fmt.Errorf("no energy counter in %s: %w", class, sampler.ErrUnavailable)
	}
	if !s.readable() {
		err := fmt.Errorf("read energy counters: %w: %w", denied, sampler.ErrUnavailable)
		return nil, fault.Hint(errors.Join(err, s.Close()), "the kernel keeps energy_uj for root, since it tells what a processor computes (CVE-2020-8694): "+
			"install the udev rule that opens it to a group and join that group, give meterd CAP_DAC_READ_SEARCH, or run as root")
	}
	return s, nil
}

func (s *Source) readable() bool {
	for _, a := range s.attrs {
		if _, err := a.Int(); sysfs.Status(err) != power.Denied {
			return true
		}
	}
	return false
}

// Meters lists one counter per domain; it never changes.
func (s *Source) Meters() []power.Meter { return s.meters }

// Read reads every counter once. It does not allocate.
func (s *Source) Read(ctx context.Context, dst []power.Sample) ([]power.Sample, error) {
	if s.closed {
		return dst, fmt.Errorf("read energy counters: %w", os.ErrClosed)
	}
	if err := ctx.Err(); err != nil {
		return dst, err
	}
	s.watch.read(s.now())
	for i, a := range s.attrs {
		before := s.now()
		raw, err := a.Int()
		t, within := sampler.Stamp(before, s.now())
		dst = append(dst, power.Sample{Meter: i, Time: t, Within: within, Raw: raw, Status: sysfs.Status(err)})
	}
	return dst, nil
}

// Notes tells what decides whether a wrap of a counter can be told from a reset: once what the counters are, and each time
// the reads come too far apart.
func (s *Source) Notes(dst []power.Note) []power.Note { return s.watch.notes(dst) }

// Close releases the files.
func (s *Source) Close() error {
	s.closed = true
	var err error
	for _, a := range s.attrs {
		err = errors.Join(err, a.Close())
	}
	return err
}
