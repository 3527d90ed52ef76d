package topology

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"agentwatt/shared/power"
)

// Draft writes a first topology of what is metered, for people to complete. It parses, and holds nothing that the meters do not
// show; what they cannot show stands in it as a question, in a comment.
func Draft(d Discovered) []byte {
	w := &drafter{index: newIndex(d), used: map[device]bool{}}
	w.list = slices.DeleteFunc(w.list, func(k device) bool { return !writable(k.host) || !writable(k.id) })
	w.line("# Topology: which rack input and node feeds which accelerator. Written from what is metered; complete the questions, then")
	w.line("# check it: meterd topology check. The manual is docs/topology.md.")
	w.line("")
	w.line("# Is the building's power usage effectiveness declared? Facility figures are modelled with it.")
	w.line("# pue: 1.2")
	w.racks()
	w.nodes()
	w.rest()
	return []byte(w.text.String())
}

// writable reports whether a file can hold the name and mean it. A real device has no other.
func writable(name string) bool {
	names, err := expand(name)
	return err == nil && len(names) == 1 && names[0] == name && utf8.ValidString(name) && !strings.Contains(name, "{name}")
}

// drafter writes the draft.
type drafter struct {
	*index
	text   strings.Builder
	used   map[device]bool // has a place, or is asked about
	racked bool            // there is a rack
}

func (w *drafter) line(format string, args ...any) {
	fmt.Fprintf(&w.text, format, args...)
	w.text.WriteByte('\n')
}

// all lists the devices of a scope that have no place yet, on a host; host "" is any. Parts of others in the list are left out.
func (w *drafter) all(host string, s power.Scope) (list []device) {
	for _, k := range w.list {
		if w.at(k, s) && !w.used[k] && (host == "" || k.host == host) {
			list = append(list, k)
		}
	}
	return slices.DeleteFunc(slices.Clone(list), func(k device) bool {
		_, part := wholeOf(k, list)
		w.used[k] = w.used[k] || part
		return part
	})
}

// racks writes the metered inputs as one rack: which rack each is in, no meter knows.
func (w *drafter) racks() {
	inputs := w.all("", power.Rack)
	if len(inputs) == 0 {
		w.line("\n# No rack input is metered: a figure at scope rack needs the PDUs or power shelves. Which are they?")
		w.line("# racks:\n#   - name: r1\n#     inputs:\n#       - {device: pdu-a/inlet-1, feed: A}\n#       - {device: pdu-b/inlet-1, feed: B}")
		return
	}
	w.racked = true
	w.line("\nracks:")
	w.line("  # Are all of these in one rack? Move those of other racks to a rack of their own.")
	w.line("  - name: rack-1")
	w.line("    # Do the nodes get direct current from a busbar, behind power shelves? Then say so:")
	w.line("    # delivers: dc")
	w.line("    inputs:")
	for _, k := range inputs {
		w.used[k] = true
		w.line("      - device: %s # %s", quote(w.ref(k)), strconv.QuoteToGraphic(w.meters[k][0].ID))
		w.line("        # Which utility feed is behind it, and is another input above it?")
		w.line("        # feed: A\n        # fed_by: pdu-a/outlet-1")
		if outlets := w.outlets(k); len(outlets) > 0 {
			w.names("        ", "outlets", outlets)
		}
	}
}

// ref returns the name by which a file finds a device.
func (w *drafter) ref(k device) string {
	if len(w.byID[k.id]) > 1 && !unique(k.id) {
		return k.host + "/" + k.id
	}
	return k.id
}

// outlets lists the metered outlets of the PDU that an input is of: those named beside it.
func (w *drafter) outlets(input device) (names []string) {
	_, parent := input.level()
	for _, k := range w.list {
		level, p := k.level()
		if k.host == input.host && p == parent && parent != "" && level == levels["outlet"] && k != input && !w.used[k] {
			w.used[k] = true
			names = append(names, w.ref(k))
		}
	}
	return names
}

// nodes writes every host that has accelerators, modules or a node meter of its own.
func (w *drafter) nodes() {
	var hosts []string
	for _, k := range w.list {
		if w.at(k, power.Accelerator) || w.at(k, power.Module) {
			hosts = append(hosts, k.host)
		}
	}
	slices.SortFunc(hosts, natural)
	hosts = slices.Compact(hosts)
	if len(hosts) == 0 {
		for _, k := range w.list {
			if w.at(k, power.Node) && !slices.Contains(hosts, k.host) {
				hosts = append(hosts, k.host)
			}
		}
	}
	if len(hosts) == 0 {
		return
	}
	w.line("\nnodes:")
	for i, h := range hosts {
		w.node(h, hosts, i == 0)
	}
}

func (w *drafter) node(host string, hosts []string, first bool) {
	w.line("  - name: %s", quote(host))
	if w.racked {
		w.line("    rack: rack-1")
	}
	if first {
		w.line("    # How many power supplies has it, and which outlets feed them? (A node on a busbar needs neither.)")
	}
	w.line("    # supplies: 2\n    # fed_by: [pdu-a/outlet-1, pdu-b/outlet-1]")
	w.input(host, hosts)
	w.accelerators(host)
}

// input writes what meters the node's input: on its own stream, or on that of a host that polls BMCs and names them by node.
func (w *drafter) input(host string, hosts []string) {
	list := w.all(host, power.Node)
	for _, k := range w.all("", power.Node) {
		if k.host != host && !slices.Contains(hosts, k.host) && slices.Contains(strings.FieldsFunc(k.id, separator), host) {
			list = append(list, k)
		}
	}
	if len(list) == 0 {
		w.line("    # Nothing meters its input: has it a BMC, on itself or over the network?\n    # input: bmc")
		return
	}
	for _, k := range list {
		w.used[k] = true
	}
	name := func(k device) string {
		if k.host == host {
			return k.id
		}
		return w.ref(k)
	}
	w.line("    input: %s", quote(name(list[0])))
	if len(list) > 1 {
		w.line("    # Are these the same input by other names, or are they to be added up as further inputs?")
		var others []string
		for _, k := range list[1:] {
			others = append(others, name(k))
		}
		w.names("    ", "also", others)
	}
}

func separator(r rune) bool { return r == '/' || r == ':' }

// accelerators writes a node's modules and the accelerators in them, as far as notes say which are in which.
func (w *drafter) accelerators(host string) {
	in := map[string][]device{}
	var alone []device
	modules := w.all(host, power.Module)
	for _, k := range w.all(host, power.Accelerator) {
		w.used[k] = true
		m := w.notes[k][NoteModule]
		if slices.ContainsFunc(modules, func(x device) bool { return x.id == m }) {
			in[m] = append(in[m], k)
		} else {
			alone = append(alone, k)
		}
	}
	if len(alone) > 0 {
		if len(modules) > 0 {
			w.line("    # Which of these are in which module below? Move them there.")
		}
		w.devices("    ", alone)
	}
	modules = slices.DeleteFunc(modules, func(k device) bool { return w.at(k, power.Accelerator) })
	if len(modules) > 0 {
		w.line("    modules:")
	}
	for _, m := range modules {
		w.used[m] = true
		w.line("      - device: %s", quote(m.id))
		if len(in[m.id]) > 0 {
			w.devices("        ", in[m.id])
		}
	}
}

// devices writes accelerators with what is known about each.
func (w *drafter) devices(indent string, list []device) {
	w.line("%saccelerators:", indent)
	for _, k := range list {
		about := w.meters[k][0].Name
		if pci := w.notes[k][NotePCI]; pci != "" {
			about = strings.TrimSpace(about + " at " + pci)
		}
		if about = strings.Join(strings.Fields(strings.ToValidUTF8(about, "?")), " "); about != "" {
			about = " # " + strconv.QuoteToGraphic(about)
		}
		w.line("%s  - %s%s", indent, quote(k.id), about)
	}
}

// rest asks about what is metered and has no place yet, and about equipment that the nodes share.
func (w *drafter) rest() {
	var names []string
	for _, s := range headline {
		for _, k := range w.all("", s) {
			w.used[k] = true
			names = append(names, k.String())
		}
	}
	if len(names) > 0 {
		w.line("\n# These are metered, too. Is each an input of a node above, a node of its own, or equipment that nodes share?")
		for _, n := range fold(names) {
			w.line("#   %s", strconv.QuoteToGraphic(n))
		}
	}
	w.line("\n# What do the nodes share: switch trays, coolant pumps, management? Each is measured, or taken at the most that its maker")
	w.line("# states, or left out for a reason.")
	w.line("# equipment:\n#   - name: switch-[1-9]\n#     rack: rack-1\n#     max_watts: 1000")
}

// names writes a key with one name or a list of them, folded.
func (w *drafter) names(indent, key string, names []string) {
	patterns := fold(names)
	for i, p := range patterns {
		patterns[i] = quote(p)
	}
	if len(patterns) == 1 {
		w.line("%s%s: %s", indent, key, patterns[0])
		return
	}
	w.line("%s%s:", indent, key)
	for _, p := range patterns {
		w.line("%s  - %s", indent, p)
	}
}

// quote writes a name as a YAML scalar.
func quote(s string) string {
	plain := s != "" && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_./[],:") == "" &&
		strings.ContainsAny(s[:1], "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") && !strings.HasSuffix(s, ":")
	if plain && !slices.Contains([]string{"true", "false", "null", "yes", "no", "on", "off", "y", "n"}, strings.ToLower(s)) {
		return s
	}
	return strconv.Quote(s)
}
