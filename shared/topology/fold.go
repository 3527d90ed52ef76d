package topology

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// fold returns patterns that stand for exactly the given names, in natural order: gpu01 ... gpu08 is gpu[01-08].
func fold(names []string) []string {
	names = slices.Clone(names)
	slices.SortFunc(names, natural)
	names = slices.Compact(names)
	for {
		shorter := foldOnce(names)
		if len(shorter) == len(names) {
			return names
		}
		names = shorter
	}
}

// split is a name with one number taken out.
type split struct {
	before, digits, after string
}

// cut takes out the last number of a name that is not in brackets; ok is false if there is none.
func cut(name string) (s split, ok bool) {
	end := len(name)
	for end > 0 {
		if name[end-1] == ']' {
			end = strings.LastIndexByte(name[:end], '[')
			if end < 0 {
				return split{}, false
			}
			continue
		}
		begin := end
		for begin > 0 && digit(name[begin-1]) {
			begin--
		}
		if begin < end {
			return split{name[:begin], name[begin:end], name[end:]}, number(name[begin:end]) >= 0
		}
		end--
	}
	return split{}, false
}

func digit(c byte) bool { return '0' <= c && c <= '9' }

// foldOnce folds names that differ in their last number only.
func foldOnce(names []string) (patterns []string) {
	type family struct {
		before, after string
		width         int  // of numbers with leading zeros; 0: without
		bare          bool // a name without a number, alone
	}
	padded := map[family]bool{} // with a leading zero somewhere
	for _, n := range names {
		if s, ok := cut(n); ok && len(s.digits) > 1 && s.digits[0] == '0' {
			padded[family{before: s.before, after: s.after, width: len(s.digits)}] = true
		}
	}
	members := map[family][]string{}
	var order []family
	for _, n := range names {
		s, ok := cut(n)
		f := family{before: s.before, after: s.after, width: len(s.digits)}
		switch {
		case !ok:
			f = family{before: n, bare: true}
			s.digits = ""
		case !padded[f]:
			f.width = 0
		}
		if members[f] == nil {
			order = append(order, f)
		}
		members[f] = append(members[f], s.digits)
	}
	for _, f := range order {
		switch list := members[f]; {
		case f.bare:
			patterns = append(patterns, f.before)
		case len(list) == 1:
			patterns = append(patterns, f.before+list[0]+f.after)
		default:
			patterns = append(patterns, f.before+"["+ranges(list)+"]"+f.after)
		}
	}
	return patterns
}

// ranges writes numbers, which all are as wide as the first or have no leading zeros, as 1-3,5.
func ranges(digits []string) string {
	slices.SortFunc(digits, func(a, b string) int { return cmp.Compare(number(a), number(b)) })
	var items []string
	for i := 0; i < len(digits); {
		j := i
		for j+1 < len(digits) && number(digits[j+1]) == number(digits[j])+1 {
			j++
		}
		switch j {
		case i:
			items = append(items, digits[i])
		default:
			items = append(items, fmt.Sprintf("%s-%s", digits[i], digits[j]))
		}
		i = j + 1
	}
	return strings.Join(items, ",")
}

// natural orders names with their numbers as numbers: gpu2 before gpu10.
func natural(a, b string) int {
	for x, y := a, b; x != "" && y != ""; {
		i, j := leading(x), leading(y)
		if i > 0 && j > 0 {
			if c := cmp.Or(cmp.Compare(number(x[:i]), number(y[:j])), cmp.Compare(x[:i], y[:j])); c != 0 {
				return c
			}
			x, y = x[i:], y[j:]
			continue
		}
		if x[0] != y[0] {
			return cmp.Compare(x[0], y[0])
		}
		x, y = x[1:], y[1:]
	}
	return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
}

// leading returns how many digits s begins with.
func leading(s string) (n int) {
	for n < len(s) && digit(s[n]) {
		n++
	}
	return n
}
