// Package amdgpu reads the power meters of AMD GPUs from the kernel's driver, without any library: the binary gpu_metrics table
// of each card under /sys/class/drm, with the energy counter and the socket's power, and the hwmon channels of cards whose
// table is missing or of a revision that is not known.
//
// Cards are found by their PCI device, one per socket: the partitions of a GPU (DPX, QPX, CPX) have no PCI device of their own
// and no power, and the second die of an MI250X reports nothing, since the first reports for both. A meter's Device is the
// card's PCI address, as for every other source that sees the same GPU.
package amdgpu

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"agentwatt/meterd/internal/amdchip"
	"agentwatt/meterd/internal/sampler"
	"agentwatt/shared/clock"
	"agentwatt/shared/fault"
	"agentwatt/shared/power"
)

// Options says where to look. The zero value is right on a normal host.
type Options struct {
	SysRoot string             // empty: /sys
	Now     func() clock.Stamp // stamps of the reads; nil: the wall clock, unanchored
}

// Source reads all AMD cards of one host.
type Source struct {
	root   string
	driver string // version of the amdgpu module; empty if it has none
	now    func() clock.Stamp
	meters atomic.Pointer[[]power.Meter] // replaced as a whole when cards come
	cards  []*card
	absent []string
	notes  []power.Note // not yet handed out
	lost   bool         // a card is away
	looked clock.Stamp  // when the tree was last searched
	asked  clock.Stamp  // when the cards were last asked for what is in force
	closed bool
}

const (
	searchAgain = time.Second     // between searches for cards that are lost: bound again, a card gets a new directory
	askAgain    = 5 * time.Second // between looks at limits and partition modes
)

// Open finds the cards. Errors wrap sampler.ErrUnavailable where there is no AMD card, or none with a value that may be read.
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
	s := &Source{root: o.SysRoot, driver: amdchip.Driver(o.SysRoot), now: o.Now}
	s.meters.Store(new([]power.Meter))
	found, err := s.search()
	for _, c := range s.cards {
		for _, reason := range c.absent {
			s.absent = append(s.absent, c.pci+": "+reason)
		}
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("find AMD GPUs: %w", err)
	case found == 0:
		return nil, fmt.Errorf("no AMD GPU in %s: %w", s.class(), sampler.ErrUnavailable)
	case len(s.Meters()) == 0:
		err := fmt.Errorf("no AMD GPU offers power or energy: %s: %w", strings.Join(s.absent, "; "), sampler.ErrUnavailable)
		return nil, fault.Hint(err, "see that the amdgpu driver is bound, that this user may read %s/card*/device/gpu_metrics, "+
			"and that this is not a virtual machine", s.class())
	}
	if s.driver != "" {
		s.note("", "driver_version", s.driver)
	}
	return s, nil
}

func (s *Source) class() string { return filepath.Join(s.root, "class", "drm") }

// search looks through the tree and returns how many cards it found. It connects cards that were lost and adds new ones; a
// card that was listed keeps its meters and their places.
func (s *Source) search() (found int, err error) {
	s.looked = s.now()
	places, err := findCards(s.class())
	if err != nil {
		return 0, err
	}
	for _, p := range places {
		switch old := s.card(p.pci); {
		case old == nil:
			s.add(p)
		case old.lost:
			old.connect(p)
		}
	}
	return len(places), nil
}

// card returns the card at a PCI address; nil if it is not known.
func (s *Source) card(pci string) *card {
	for _, c := range s.cards {
		if c.pci == pci {
			return c
		}
	}
	return nil
}

// add takes a new card in. A card without a value is kept, so that it is not looked at again and again.
func (s *Source) add(p place) {
	c := &card{place: p}
	c.connect(p)
	c.discover()
	old := s.Meters()
	meters := old[:len(old):len(old)] // the old slice is in use
	for i := range c.values {
		if c.values[i].field == amdchip.Baseboard && s.hasBaseboard() {
			c.values[i].attr.Close() // nothing was written
			c.values = c.values[:i]  // the last one: another card reports the same board
			break
		}
		meters = append(meters, c.meter(c.values[i], s.driver))
	}
	c.first = len(old)
	s.cards = append(s.cards, c)
	s.meters.Store(&meters)
	for _, n := range c.facts() {
		s.note(p.pci, n.key, n.value)
	}
	s.ask(c)
}

func (s *Source) hasBaseboard() bool {
	for _, m := range s.Meters() {
		if m.Scope == power.Component {
			return true
		}
	}
	return false
}

// Meters lists what the cards offer. A card that is lost stays listed until it is found again.
func (s *Source) Meters() []power.Meter { return *s.meters.Load() }

// Absent lists what the cards of this host did not offer when the source was opened, each with its reason.
func (s *Source) Absent() []string { return s.absent }

// Read reads each card once: one system call for the table, and one for each value that is not in it. It does not allocate
// while nothing changes.
func (s *Source) Read(ctx context.Context, dst []power.Sample) ([]power.Sample, error) {
	if s.closed {
		return dst, fmt.Errorf("read AMD GPUs after the end: %w", sampler.ErrGone)
	}
	if err := ctx.Err(); err != nil {
		return dst, err
	}
	now := s.now()
	if s.lost && now.Sub(s.looked) >= searchAgain {
		if _, err := s.search(); err != nil {
			return dst, fmt.Errorf("find lost AMD GPUs: %w", err)
		}
	}
	ask := now.Sub(s.asked) >= askAgain
	if ask {
		s.asked = now
	}
	s.lost = false
	for _, c := range s.cards {
		dst = c.read(s.now, dst)
		s.lost = s.lost || c.lost
		if event := c.event; event != "" {
			s.note(c.pci, "energy_counter", event)
		}
		if ask {
			s.ask(c)
		}
	}
	return dst, nil
}

// ask notes what of a card's context has changed.
func (s *Source) ask(c *card) {
	if watts, changed := c.limitChanged(); changed {
		s.note(c.pci, "power_limit_watts", watts)
	}
	if mode, changed := c.modeChanged(); changed {
		s.note(c.pci, "partition_mode", mode)
	}
}

func (s *Source) note(device, key, value string) {
	t, _ := sampler.Stamp(s.now(), s.now())
	s.notes = append(s.notes, power.Note{Time: t, Device: device, Key: key, Value: value})
}

// Notes appends what was found out since the last call: versions and identities once, limits, partition modes and the state of
// the energy counter when they change.
func (s *Source) Notes(dst []power.Note) []power.Note {
	dst = append(dst, s.notes...)
	s.notes = s.notes[:0]
	return dst
}

// Close releases the files. Closing twice is the same as once.
func (s *Source) Close() error {
	s.closed = true
	for _, c := range s.cards {
		c.close()
	}
	return nil
}
