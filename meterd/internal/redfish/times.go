package redfish

import (
	"math"
	"strconv"
	"strings"
	"time"

	"agentwatt/shared/clock"
)

// parseTime reads a date-time of Redfish (RFC 3339), in whole microseconds. A time before 2000 is that of a clock that was
// never set and counts as none.
func parseTime(s string) (clock.Stamp, bool) {
	if len(s) > 40 {
		return 0, false
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil || t.Year() < 2000 || t.Year() > 2200 {
		return 0, false
	}
	return clock.At(t.Truncate(time.Microsecond)), true
}

// longestSpan bounds a duration that is believed.
const longestSpan = 24 * time.Hour

// parseDuration reads a positive duration of Redfish, the part of ISO 8601 without years and months, e.g. "PT0.5S".
func parseDuration(s string) (time.Duration, bool) {
	s, ok := strings.CutPrefix(s, "P")
	if !ok || len(s) > 40 {
		return 0, false
	}
	var total float64
	timed := false
	units := map[byte]float64{'D': 86400}
	for s != "" {
		if s[0] == 'T' && !timed {
			timed, s = true, s[1:]
			units = map[byte]float64{'H': 3600, 'M': 60, 'S': 1}
			continue
		}
		n := 0
		for n < len(s) && (s[n] >= '0' && s[n] <= '9' || s[n] == '.') {
			n++
		}
		v, err := strconv.ParseFloat(s[:n], 64)
		if err != nil || n == len(s) || units[s[n]] == 0 {
			return 0, false
		}
		total += v * units[s[n]]
		delete(units, s[n])
		s = s[n+1:]
	}
	if total < 1e-3 || total > longestSpan.Seconds() {
		return 0, false
	}
	return time.Duration(math.Round(total*1e6)) * time.Microsecond, true
}

// seconds writes a duration for a note, to a tenth of a second where it is that long.
func seconds(d time.Duration) string {
	if d.Abs() >= 10*time.Second {
		d = d.Round(time.Second)
	} else if d.Abs() >= time.Second {
		d = d.Round(100 * time.Millisecond)
	}
	return strconv.FormatFloat(d.Seconds(), 'f', -1, 64)
}
