package topology

import (
	"slices"

	"agentwatt/shared/power"
)

// modules finds a module whose power several of its accelerators report: one module in several devices.
func (c *checker) modules() {
	counted := c.counted()[power.Module]
	for _, group := range c.reporters() {
		if len(group) < 2 {
			continue
		}
		n := 0
		for _, k := range group {
			n += count(counted[k])
		}
		text := "these accelerators report the power of one module"
		switch {
		case n > 1:
			c.add(Error, SharedModule, "host "+group[0].host, c.called(group...), "%s, and %d of them are counted", text, n)
		default:
			c.add(Info, SharedModule, "host "+group[0].host, c.called(group...), "%s: it counts once", text)
		}
		c.explain(group...)
	}
}

// reporters groups accelerators with a meter of scope module by the module that they share, as their notes say or else the file.
func (c *checker) reporters() (groups [][]device) {
	of := map[device]device{} // accelerator to module
	for _, n := range c.nodes {
		for _, m := range n.modules {
			for _, p := range m.accelerators {
				of[p.at] = device{n.name, m.ref}
			}
		}
	}
	for _, k := range c.index.list {
		if id := c.index.notes[k][NoteModule]; id != "" {
			of[k] = device{k.host, id}
		}
	}
	found := map[device][]device{}
	for _, k := range c.index.list {
		if m, ok := of[k]; ok && c.index.at(k, power.Module) {
			found[m] = append(found[m], k)
		}
	}
	for _, group := range found {
		groups = append(groups, group)
	}
	return groups
}

// boards finds accelerators that may be one device: partitions, which share a PCI slot, and dies that share a board's serial
// number. On an MI250X one die reports both; two GPUs of one module may share a number and each report its own.
func (c *checker) boards() {
	type board struct{ host, id string }
	slots, serials := map[board][]device{}, map[board][]device{}
	counted := c.counted()[power.Accelerator]
	for _, k := range c.index.list {
		if !c.index.at(k, power.Accelerator) {
			continue
		}
		if a, ok := parsePCI(c.index.pci(k)); ok {
			a.function = 0 // of partitions, only the function differs
			slots[board{k.host, a.String()}] = append(slots[board{k.host, a.String()}], k)
		}
		if s := c.index.notes[k][NoteSerial]; s != "" {
			serials[board{k.host, s}] = append(serials[board{k.host, s}], k)
		}
	}
	both := func(list []device) bool {
		return len(slices.DeleteFunc(slices.Clone(list), func(k device) bool { return !counted[k] })) > 1
	}
	inSlot := map[device]bool{}
	for b, list := range slots {
		if len(list) < 2 {
			continue
		}
		for _, k := range list {
			inSlot[k] = true
		}
		if both(list) {
			c.add(Error, SharedBoard, "host "+b.host, c.called(list...), "partitions of one device at PCI %s: its energy counts once", b.id)
		} else {
			c.add(Info, SharedBoard, "host "+b.host, c.called(list...), "partitions of one device at PCI %s: one of them counts", b.id)
		}
		c.explain(list...)
	}
	for b, list := range serials {
		if len(list) > 1 && both(list) && !inSlot[list[0]] && !c.oneModule(list) {
			c.add(Warning, SharedBoard, "host "+b.host, c.called(list...), "dies of one board: where one reports the power of all, as on an MI250X, only that one counts")
		}
	}
}

// oneModule reports whether the file or the notes put all of the accelerators into one module.
func (c *checker) oneModule(list []device) bool {
	for _, n := range c.nodes {
		for _, m := range n.modules {
			inside := 0
			for _, p := range m.accelerators {
				inside += count(slices.Contains(list, p.at))
			}
			if inside == len(list) {
				return true
			}
		}
	}
	first := c.index.notes[list[0]][NoteModule]
	return first != "" && !slices.ContainsFunc(list, func(k device) bool { return c.index.notes[k][NoteModule] != first })
}
