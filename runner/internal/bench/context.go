package bench

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"agentwatt/shared/power"
)

// Context is a fact that meters told beside their samples during a run, and the devices of which it is true: a power limit or a
// clock in force, throttling, a reset, what was measured of a sensor.
type Context struct {
	Key     string   `json:"key"`
	Value   string   `json:"value"`   // the only one, each in order of time, or the range of many numbers
	Changes int      `json:"changes"` // how often it changed
	Devices []string `json:"devices"` // or meters; "source on host" where it is about a whole source
}

// mostValues is how many values of one fact are listed before they become a range or a count.
const mostValues = 4

// told is one fact with its values in order of time, equal neighbours once.
type told struct {
	key, about string
	values     []string
}

// contextOf gathers the notes of batches, in the order of their keys. Devices with the same course of a fact stand together.
func contextOf(batches []power.Batch) []Context {
	facts := map[[2]string]*told{}
	var order []*told
	for _, b := range inOrder(batches) {
		if len(b.Meters) == 0 {
			continue // meterd's journal speaks of itself, not of what is metered
		}
		for _, n := range b.Notes {
			about := n.Device
			if about == "" {
				about = b.Source + " on " + b.Host
			}
			f := facts[[2]string{n.Key, about}]
			if f == nil {
				f = &told{key: n.Key, about: about}
				facts[[2]string{n.Key, about}] = f
				order = append(order, f)
			}
			switch k := len(f.values); {
			case k > 0 && cumulative(n.Key):
				f.values[0] = n.Value
			case k == 0 || f.values[k-1] != n.Value:
				f.values = append(f.values, n.Value)
			}
		}
	}
	slices.SortStableFunc(order, func(a, b *told) int { return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.about, b.about)) })
	var list []Context
	for _, f := range order {
		c := Context{Key: f.key, Value: course(f.values), Changes: len(f.values) - 1, Devices: []string{f.about}}
		same := func(x Context) bool { return x.Key == c.Key && x.Value == c.Value && x.Changes == c.Changes }
		if i := slices.IndexFunc(list, same); i >= 0 {
			list[i].Devices = append(list[i].Devices, f.about)
		} else {
			list = append(list, c)
		}
	}
	return list
}

// cumulative reports facts that meterd sums up since its start: the last one says it all.
func cumulative(key string) bool {
	return strings.HasPrefix(key, "late_") || strings.HasPrefix(key, "read_") && key != "read_interval_seconds"
}

// course writes the values of a fact: all of a few, the range of many numbers, the different ones of many words.
func course(values []string) string {
	if len(values) <= mostValues {
		return strings.Join(values, ", then ")
	}
	low, high, numbers := 0.0, 0.0, true
	for i, v := range values {
		x, err := strconv.ParseFloat(v, 64)
		if numbers = numbers && err == nil; !numbers {
			break
		}
		if i == 0 {
			low, high = x, x
		}
		low, high = min(low, x), max(high, x)
	}
	if numbers {
		return fmt.Sprintf("%s to %s", strconv.FormatFloat(low, 'g', -1, 64), strconv.FormatFloat(high, 'g', -1, 64))
	}
	different := slices.Compact(slices.Sorted(slices.Values(values)))
	if len(different) > mostValues {
		return fmt.Sprintf("%d different values", len(different))
	}
	return "now " + strings.Join(different, ", now ")
}
