package settings

import "testing"

func TestEdits(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"", "abc", 3}, {"abc", "", 3}, {"ttft", "ttft", 0}, {"tftt", "ttft", 2}, {"kitten", "sitting", 3}, {"gpu1", "gpu01", 1}} {
		if got := Edits(c.a, c.b); got != c.want {
			t.Errorf("%q to %q: got %d, want %d", c.a, c.b, got, c.want)
		}
	}
}
