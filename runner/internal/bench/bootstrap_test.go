package bench

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// clustered draws plays with a common part, and the requests of each around it.
func clustered(rng *rand.Rand, plays, turns int) (values []float64, of []play) {
	for p := range plays {
		common := rng.NormFloat64()
		for range turns {
			values, of = append(values, 10+common+0.3*rng.NormFloat64()), append(of, play{0, p})
		}
	}
	return values, of
}

// The interval must hold the true quantile about 95 times in 100 on data whose quantile is known; one that takes the
// requests for independent must not, else this test could not tell them apart.
func TestIntervalCovers(t *testing.T) {
	const rounds, plays, turns = 80, 25, 6
	rng := rand.New(rand.NewPCG(7, 7))
	many, _ := clustered(rng, 100_000, 1)
	for _, q := range []float64{0.25, 0.75} {
		truth := Quantile(many, q)
		held, naive := 0, 0
		for i := range rounds {
			values, of := clustered(rng, plays, turns)
			if low, high, n := interval(values, of, q, uint64(i)); n == plays && low <= truth && truth <= high {
				held++
			}
			alone := slices.Clone(of)
			for j := range alone {
				alone[j] = play{j, 0}
			}
			if low, high, _ := interval(values, alone, q, uint64(i)); low <= truth && truth <= high {
				naive++
			}
		}
		if held < rounds*88/100 {
			t.Errorf("q = %v: held %d of %d times, want about 95 %%", q, held, rounds)
		}
		if naive > rounds*70/100 {
			t.Errorf("q = %v: requests taken for independent held %d of %d times: the data are not clustered", q, naive, rounds)
		}
	}
}

// Weights instead of copies: the same quantile as when the drawn plays are written out and sorted.
func TestWeightedQuantileEqualsCopies(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 3))
	for range 300 {
		values, of := clustered(rng, 1+rng.IntN(8), 1+rng.IntN(6))
		for i := range values {
			values[i] = float64(rng.IntN(5)) // ties
		}
		sorted, sizes := clusterValues(values, of)
		weights := make([]int32, len(sizes))
		total := 0
		for c := range weights {
			weights[c] = int32(rng.IntN(3))
			total += int(weights[c]) * sizes[c]
		}
		if total == 0 {
			continue
		}
		var copies []float64
		for _, v := range sorted {
			for range weights[v.cluster] {
				copies = append(copies, v.value)
			}
		}
		for _, q := range []float64{0.001, 0.25, 0.5, 0.501, 0.75, 0.95, 0.999} {
			if got, want := weightedQuantile(sorted, weights, total, q), Quantile(copies, q); got != want {
				t.Fatalf("q = %v of %v weighted %v: got %v, want %v", q, sorted, weights, got, want)
			}
		}
	}
}

func TestIntervalIsRepeatable(t *testing.T) {
	values, of := clustered(rand.New(rand.NewPCG(1, 1)), 20, 10)
	low, high, _ := interval(values, of, 0.25, 3)
	for range 3 {
		if l, h, _ := interval(values, of, 0.25, 3); l != low || h != high {
			t.Fatalf("got [%v, %v], then [%v, %v]", low, high, l, h)
		}
	}
	if l, h, _ := interval(values, of, 0.25, 4); l == low && h == high {
		t.Error("another phase draws the same plays")
	}
	if low > high || low > Quantile(values, 0.25) || high < Quantile(values, 0.25) {
		t.Errorf("[%v, %v] does not hold the point estimate %v", low, high, Quantile(values, 0.25))
	}
}

// A large phase: 300 agents, 1,500 plays, 60,000 requests.
func BenchmarkInterval(b *testing.B) {
	values, of := clustered(rand.New(rand.NewPCG(1, 1)), 1500, 40)
	for _, q := range []float64{0.25, 0.95} {
		b.Run(Objective{OutputSpeed, q, 1}.String(), func(b *testing.B) {
			for b.Loop() {
				interval(values, of, q, 1)
			}
		})
	}
}

func BenchmarkEvaluate(b *testing.B) {
	var records []Record
	for i := range 60_000 {
		records = append(records, answer(i%300, i/1500, i/300%5, 10+99*float64(i)/60_000, 1, 80))
	}
	f := testFacts()
	f.Agents = 300
	tiers, _, err := Preset("deepseek-v4-pro")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		Evaluate(f, records, Experiment{Tiers: tiers, Profile: testProfile})
	}
}
