package topology

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"agentwatt/shared/power"
)

// Simulated reports whether no hardware stands behind one of the meters.
func (d Discovered) Simulated() bool {
	return slices.ContainsFunc(d.Meters, func(m HostMeter) bool { return m.Meter.Simulated })
}

// HostMeter is a meter and the host on whose stream it is.
type HostMeter struct {
	Host  string
	Meter power.Meter
}

// HostNote is a note and the host on whose stream it is.
type HostNote struct {
	Host string
	Note power.Note
}

// Discovered is what is metered, as a probe or a stream shows it. Order and repetition do not matter.
type Discovered struct {
	Meters []HostMeter
	Notes  []HostNote
}

// The keys of notes that say where a device is.
const (
	NotePCI    = "pci_address"   // of an accelerator, e.g. 0000:1b:00.0
	NoteModule = "module"        // what an accelerator shares with the others of its module
	NoteSerial = "serial_number" // of the board; two dies of one board may have the same
)

// Discover lists what batches show. Two host names with one boot id are one machine, and its devices are named by the first of
// the two, as in a joined figure.
func Discover(batches []power.Batch) (d Discovered) {
	host := map[string]string{} // by boot id
	for _, b := range batches {
		if first, ok := host[b.Boot]; !ok || b.Host < first {
			host[b.Boot] = b.Host
		}
	}
	for _, b := range batches {
		name := b.Host
		if b.Boot != "" {
			name = host[b.Boot]
		}
		for _, m := range b.Meters {
			d.Meters = append(d.Meters, HostMeter{name, m})
		}
		for _, n := range b.Notes {
			d.Notes = append(d.Notes, HostNote{name, n})
		}
	}
	d.Meters = slices.CompactFunc(d.sorted(), func(a, b HostMeter) bool { return a.Host == b.Host && a.Meter.ID == b.Meter.ID })
	return d
}

// sorted returns the meters in an order that does not depend on how they were found.
func (d Discovered) sorted() []HostMeter {
	list := slices.Clone(d.Meters)
	slices.SortStableFunc(list, func(a, b HostMeter) int {
		return cmp.Or(natural(a.Host, b.Host), natural(a.Meter.Device, b.Meter.Device), cmp.Compare(a.Meter.ID, b.Meter.ID),
			cmp.Compare(a.Meter.Scope, b.Meter.Scope), cmp.Compare(a.Meter.Quantity, b.Meter.Quantity))
	})
	return list
}

// device is one metered thing. One that nothing meters and that is no host's own is of host "".
type device struct{ host, id string }

// String returns the id, with the host in front where other hosts may use the same.
func (d device) String() string {
	if d.host == "" || unique(d.id) {
		return d.id
	}
	return d.host + "/" + d.id
}

// index finds devices by the names that a file may give them.
type index struct {
	list   []device // in natural order
	meters map[device][]power.Meter
	byID   map[string][]device
	byName map[string][]device // other names of devices, whole
	begins map[string][]device // beginnings of their names, up to a slash
	byPCI  map[device]device   // host and address
	notes  map[device]map[string]string
}

func newIndex(d Discovered) *index {
	x := &index{meters: map[device][]power.Meter{}, byID: map[string][]device{}, byName: map[string][]device{}, begins: map[string][]device{},
		byPCI: map[device]device{}, notes: map[device]map[string]string{}}
	for _, m := range d.sorted() {
		k := device{m.Host, m.Meter.Device}
		if x.meters[k] == nil {
			x.list = append(x.list, k)
			x.byID[k.id] = append(x.byID[k.id], k)
		}
		x.meters[k] = append(x.meters[k], m.Meter)
	}
	for _, n := range d.Notes {
		k := device{n.Host, n.Note.Device}
		if x.notes[k] == nil {
			x.notes[k] = map[string]string{}
		}
		x.notes[k][n.Note.Key] = max(x.notes[k][n.Note.Key], n.Note.Value)
	}
	for _, k := range x.list {
		x.addNames(k)
		if a, ok := parsePCI(x.pci(k)); ok {
			x.byPCI[device{k.host, a.String()}] = k
		}
	}
	return x
}

// pci returns the address of a device: from a note, or because it is named by its address.
func (x *index) pci(k device) string { return cmp.Or(x.notes[k][NotePCI], k.id) }

// at reports whether a device has a meter of the scope.
func (x *index) at(k device, s power.Scope) bool {
	return slices.ContainsFunc(x.meters[k], func(m power.Meter) bool { return m.Scope == s })
}

// name returns what a joined figure calls the device: its id, with the host in front where several hosts use the id.
func (x *index) name(k device) string {
	if len(x.byID[k.id]) > 1 || x.meters[k] == nil && k.host != "" {
		return k.host + "/" + k.id
	}
	return k.id
}

// addNames lists the names of a device beside its id, and how they begin. A meter's ID is source/what/field, where what is
// the name that people gave, even if the device's id is a serial number: "snmp/pdu-a/inlet-1/power" is also "pdu-a/inlet-1".
func (x *index) addNames(k device) {
	names := []string{k.id}
	for _, m := range x.meters[k] {
		_, what, _ := strings.Cut(m.ID, "/")
		if i := strings.LastIndexByte(what, '/'); i > 0 {
			names = append(names, m.ID, what[:i])
		}
	}
	add := func(to map[string][]device, name string) {
		if list := to[name]; len(list) == 0 || list[len(list)-1] != k {
			to[name] = append(list, k)
		}
	}
	for _, n := range names {
		add(x.byName, n)
		for i := range len(n) {
			if n[i] == '/' {
				add(x.begins, n[:i])
			}
		}
	}
}

// finder looks names of a file up.
type finder struct {
	*index
	nodes map[string]bool // hosts that are nodes of the file: their devices are their own
}

// find returns the device that ref means: one of the given host, if there is one; host "" is any. It is the id of a device, a PCI
// address, host/id, or else the beginning of a name up to a slash, where only one device of the scopes has it. all lists the
// devices that it may mean where those are several.
func (x finder) find(ref, host string, scopes ...power.Scope) (k device, ok bool, all []device) {
	if k = (device{host, ref}); x.meters[k] != nil {
		return k, true, nil
	}
	if a, isPCI := parsePCI(ref); isPCI {
		if k, ok = x.byPCI[device{host, a.String()}]; ok {
			return k, true, nil
		}
	}
	all = slices.DeleteFunc(slices.Clone(x.byID[ref]), func(k device) bool { return host != "" && x.nodes[k.host] && !unique(ref) })
	for i := range len(ref) {
		if k := (device{ref[:i], ref[i+1:]}); ref[i] == '/' && x.meters[k] != nil {
			all = append(all, k)
		}
	}
	if len(all) == 0 {
		all = x.called(ref, host, scopes)
	}
	switch {
	case len(all) == 1:
		return all[0], true, nil
	case len(all) > 1 || unique(ref):
		host = ""
	}
	return device{host, ref}, false, all
}

// called lists the devices by one of their other names, or by its beginning if they are metered at one of the scopes. Those of the
// host itself go before those that others meter.
func (x finder) called(ref, host string, scopes []power.Scope) (all []device) {
	list := x.byName[ref]
	for _, s := range scopes {
		if len(list) == 0 {
			list = slices.DeleteFunc(slices.Clone(x.begins[ref]), func(k device) bool { return !x.at(k, s) })
		}
	}
	var others []device
	for _, k := range list {
		switch {
		case host == "" || k.host == host:
			all = append(all, k)
		case !x.nodes[k.host]:
			others = append(others, k)
		}
	}
	if len(all) == 0 {
		return others
	}
	return all
}

// unique reports whether a device's id is its own in the whole world: it holds a UUID.
func unique(id string) bool {
	const groups = 5 // 8-4-4-4-12 hexadecimal digits
	parts := strings.FieldsFunc(id, func(r rune) bool { return r == '-' || r == '/' })
	for i := 0; i+groups <= len(parts); i++ {
		ok := true
		for j, want := range []int{8, 4, 4, 4, 12} {
			p := parts[i+j]
			ok = ok && len(p) == want && strings.Trim(p, "0123456789abcdefABCDEF") == ""
		}
		if ok {
			return true
		}
	}
	return false
}

// pciAddress is domain:bus:slot.function.
type pciAddress struct{ domain, bus, slot, function uint64 }

func (a pciAddress) String() string {
	return strconv.FormatUint(a.domain, 16) + ":" + strconv.FormatUint(a.bus, 16) + ":" + strconv.FormatUint(a.slot, 16) + "." + strconv.FormatUint(a.function, 16)
}

// parsePCI reads an address as the kernel (0000:1b:00.0) or NVML (00000000:1B:00.0) writes it.
func parsePCI(s string) (a pciAddress, ok bool) {
	domain, rest, ok1 := strings.Cut(s, ":")
	bus, rest, ok2 := strings.Cut(rest, ":")
	slot, function, ok3 := strings.Cut(rest, ".")
	if !ok1 || !ok2 || !ok3 {
		return a, false
	}
	for _, f := range []struct {
		text string
		bits int
		to   *uint64
	}{{domain, 32, &a.domain}, {bus, 8, &a.bus}, {slot, 5, &a.slot}, {function, 3, &a.function}} {
		v, err := strconv.ParseUint(f.text, 16, f.bits)
		if err != nil {
			return a, false
		}
		*f.to = v
	}
	return a, true
}
