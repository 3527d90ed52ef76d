package search

import (
	"bytes"
	"fmt"
	"os"

	"agentwatt/runner/internal/bench"
)

const procStat = "/proc/stat"

// ticks is how a processor spent its time since boot, in the kernel's units.
type ticks struct{ all, idle, stolen float64 }

// processors reads the account of each processor from a file like /proc/stat; nil: there is none.
func processors(path string) (list []ticks) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	for line := range bytes.Lines(text) {
		if !bytes.HasPrefix(line, []byte("cpu")) || bytes.HasPrefix(line, []byte("cpu ")) { // the sum of all is not one
			continue
		}
		var n int
		var user, nice, system, idle, iowait, irq, softirq, steal float64
		// Guest time is part of user time.
		if k, _ := fmt.Sscanf(string(line), "cpu%d %g %g %g %g %g %g %g %g", &n, &user, &nice, &system, &idle, &iowait, &irq, &softirq, &steal); k == 9 {
			list = append(list, ticks{user + nice + system + idle + iowait + irq + softirq + steal, idle + iowait, steal})
		}
	}
	return list
}

// load compares two readings; nil if they do not fit or nothing passed between them.
func load(from, to []ticks) *bench.HostLoad {
	if len(from) == 0 || len(from) != len(to) {
		return nil
	}
	var h bench.HostLoad
	var all, stolen float64
	for i := range to {
		passed := to[i].all - from[i].all
		if passed <= 0 {
			continue
		}
		all += passed
		stolen += to[i].stolen - from[i].stolen
		h.Busiest = max(h.Busiest, (passed-(to[i].idle-from[i].idle))/passed)
	}
	if all == 0 {
		return nil
	}
	h.Stolen = stolen / all
	return &h
}
