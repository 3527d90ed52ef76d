package topology

import (
	"slices"

	"agentwatt/shared/settings"
)

// nearest returns the candidate most like name; empty if none is like it. The first in natural order wins a tie.
func nearest(name string, candidates []string) (best string) {
	candidates = slices.Clone(candidates)
	slices.SortFunc(candidates, natural)
	least := min(max(len(name)/3, 2)+1, len(name)) // that many edits are another name
	for _, c := range candidates {
		if d := distance(name, c, least); d < least {
			best, least = c, d
		}
	}
	return best
}

// suggest returns "; the nearest name is X" for the nearest candidate; empty if there is none.
func suggest(name string, candidates []string) string {
	if best := nearest(name, candidates); best != "" {
		return "; the nearest name is " + best
	}
	return ""
}

// distance returns the edits that make a into b, or limit where they are at least that many.
func distance(a, b string, limit int) int {
	if a == b {
		return 0
	}
	if len(a)-len(b) >= limit || len(b)-len(a) >= limit || len(a) > maxLength || len(b) > maxLength {
		return limit
	}
	return min(settings.Edits(a, b), limit)
}
