package rollup

import (
	"math/rand/v2"
	"testing"
)

// Rolling up, per sample: the default profile of eight GPUs is 240 samples a second.
func BenchmarkTake(b *testing.B) {
	batches := history(rand.New(rand.NewPCG(1, 2)), 1)
	samples := 0
	b.ReportAllocs()
	for b.Loop() {
		var s Source
		samples = 0
		for _, x := range batches {
			s.Take(x)
			samples += len(x.Samples)
			for i := range Resolutions {
				s.Drain(i)
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*samples), "ns/sample")
}
