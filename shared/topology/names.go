package topology

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
)

// Names is a list of names with ranges, as written.
type Names []string

// Limits on what a file may ask for. The largest racks have a few hundred devices.
const (
	maxNames  = 4096 // that one pattern stands for
	maxLength = 256  // bytes of a pattern
)

// expand returns the names that a pattern stands for, in order: "gpu[1-3]" is gpu1, gpu2, gpu3, "[a,b]-[1-2]" is a-1, a-2, b-1,
// b-2, and "[08-10]" keeps its zeros.
func expand(pattern string) ([]string, error) {
	if pattern == "" || len(pattern) > maxLength {
		return nil, fmt.Errorf("a name has 1 to %d bytes", maxLength)
	}
	if strings.ContainsFunc(pattern, unicode.IsControl) || strings.TrimSpace(pattern) != pattern {
		return nil, fmt.Errorf("name %q begins or ends with a space, or holds what cannot be printed", pattern)
	}
	names := []string{""}
	for rest := pattern; rest != ""; {
		text, inside, bracket := strings.Cut(rest, "[")
		items := []string{""}
		rest = ""
		if bracket {
			var closed bool
			var err error
			if inside, rest, closed = strings.Cut(inside, "]"); !closed {
				return nil, fmt.Errorf("%q opens a range and does not close it", pattern)
			}
			if items, err = expandItems(inside); err != nil {
				return nil, fmt.Errorf("%q: %w", pattern, err)
			}
		}
		if strings.Contains(text, "]") || len(names)*len(items) > maxNames {
			return nil, fmt.Errorf("%q closes a range that it did not open, or stands for more than %d names", pattern, maxNames)
		}
		var longer []string
		for _, n := range names {
			for _, i := range items {
				longer = append(longer, n+text+i)
			}
		}
		names = longer
	}
	return names, nil
}

// expandItems returns what is between brackets: numbers from-to, and words, separated by commas.
func expandItems(inside string) (items []string, err error) {
	for item := range strings.SplitSeq(inside, ",") {
		first, last, ok := strings.Cut(item, "-")
		from, to := number(first), number(last)
		switch {
		case item == "" || strings.Contains(item, "["):
			return nil, fmt.Errorf("%q is not a list of numbers, from-to or words", inside)
		case !ok || from < 0 || to < 0:
			items = append(items, item)
			continue
		case to < from || to-from >= maxNames:
			return nil, fmt.Errorf("range %s runs backward or is too long", item)
		}
		width := 0
		if first[0] == '0' {
			width = len(first)
		}
		for n := from; n <= to; n++ {
			items = append(items, fmt.Sprintf("%0*d", width, n))
		}
	}
	if len(items) > maxNames {
		return nil, fmt.Errorf("more than %d names", maxNames)
	}
	return items, nil
}

// number returns the value of up to nine digits; -1 for anything else.
func number(s string) int {
	if s == "" || len(s) > 9 || strings.Trim(s, "0123456789") != "" {
		return -1
	}
	n, _ := strconv.Atoi(s) // cannot fail
	return n
}

// each returns what the patterns stand for, all of them. Patterns that make no sense, which Parse refuses, stand for themselves.
func each(patterns ...string) (names []string) {
	for _, p := range patterns {
		expanded, err := expand(p)
		if err != nil {
			expanded = []string{p}
		}
		names = append(names, expanded...)
	}
	return names
}

// step returns what the patterns mean for entry i of n alike: a pattern of n names is walked in step with the entries, any other
// is the same for each of them. {name} is the entry's name.
func step(patterns Names, name string, i, n int) (names []string) {
	for _, p := range patterns {
		expanded := each(named(p, name))
		if n > 1 && len(expanded) == n {
			expanded = expanded[i : i+1]
		}
		names = append(names, expanded...)
	}
	return names
}

// own returns what the patterns mean for one entry that has all of them to itself.
func own(patterns Names, name string) (names []string) {
	for _, p := range patterns {
		names = append(names, each(named(p, name))...)
	}
	return names
}

// named puts the name of an entry in for {name}.
func named(pattern, name string) string { return strings.ReplaceAll(pattern, "{name}", name) }
