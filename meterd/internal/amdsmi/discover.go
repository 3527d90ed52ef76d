//go:build linux && cgo

package amdsmi

import (
	"cmp"
	"fmt"
	"math"
	"path/filepath"
	"strconv"
	"strings"

	"agentwatt/meterd/internal/amdchip"
	"agentwatt/meterd/internal/sampler"
	"agentwatt/meterd/internal/sysfs"
	"agentwatt/shared/fault"
	"agentwatt/shared/power"
)

// discover checks the version and lists the GPUs with what they offer.
func (s *Source) discover(o Options) error {
	words, c := s.lib.version()
	if c != success {
		return fmt.Errorf("ask %s for its version: %v: %w", s.lib.path, c, sampler.ErrUnavailable)
	}
	var version string
	var err error
	if s.layout, version, err = layoutOf(words); err != nil {
		err = fmt.Errorf("load AMD SMI: %s: %w: %w", s.lib.path, err, sampler.ErrUnavailable)
		return fault.Hint(err, "install a known version, or switch this source off: amdgpu reads the same GPUs without a library")
	}
	s.note("", "library_version", version)
	s.note("", "library_layout", s.layout.name)
	driver := amdchip.Driver(o.SysRoot)
	if driver != "" {
		s.note("", "driver_version", driver)
	}
	sockets, odd, err := s.sockets()
	if err != nil {
		return err
	}
	s.absent = odd
	for _, k := range sockets {
		id, _ := sysfs.Line(filepath.Join(o.SysRoot, "bus", "pci", "devices", k.pci, "device"))
		s.add(k, amdchip.Of(id), driver)
	}
	switch {
	case len(sockets) == 0:
		return fmt.Errorf("AMD SMI sees no GPU: %w", sampler.ErrUnavailable)
	case len(s.meters) == 0:
		err := fmt.Errorf("no AMD GPU offers power or energy: %s: %w", strings.Join(s.absent, "; "), sampler.ErrUnavailable)
		return fault.Hint(err, "see that amd-smi metric --power works for this user; a virtual machine is not given these values")
	}
	return nil
}

// socket is one GPU with the processors that it is partitioned into, the first one first.
type socket struct {
	pci        string
	processors []handle
}

// The processor types that are GPUs: AMDSMI_PROCESSOR_TYPE_AMD_GPU and _APU.
const (
	typeGPU = 1
	typeAPU = 6
)

// sockets lists the GPUs by PCI device. The partitions of one (DPX, QPX, CPX) are processors that differ in the function of their
// address, or in nothing; the GPU itself is function 0. What is odd about a processor is said in odd.
func (s *Source) sockets() (list []socket, odd []string, err error) {
	processors, c := s.lib.processors()
	if c != success {
		return nil, nil, fmt.Errorf("list the GPUs that AMD SMI sees: %v: %w", c, sampler.ErrUnavailable)
	}
	known := map[string]int{}
	for _, p := range processors {
		if kind, c := s.lib.processorType(p); c != success || kind != typeGPU && kind != typeAPU {
			continue
		}
		bdf, c := s.lib.bdf(p)
		if c != success {
			odd = append(odd, fmt.Sprintf("a GPU without a PCI address: %v", c))
			continue
		}
		pci := address(bdf)
		i, ok := known[pci]
		if !ok {
			i = len(list)
			known[pci] = i
			list = append(list, socket{pci: pci})
		}
		list[i].processors = append(list[i].processors, p)
	}
	return list, odd, nil
}

// address writes a PCI device as sysfs does, with function 0.
func address(bdf uint64) string {
	return fmt.Sprintf("%04x:%02x:%02x.0", bdf>>16, bdf>>8&0xff, bdf>>3&0x1f)
}

// add takes a GPU in. A second die, and one that offers nothing, is absent. A counter that fails for another reason than missing
// support is kept, and its samples will say so; of power that fails it is not known which kind it would be.
func (s *Source) add(k socket, c amdchip.Chip, driver string) {
	d := &device{pci: k.pci, chip: c, handle: k.processors[0], first: len(s.meters)}
	absent := func(format string, args ...any) {
		s.absent = append(s.absent, k.pci+": "+fmt.Sprintf(format, args...))
	}
	r := s.lib.read(d.handle)
	if average, st := r.value(amdchip.Average, s.layout); r.energy == success && st == power.OK && c.SecondDie(r.counts, average) {
		absent("second die of its module: the first die reports the power and energy of both")
		return
	}
	hasPower := false
	for _, f := range []amdchip.Field{amdchip.Socket, amdchip.Average, amdchip.Baseboard} {
		if _, st := r.value(f, s.layout); st == power.OK && (f != amdchip.Baseboard || !s.hasBaseboard()) {
			d.fields = append(d.fields, f)
			hasPower = hasPower || f != amdchip.Baseboard
		}
	}
	if !hasPower {
		absent("power: %v", why(r.power))
	}
	resolution := r.resolution
	switch _, st := r.value(amdchip.Energy, s.layout); {
	case st != power.OK && st != power.Failed:
		absent("energy: %v", why(r.energy))
	case !c.Counts(s.lib.metricsVersion(d.handle)):
		absent("energy: the unit of the counter is not known for a %s", c.Arch)
	default:
		d.fields = append([]amdchip.Field{amdchip.Energy}, d.fields...)
		s.noteResolution(k.pci, float64(resolution))
	}
	if len(d.fields) > 0 {
		s.describe(d, driver)
	}
}

// why says why there is no value after a call that returned c.
func why(c code) code {
	if c == success {
		return notSupported // the call went well and left the mark for what is not there
	}
	return c
}

func (s *Source) hasBaseboard() bool {
	for _, m := range s.meters {
		if m.Scope == power.Component {
			return true
		}
	}
	return false
}

// noteResolution notes the library's idea of a count where it is not 2^-16 J. All versions so far have 15.3 µJ, which is
// 0.27 % too much; it is not used.
func (s *Source) noteResolution(pci string, microjoules float64) {
	const exact = 1e6 / 65536
	if math.Abs(microjoules/exact-1) > 1e-6 {
		s.note(pci, "library_resolution_microjoules", strconv.FormatFloat(microjoules, 'g', 6, 64))
	}
}

// describe makes the meters of a GPU and notes what it is.
func (s *Source) describe(d *device, driver string) {
	var most int64
	if info, c := s.lib.powerCap(d.handle); c == success {
		d.limit, most = limits(info)
		most = cmp.Or(most, d.limit)
	}
	name := ""
	if b, c := s.lib.name(d.handle); c == success {
		name = string(b)
	}
	for _, f := range d.fields {
		m := d.chip.Meter("amdsmi", d.pci, f, driver, power.Power(most)*power.Watt)
		if name != "" && f != amdchip.Baseboard {
			m.Name = name
		}
		s.meters = append(s.meters, m)
	}
	s.devices = append(s.devices, d)
	if b, c := s.lib.uuid(d.handle); c == success && len(b) > 0 {
		s.note(d.pci, "uuid", string(b))
	}
	d.limit = 0 // not told yet
	s.ask(d)
}
