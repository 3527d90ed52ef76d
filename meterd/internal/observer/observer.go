// Package observer finds out what watching costs: it compares how long a piece of work takes with and without sampling beside it.
package observer

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// Pair is one piece of work done twice, once without and once with sampling.
type Pair struct{ Without, With time.Duration }

// Cost is what sampling costs the work.
type Cost struct {
	Pairs   int           `json:"pairs"`
	Without time.Duration `json:"without_nanos"` // median
	With    time.Duration `json:"with_nanos"`    // median
	Ratio   float64       `json:"ratio"`         // geometric mean of With / Without over the pairs
	Low     float64       `json:"ratio_low"`     // 95 % interval of Ratio
	High    float64       `json:"ratio_high"`    //
}

// fewestPairs is the number below which the interval of a mean of pairs is not to be believed.
const fewestPairs = 5

// Verdict says in words what the interval allows to say.
func (c Cost) Verdict() string {
	switch {
	case c.Low > 1:
		return fmt.Sprintf("sampling slows the work by %.2g %% to %.2g %%", 100*(c.Low-1), 100*(c.High-1))
	case c.High < 1:
		return fmt.Sprintf("the work was faster with sampling, by %.2g %% to %.2g %%: the machine was not steady, so this is no result",
			100*(1-c.High), 100*(1-c.Low))
	}
	return fmt.Sprintf("no cost seen: at most %.2g %%", 100*max(c.High-1, 0))
}

// Compare takes the geometric mean of the pairs' ratios with its 95 % interval, from resampling the pairs: those of one pair share
// the machine's mood of the moment, and pairs are independent. The same pairs give the same digits.
func Compare(pairs []Pair) (Cost, error) {
	if len(pairs) < fewestPairs {
		return Cost{}, fmt.Errorf("compare work with and without sampling: %d pairs, at least %d are needed", len(pairs), fewestPairs)
	}
	logs := make([]float64, len(pairs))
	var without, with []time.Duration
	for i, p := range pairs {
		if p.Without <= 0 || p.With <= 0 {
			return Cost{}, fmt.Errorf("compare work with and without sampling: pair %d took %v and %v", i+1, p.Without, p.With)
		}
		logs[i] = math.Log(float64(p.With) / float64(p.Without))
		without, with = append(without, p.Without), append(with, p.With)
	}
	const resamples = 4000
	dice := rand.New(rand.NewPCG(uint64(len(pairs)), 1))
	means := make([]float64, resamples)
	for i := range means {
		for range logs {
			means[i] += logs[dice.IntN(len(logs))] / float64(len(logs))
		}
	}
	slices.Sort(means)
	return Cost{
		Pairs: len(pairs), Without: median(without), With: median(with), Ratio: math.Exp(mean(logs)),
		Low: math.Exp(means[resamples/40]), High: math.Exp(means[resamples-resamples/40-1]),
	}, nil
}

// Measure does the work n times without and n times with sampling, in turns, and in turns of turns (off on, on off, ...), so that
// a drift of the machine falls on both alike. sampling is called around the work that it is beside; it returns how to stop.
func Measure(ctx context.Context, n int, work func(context.Context) error, sampling func() (stop func())) ([]Pair, error) {
	if err := work(ctx); err != nil { // warms up, and finds out whether it works at all
		return nil, fmt.Errorf("do the work once to warm up: %w", err)
	}
	pairs := make([]Pair, n)
	for i := range pairs {
		for turn := range 2 {
			on := (turn == 1) != (i%2 == 1)
			took, err := once(ctx, work, sampling, on)
			if err != nil {
				return nil, fmt.Errorf("do the work, pair %d: %w", i+1, err)
			}
			if on {
				pairs[i].With = took
			} else {
				pairs[i].Without = took
			}
		}
	}
	return pairs, nil
}

func once(ctx context.Context, work func(context.Context) error, sampling func() func(), on bool) (time.Duration, error) {
	if on {
		defer sampling()()
	}
	began := time.Now()
	err := work(ctx)
	return time.Since(began), cmp.Or(err, ctx.Err())
}

func mean(xs []float64) (m float64) {
	for _, x := range xs {
		m += x / float64(len(xs))
	}
	return m
}

func median(ds []time.Duration) time.Duration {
	slices.Sort(ds)
	return ds[len(ds)/2]
}
