package amdgpu

import (
	"math/bits"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"agentwatt/shared/clock"
	"agentwatt/shared/power"
)

// tree is a directory of files that stands for /sys on a host with AMD GPUs, in virtual time. It obeys physics: a GPU's counter
// is the exact integral of its power since the driver was loaded, floored to whole counts.
type tree struct {
	t       testing.TB
	root    string
	elapsed time.Duration
	gpus    map[string]*gpu // by PCI address
}

// gpu is one card of a tree.
type gpu struct {
	card     string // directory below class/drm
	revision string // of gpu_metrics; empty: the card has none
	load     load
	since    time.Duration // when its counter was 0
	stopped  time.Duration // when its counter stopped; 0: never
	change   func([]byte)  // applied to each table; nil: none
}

// load is a square wave: low watts, then high watts, each for half a period.
type load struct {
	low, high int64
	half      time.Duration
}

// nanojoules is the exact energy from time zero to t.
func (l load) nanojoules(t time.Duration) uint64 {
	if l.half == 0 {
		return uint64(l.low) * uint64(t)
	}
	periods, rest := t/(2*l.half), t%(2*l.half)
	low, high := periods*l.half+min(rest, l.half), periods*l.half+max(rest-l.half, 0)
	return uint64(l.low)*uint64(low) + uint64(l.high)*uint64(high)
}

func (l load) watts(t time.Duration) int64 {
	if l.half != 0 && t%(2*l.half) >= l.half {
		return l.high
	}
	return l.low
}

// counts is the counter at time t: 2^-16 J are 10^9/65536 nJ.
func (g *gpu) counts(t time.Duration) uint64 {
	if g.stopped != 0 {
		t = min(t, g.stopped)
	}
	hi, lo := bits.Mul64(g.load.nanojoules(t)-g.load.nanojoules(g.since), 65536)
	q, _ := bits.Div64(hi, lo, 1_000_000_000)
	return q
}

const epoch = 1000 * time.Second // where virtual time begins

func newTree(t testing.TB) *tree {
	return &tree{t: t, root: t.TempDir(), elapsed: epoch, gpus: map[string]*gpu{}}
}

func (tr *tree) now() clock.Stamp { return clock.Stamp(tr.elapsed) }

func (tr *tree) class() string { return filepath.Join(tr.root, "class", "drm") }

// device returns the directory of the PCI device at an address.
func (tr *tree) device(pci string) string { return filepath.Join(tr.root, "devices", pci) }

// plug makes a card on a PCI device, as the driver does when it is bound; files are added to it, by path below the device.
func (tr *tree) plug(card, pci, id string, g gpu, files map[string]string) {
	tr.t.Helper()
	dir := filepath.Join(tr.class(), card)
	must(tr.t, os.MkdirAll(dir, 0o755))
	must(tr.t, os.MkdirAll(tr.device(pci), 0o755))
	must(tr.t, os.Symlink(tr.device(pci), filepath.Join(dir, "device")))
	tr.put(pci, "vendor", "0x1002")
	tr.put(pci, "device", id)
	for name, text := range files {
		tr.put(pci, name, text)
	}
	g.card = card
	tr.gpus[pci] = &g
	tr.refresh()
}

// unplug takes a card away. Open files of a real one then give ENODEV; in a directory, empty files stand for that.
func (tr *tree) unplug(pci string) {
	tr.t.Helper()
	must(tr.t, filepath.Walk(tr.device(pci), func(path string, info os.FileInfo, err error) error {
		if err == nil && info.Mode().IsRegular() {
			err = os.Truncate(path, 0)
		}
		return err
	}))
	must(tr.t, os.RemoveAll(tr.device(pci)))
	must(tr.t, os.RemoveAll(filepath.Join(tr.class(), tr.gpus[pci].card)))
	delete(tr.gpus, pci)
}

func (tr *tree) put(pci, file, text string) {
	tr.t.Helper()
	path := filepath.Join(tr.device(pci), file)
	must(tr.t, os.MkdirAll(filepath.Dir(path), 0o755))
	must(tr.t, os.WriteFile(path, []byte(text+"\n"), 0o600))
}

// advance moves virtual time, for the cards too.
func (tr *tree) advance(d time.Duration) {
	tr.t.Helper()
	tr.elapsed += d
	tr.refresh()
}

// refresh writes what the driver would answer now.
func (tr *tree) refresh() {
	tr.t.Helper()
	for pci, g := range tr.gpus {
		watts := g.load.watts(tr.elapsed)
		if g.revision == "" {
			tr.put(pci, "hwmon/hwmon3/power1_average", strconv.FormatInt(watts*1_000_000, 10))
			continue
		}
		b := blob(g.revision, g.counts(tr.elapsed), uint16(watts), uint64(tr.elapsed/10))
		if g.change != nil {
			g.change(b)
		}
		must(tr.t, os.WriteFile(filepath.Join(tr.device(pci), "gpu_metrics"), b, 0o600))
	}
}

func (tr *tree) open() *Source {
	tr.t.Helper()
	s, err := Open(tr.t.Context(), Options{SysRoot: tr.root, Now: tr.now})
	must(tr.t, err)
	tr.t.Cleanup(func() { s.Close() })
	return s
}

// read reads once and returns the samples by meter ID.
func (tr *tree) read(s *Source) map[string]power.Sample {
	tr.t.Helper()
	got, err := s.Read(tr.t.Context(), nil)
	must(tr.t, err)
	m := map[string]power.Sample{}
	for _, x := range got {
		m[s.Meters()[x.Meter].ID] = x
	}
	return m
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// hwmonFiles is what a card with a power limit of the given watts has.
func hwmonFiles(watts string) map[string]string {
	return map[string]string{
		"hwmon/hwmon3/name": "amdgpu", "hwmon/hwmon3/power1_cap": watts + "000000", "hwmon/hwmon3/power1_cap_max": watts + "000000",
	}
}
