package observer

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// pairs makes n pairs whose work takes about a second, times slow with sampling, with the given spread.
func pairs(seed uint64, n int, slow, spread float64) (list []Pair) {
	dice := rand.New(rand.NewPCG(seed, 7))
	for range n {
		mood := math.Exp(0.2 * dice.NormFloat64()) // shared by a pair
		took := func(factor float64) time.Duration {
			return time.Duration(1e9 * mood * factor * math.Exp(spread*dice.NormFloat64()))
		}
		list = append(list, Pair{took(1), took(slow)})
	}
	return list
}

func TestCompareFindsTheCost(t *testing.T) {
	for _, slow := range []float64{1, 1.01, 1.05, 1.5} {
		covered := 0
		for seed := range uint64(50) {
			c, err := Compare(pairs(seed, 20, slow, 0.01))
			if err != nil {
				t.Fatal(err)
			}
			if math.Abs(c.Ratio/slow-1) > 0.02 {
				t.Errorf("ratio %v, want %v", c.Ratio, slow)
			}
			if c.Low <= slow && slow <= c.High {
				covered++
			}
		}
		if covered < 42 { // a bootstrap of 20 pairs is a little too narrow
			t.Errorf("cost of %v: the 95 %% interval holds it in %d of 50 runs", slow, covered)
		}
	}
}

func TestVerdict(t *testing.T) {
	for _, c := range []struct {
		low, high float64
		want      string
	}{
		{1.01, 1.03, "sampling slows the work by 1 % to 3 %"},
		{0.99, 1.02, "no cost seen: at most 2 %"},
		{0.9, 0.95, "no result"},
	} {
		if got := (Cost{Low: c.low, High: c.high}).Verdict(); !strings.Contains(got, c.want) {
			t.Errorf("[%v, %v]: got %q, want %q", c.low, c.high, got, c.want)
		}
	}
}

func TestCompareRefuses(t *testing.T) {
	if _, err := Compare(pairs(1, fewestPairs-1, 1, 0)); err == nil {
		t.Error("too few pairs are no error")
	}
	if _, err := Compare(append(pairs(1, 9, 1, 0), Pair{})); err == nil {
		t.Error("work that takes no time is no error")
	}
}

func TestMeasureTakesTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		on := false
		var turns []bool
		work := func(context.Context) error {
			turns = append(turns, on)
			time.Sleep(time.Second)
			if on {
				time.Sleep(time.Second / 10)
			}
			return nil
		}
		got, err := Measure(t.Context(), 6, work, func() func() { on = true; return func() { on = false } })
		if err != nil {
			t.Fatal(err)
		}
		want := []bool{false, false, true, true, false, false, true, true, false, false, true, true, false}
		if !slices.Equal(turns, want) {
			t.Errorf("turns %v, want %v", turns, want)
		}
		c, err := Compare(got)
		if err != nil || math.Abs(c.Ratio-1.1) > 1e-9 || c.Low < 1.099 {
			t.Errorf("got %+v, %v; want a ratio of 1.1", c, err)
		}
	})
}

func TestMeasureStopsWithItsWork(t *testing.T) {
	broken := errors.New("broken")
	if _, err := Measure(t.Context(), 5, func(context.Context) error { return broken }, nil); !errors.Is(err, broken) {
		t.Errorf("got %v, want the work's error", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := 0
	_, err := Measure(ctx, 5, func(context.Context) error {
		if done++; done == 3 {
			cancel()
		}
		return nil
	}, func() func() { return func() {} })
	if !errors.Is(err, context.Canceled) || done > 3 {
		t.Errorf("got %v after %d pieces of work, want a cancellation after 3", err, done)
	}
}
