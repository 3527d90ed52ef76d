package ipmi

import (
	"testing"

	"agentwatt/shared/power"
)

// One read of DCMI and four sensors over a kept session; the BMC is in the same process and costs as much.
func BenchmarkRead(b *testing.B) {
	s := newNode(b, full).open()
	dst := make([]power.Sample, 0, 16)
	b.ReportAllocs()
	for b.Loop() {
		if got, err := s.Read(b.Context(), dst); err != nil || len(got) != 5 {
			b.Fatal(len(got), err)
		}
	}
}

// Making and ending a session, with what is asked when a source is opened.
func BenchmarkOpen(b *testing.B) {
	n := newNode(b, full)
	for b.Loop() {
		s, err := Open(b.Context(), n.options())
		if err != nil {
			b.Fatal(err)
		}
		s.Close()
	}
}
