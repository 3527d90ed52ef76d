package ipmi

import (
	"testing"

	"agentwatt/shared/power"
)

// watts returns the value of each meter of one read, by the last part of its ID; -1 without a value.
func read(t *testing.T, s *Source) ([]power.Sample, []power.Meter) {
	t.Helper()
	got, err := s.Read(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return got, s.Meters()
}

func TestSmoke(t *testing.T) {
	n := newNode(t)
	s := n.open()
	got, m := read(t, s)
	t.Logf("%+v %+v %v %v", got, m, s.Absent(), s.Notes(nil))
}
