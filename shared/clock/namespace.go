package clock

import (
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// namespace returns how far this process's CLOCK_MONOTONIC is ahead of the machine's, because it runs in a time namespace. It
// cannot change while the process runs. 0 where the kernel knows no such namespaces.
var namespace = sync.OnceValue(func() time.Duration {
	b, err := os.ReadFile("/proc/self/timens_offsets")
	if err != nil {
		return 0
	}
	return parseNamespace(string(b))
})

// parseNamespace reads the line "monotonic <seconds> <nanoseconds>" of timens_offsets (time_namespaces(7)).
func parseNamespace(offsets string) time.Duration {
	for line := range strings.Lines(offsets) {
		f := strings.Fields(line)
		if len(f) != 3 || f[0] != "monotonic" && f[0] != "1" { // kernels before 5.7 wrote the clock's number
			continue
		}
		seconds, err := strconv.ParseInt(f[1], 10, 32)
		nanos, err2 := strconv.ParseInt(f[2], 10, 32)
		if err == nil && err2 == nil {
			return time.Duration(seconds)*time.Second + time.Duration(nanos)
		}
	}
	return 0
}
