package characterise

import "testing"

// BenchmarkMeasure is one sensor of twelve cycles, 60 s: 6,000 reads of 600 values against 6,000 of a reference, and a
// counter of 3,000 ticks.
func BenchmarkMeasure(b *testing.B) {
	for _, name := range []string{"whole window", "fast counter"} {
		g := rigs()[name]
		sensor, ref, marks := g.record(1)
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := Measure(sensor, &ref, marks, Options{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
