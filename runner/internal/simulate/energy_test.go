package simulate

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"agentwatt/shared/power"
)

// randomParams draws an engine: anything that Validate lets pass must keep the account.
func randomParams(r *rand.Rand) Params {
	p := plain()
	p.MaxBatch = 1 + r.IntN(8)
	p.StepBase = time.Duration(1+r.IntN(20)) * 337 * time.Microsecond
	p.StepPerKilotoken = time.Duration(r.IntN(50000)) * time.Nanosecond
	p.PrefillBudget = 1 + r.IntN(300)
	p.PrefillRate = 1000 + 20000*r.Float64()
	p.MaxContext = 1024
	p.CacheTokens = 1024 + r.IntN(8000)
	p.BlockTokens = 1 + r.IntN(40)
	p.CacheTokens += 2 * p.BlockTokens
	p.Draft, p.Acceptance = r.IntN(4), r.Float64()
	p.Devices = 1 + r.IntN(9)
	p.Idle = power.Power(r.IntN(200_000_000))
	p.StepEnergy = power.Energy(r.IntN(2_000_000))
	p.DecodeEnergy = power.Energy(r.IntN(500_000))
	p.PrefillEnergy = power.Energy(r.IntN(30_000))
	p.CounterPeriod = time.Duration(1+r.IntN(200)) * time.Millisecond
	return p
}

// load plays agents with random turns, some of which are given up.
func load(t *testing.T, s *server, r *rand.Rand, agents int) {
	var wg sync.WaitGroup
	for i := range agents {
		own := rand.New(rand.NewPCG(r.Uint64(), r.Uint64()))
		wg.Go(func() {
			size := 60 + own.IntN(200)
			for range 1 + own.IntN(5) {
				q := ofTokens(size, fmt.Sprint("agent ", i, " "))
				q.max, q.free = 1+own.IntN(120), own.IntN(2) == 0
				ctx, cancel := context.WithCancel(t.Context())
				if own.IntN(4) == 0 {
					ctx, cancel = context.WithTimeout(t.Context(), time.Duration(own.IntN(1000))*time.Millisecond)
				}
				s.ask(ctx, q)
				cancel()
				size += own.IntN(200)
				time.Sleep(time.Duration(own.IntN(700)) * time.Millisecond)
			}
		})
	}
	wg.Wait()
}

// The counters, the engine's own account, the sum over what it did, and the integral of its power over the steps are
// one and the same energy.
func TestEnergyIsConserved(t *testing.T) {
	for seed := range uint64(25) {
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 1))
			p := randomParams(r)
			h := &History{}
			s := start(t, p, Options{History: h})
			defer s.stop()
			begin := time.Now()
			load(t, s, r, 1+r.IntN(6))
			time.Sleep(time.Minute) // all given up requests have left
			elapsed := time.Since(begin)
			time.Sleep((p.CounterPeriod - elapsed%p.CounterPeriod) % p.CounterPeriod)
			elapsed = time.Since(begin)

			truth := s.Truth()
			n := truth.Totals
			want := power.Energy(int64(float64(p.Idle)*float64(p.Devices)*elapsed.Seconds())) +
				power.Energy(n.Steps)*p.StepEnergy + power.Energy(n.Tokens)*p.DecodeEnergy + power.Energy(n.Prefilled)*p.PrefillEnergy
			if diff := truth.Energy - want; diff < -2 || diff > 2 { // the idle term is in float64 here
				t.Errorf("seed %d: energy %d, want %d from the closed form", seed, truth.Energy, want)
			}
			var counters power.Energy
			_, devices := s.engine.devices()
			for _, d := range devices {
				counters += d.energy
			}
			if counters != truth.Energy {
				t.Errorf("seed %d: counters add up to %d, want %d", seed, counters, truth.Energy)
			}
			if got := h.Energy(begin, time.Now()); got != truth.Energy {
				t.Errorf("seed %d: history says %d, want %d", seed, got, truth.Energy)
			}
			checkSteps(t, p, h.Steps())
			if n.Finished+n.Cancelled < n.Admitted || n.Running+n.Waiting != 0 {
				t.Errorf("seed %d: requests do not add up: %+v", seed, n)
			}
		})
	}
}

// checkSteps checks what holds for the steps of every engine.
func checkSteps(t *testing.T, p Params, steps []Step) {
	t.Helper()
	peak := PeakPower(p) * power.Power(p.Devices)
	var end time.Time
	for i, s := range steps {
		if s.Begin.Before(end) {
			t.Errorf("step %d begins %v before the last one's end", i, end.Sub(s.Begin))
		}
		end = s.Begin.Add(s.Duration)
		if s.Duration != p.StepTime(s.Decoding, s.Context, s.Prefilled) || s.Work != p.StepWork(s.Tokens, s.Prefilled) {
			t.Errorf("step %d: %+v is not what the model says", i, s)
		}
		if s.Decoding > p.MaxBatch || s.Prefilled > p.PrefillBudget || s.Decoding+s.Prefilled == 0 {
			t.Errorf("step %d: %+v is beyond the parameters", i, s)
		}
		if drawn := p.Idle*power.Power(p.Devices) + s.Work.Over(s.Duration); drawn > peak {
			t.Errorf("step %d draws %v, more than the peak of %v", i, drawn, peak)
		}
	}
}

// Any window's energy from the history is the difference of the truth at its edges.
func TestHistoryKnowsEveryWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(3, 1))
		h := &History{}
		s := start(t, plain(), Options{History: h})
		defer s.stop()
		var wg sync.WaitGroup
		wg.Go(func() { load(t, s, rand.New(rand.NewPCG(4, 1)), 5) })
		last := s.Truth()
		for range 500 {
			time.Sleep(time.Duration(r.IntN(40_000_000)))
			now := s.Truth()
			if got, want := h.Energy(last.Now, now.Now), now.Energy-last.Energy; got != want {
				t.Errorf("[%v, %v): history says %d, want %d", last.Now, now.Now, got, want)
			}
			last = now
		}
		wg.Wait()
	})
}

func TestCountersChangeOnlyOncePerPeriod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := plain()
		h := &History{}
		s := start(t, p, Options{History: h})
		defer s.stop()
		begin := time.Now()
		var wg sync.WaitGroup
		wg.Go(func() { load(t, s, rand.New(rand.NewPCG(5, 1)), 4) })
		last := make([]device, p.Devices)
		for range 3000 { // 9 s
			time.Sleep(3 * time.Millisecond)
			now, devices := s.engine.devices()
			multiple := begin.Add(now.Sub(begin).Truncate(p.CounterPeriod))
			var sum power.Energy
			for i, d := range devices {
				sum += d.energy
				if !d.changed.Equal(multiple) {
					t.Fatalf("at %v device %d says that it changed at %v", now.Sub(begin), i, d.changed.Sub(begin))
				}
				if d.changed.Equal(last[i].changed) && d != last[i] {
					t.Fatalf("at %v device %d changed from %+v to %+v within a period", now.Sub(begin), i, last[i], d)
				}
				if d.energy < last[i].energy {
					t.Fatalf("device %d went backward from %d to %d", i, last[i].energy, d.energy)
				}
				if d.changed.Sub(last[i].changed) == p.CounterPeriod && (d.energy-last[i].energy).Over(p.CounterPeriod) != d.mean {
					t.Fatalf("device %d shows %v, but its counter rose by %v", i, d.mean, d.energy-last[i].energy)
				}
			}
			if want := h.Energy(begin, multiple); sum != want {
				t.Fatalf("at %v the counters add up to %d, want %d", now.Sub(begin), sum, want)
			}
			copy(last, devices)
		}
		wg.Wait()
	})
}

// An engine that is told of a step late must not change a value that was already shown.
func TestShownValuesStayWhenTheEngineIsLate(t *testing.T) {
	p := plain()
	begin := time.Unix(5000, 0)
	m := newMeter(p, begin)
	m.begin(Step{Begin: begin, Duration: 90 * time.Millisecond, Work: power.Joule})
	m.show(begin.Add(130 * time.Millisecond))
	shown := m.shown
	m.begin(Step{Begin: begin.Add(90 * time.Millisecond), Duration: 90 * time.Millisecond, Work: power.Joule})
	m.show(begin.Add(140 * time.Millisecond))
	if m.shown != shown {
		t.Errorf("the value at 100 ms changed from %d to %d", shown, m.shown)
	}
	m.show(begin.Add(200 * time.Millisecond))
	if want := idleEnergy(p, 200*time.Millisecond) + 2*power.Joule; m.shown != want {
		t.Errorf("the value at 200 ms is %d, want %d", m.shown, want)
	}
}

func TestPowerOfDecodingIsTheClosedForm(t *testing.T) {
	for _, n := range []int{1, 7, 30} {
		synctest.Test(t, func(t *testing.T) {
			p := plain()
			p.PrefillBudget = 1 << 14
			h := &History{}
			s := start(t, p, Options{History: h})
			defer s.stop()
			var qs []request
			for i := range n {
				q := ofTokens(200, fmt.Sprint(i))
				q.max = 101
				qs = append(qs, q)
			}
			out := s.together(t.Context(), qs...)[0].outputs()
			a, b := out[0].At, out[100].At
			got, want := h.Energy(a, b).Over(b.Sub(a)), PowerAt(p, n, 200+101/2.0)
			if d := got - want; d < -10 || d > 10 { // microwatts
				t.Errorf("n=%d: %v (%d), want %v (%d)", n, got, got, want, want)
			}
		})
	}
}

func TestSplitIsExactAndNeverFalls(t *testing.T) {
	for n := 1; n <= 7; n++ {
		last := make([]power.Energy, n)
		for e := power.Energy(0); e < 50; e++ {
			var sum power.Energy
			for i := range n {
				s := split(e, i, n)
				sum += s
				if s < last[i] {
					t.Errorf("share %d of %d fell at %d", i, n, e)
				}
				last[i] = s
			}
			if sum != e {
				t.Errorf("the %d shares of %d add up to %d", n, e, sum)
			}
		}
	}
}
