package simulate

import (
	"context"
	"fmt"
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"agentwatt/shared/power"
	"github.com/google/go-cmp/cmp"
)

// plain is an engine whose times are round numbers.
func plain() Params {
	return Params{
		MaxBatch: 64, StepBase: 5 * time.Millisecond, StepPerSequence: time.Millisecond, StepPerKilotoken: 10 * time.Microsecond,
		PrefillRate: 10000, PrefillBudget: 500, CacheTokens: 1 << 20, BlockTokens: 16, MaxContext: 1 << 15,
		Devices: 3, Idle: 70 * power.Watt, StepEnergy: 900 * power.Millijoule, DecodeEnergy: 210 * power.Millijoule,
		PrefillEnergy: 13 * power.Millijoule, CounterPeriod: 100 * time.Millisecond, Seed: 7,
	}
}

// together asks for all at the same instant and returns the replies in order.
func (s *server) together(ctx context.Context, qs ...request) []reply {
	replies := make([]reply, len(qs))
	var wg sync.WaitGroup
	for i, q := range qs {
		wg.Go(func() { replies[i] = s.ask(ctx, q) })
	}
	wg.Wait()
	return replies
}

func TestDecodeSpeedIsTheClosedForm(t *testing.T) {
	for n := 1; n <= 50; n++ {
		synctest.Test(t, func(t *testing.T) {
			p := plain()
			p.PrefillBudget = 1 << 14 // all prompts in one step
			s := start(t, p, Options{})
			defer s.stop()
			const prompt, output = 100, 8
			var qs []request
			for i := range n {
				q := ofTokens(prompt, fmt.Sprint("sequence ", i, " "))
				q.max = output
				qs = append(qs, q)
			}
			for i, r := range s.together(t.Context(), qs...) {
				out := r.outputs()
				if len(out) != output || !r.done || r.err != nil {
					t.Fatalf("n=%d: reply %d has %d outputs, done %v, error %v", n, i, len(out), r.done, r.err)
				}
				got := (output - 1) / out[output-1].At.Sub(out[0].At).Seconds()
				want := DecodeSpeed(p, n, prompt+output/2.0)
				if math.Abs(got/want-1) > 1e-9 {
					t.Errorf("n=%d: speed %v, want %v", n, got, want)
				}
			}
		})
	}
}

func TestDecodeCapacityInvertsDecodeSpeed(t *testing.T) {
	for _, name := range Presets() {
		p, err := Preset(name)
		if err != nil {
			t.Fatal(err)
		}
		for n := 1; n <= min(p.MaxBatch, p.CacheTokens/2048); n++ {
			if got := DecodeCapacity(p, DecodeSpeed(p, n, 2048), 2048); got != n {
				t.Errorf("%s: capacity at the speed of %d is %d", name, n, got)
			}
		}
		if got := DecodeCapacity(p, DecodeSpeed(p, 1, 2048)*1.01, 2048); got != 0 {
			t.Errorf("%s: capacity at more than the fastest speed is %d, want 0", name, got)
		}
	}
}

func TestPrefillTimeIsExact(t *testing.T) {
	for _, tokens := range []int{20, 100, 499, 500, 501, 1000, 1234, 9999} {
		synctest.Test(t, func(t *testing.T) {
			p := plain()
			s := start(t, p, Options{})
			defer s.stop()
			q := ofTokens(tokens, "")
			q.max = 3
			r := s.ask(t.Context(), q)
			if got := r.usage().Prompt; got != tokens {
				t.Fatalf("prompt of %d tokens, want %d", got, tokens)
			}
			got := r.outputs()[0].At.Sub(r.sent)
			want := PrefillTime(p, tokens) + 1 // the nanosecond before an idle engine's first step
			if got != want {
				t.Errorf("%d tokens: first token after %v, want %v", tokens, got, want)
			}
			if steps := s.Truth().Totals.Steps; steps != (tokens+499)/500+2 {
				t.Errorf("%d tokens: %d steps, want %d", tokens, steps, (tokens+499)/500+2)
			}
		})
	}
}

// Two prompts share the prefill budget first come first served, while a third sequence decodes.
func TestChunkedPrefillBesideDecoding(t *testing.T) {
	p := plain()
	s := newScheduler(p)
	now := time.Unix(1000, 0)
	add := func(prompt, output int, id byte) *sequence {
		text := make([]byte, prompt*BytesPerToken)
		text[0] = id
		q := newSequence(p, nil, text, output, output)
		q.arrived = now
		s.arrive(q)
		now = now.Add(1)
		return q
	}
	add(10, 100, 'a')
	s.begin(now)
	s.complete()
	add(700, 5, 'b')
	add(450, 5, 'c')
	var got []Step
	for range 4 {
		step, ok := s.begin(now)
		if !ok {
			t.Fatal("idle")
		}
		step.Begin = time.Time{}
		got = append(got, step)
		s.complete()
	}
	step := func(decoding, context, prefilled, tokens int) Step {
		return Step{
			Duration: p.StepTime(decoding, context, prefilled), Decoding: decoding, Context: context,
			Prefilled: prefilled, Tokens: tokens, Work: p.StepWork(tokens, prefilled),
		}
	}
	want := []Step{
		step(1, 11, 500, 1),
		step(1, 12, 500, 2), // b's last 200 and c's first 300; b's first token
		step(2, 13+701, 150, 3),
		step(3, 14+702+451, 0, 3),
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// What arrives or is given up at the very instant of a boundary counts from the next one on: in virtual time nothing may
// depend on which goroutine is first.
func TestTheInstantOfABoundaryBelongsToTheNextStep(t *testing.T) {
	p := plain()
	s := newScheduler(p)
	now := time.Unix(1000, 0)
	arrive := func(at time.Time, id byte) *sequence {
		q := newSequence(p, nil, append([]byte{id}, make([]byte, 99)...), 50, 50)
		q.arrived = at
		s.arrive(q)
		return q
	}
	begin := func(wantRunning, wantWaiting int) {
		t.Helper()
		step, ok := s.begin(now)
		if got := s.count(); got.Running != wantRunning || got.Waiting != wantWaiting || ok != (wantRunning > 0) {
			t.Fatalf("%d running, %d waiting, step %v; want %d, %d", got.Running, got.Waiting, ok, wantRunning, wantWaiting)
		}
		if now = now.Add(step.Duration); ok {
			s.complete()
		}
	}
	a := arrive(now, 'a')
	begin(0, 1)
	if now = s.earliest(); !now.Equal(a.arrived.Add(1)) {
		t.Fatalf("an idle engine wakes %v after the arrival, want 1 ns", now.Sub(a.arrived))
	}
	begin(1, 0)
	arrive(now, 'b')
	begin(1, 1)
	begin(2, 0)
	a.cancelled = now
	begin(2, 0)
	begin(1, 0)
}

func TestQueueIsServedInOrderOfArrival(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := plain()
		p.MaxBatch = 2
		s := start(t, p, Options{})
		defer s.stop()
		firsts := make([]time.Time, 6)
		var wg sync.WaitGroup
		for i := range firsts {
			wg.Go(func() {
				time.Sleep(time.Duration(i) * time.Millisecond)
				q := ofTokens(200, fmt.Sprint("request ", i))
				q.max = 30 - 4*i // later ones are shorter: they must wait all the same
				firsts[i] = s.ask(t.Context(), q).outputs()[0].At
			})
		}
		time.Sleep(50 * time.Millisecond)
		if got := s.Truth().Totals; got.Running != 2 || got.Waiting != 4 {
			t.Errorf("%d running and %d waiting, want 2 and 4", got.Running, got.Waiting)
		}
		wg.Wait()
		for i := 1; i < len(firsts); i++ {
			if firsts[i].Before(firsts[i-1]) {
				t.Errorf("request %d got its first token %v before request %d", i, firsts[i-1].Sub(firsts[i]), i-1)
			}
		}
	})
}

func TestSecondTurnComputesOnlyNewTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := plain()
		s := start(t, p, Options{})
		defer s.stop()
		// The first prompt ends in `"}`, so what the second shares is two bytes less than it.
		first := ofTokens(1000, "once")
		first.max = 10
		second := first
		second.prompt += "and then more of it, and more"
		second.max = 10
		a, b := s.ask(t.Context(), first), s.ask(t.Context(), second)
		if got := a.usage().Details.Cached; got != 0 {
			t.Errorf("first turn: %d cached tokens, want 0", got)
		}
		reused := (1000*4 - 2) / (16 * 4) * 16
		if got := b.usage().Details.Cached; got != reused {
			t.Errorf("second turn: %d cached tokens, want %d", got, reused)
		}
		computed := second.promptTokens() - reused
		got, want := b.outputs()[0].At.Sub(b.sent), PrefillTime(p, computed)+1
		if got != want {
			t.Errorf("second turn: first token after %v, want %v for %d computed tokens", got, want, computed)
		}
		truth := s.Truth().Totals
		if truth.Prefilled != 1000+computed || truth.Reused != reused {
			t.Errorf("truth: %d prefilled and %d reused, want %d and %d", truth.Prefilled, truth.Reused, 1000+computed, reused)
		}
	})
}

// The same prompt again still computes at least one token, and a whole block where it ends on one.
func TestARepeatedPromptComputesItsEnd(t *testing.T) {
	for _, tokens := range []int{160, 161, 175, 176} {
		synctest.Test(t, func(t *testing.T) {
			s := start(t, plain(), Options{})
			defer s.stop()
			q := ofTokens(tokens, "")
			q.max = 2
			s.ask(t.Context(), q)
			got, want := s.ask(t.Context(), q).usage().Details.Cached, (tokens-1)/16*16
			if got != want {
				t.Errorf("%d tokens: %d cached, want %d", tokens, got, want)
			}
		})
	}
}

func TestCancelledRequestFreesItsPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := plain()
		p.MaxBatch = 1
		s := start(t, p, Options{})
		defer s.stop()
		ctx, cancel := context.WithCancel(t.Context())
		running, waiting := ofTokens(100, "running"), ofTokens(100, "waiting")
		running.max, waiting.max = 5000, 5000
		var wg sync.WaitGroup
		wg.Go(func() { s.ask(ctx, running) })
		time.Sleep(time.Millisecond)
		wg.Go(func() { s.ask(ctx, waiting) })
		time.Sleep(time.Second)
		cancel()
		wg.Wait()
		q := ofTokens(100, "next")
		q.max = 2
		begin := time.Now()
		r := s.ask(t.Context(), q)
		if r.err != nil || time.Since(begin) > 100*time.Millisecond {
			t.Errorf("after a cancelled request the next took %v, error %v", time.Since(begin), r.err)
		}
		got := s.Truth().Totals
		if got.Cancelled != 2 || got.Finished != 1 || got.Running != 0 || got.Waiting != 0 {
			t.Errorf("totals %+v, want 2 cancelled, 1 finished, nothing left", got)
		}
	})
}

func TestSameArrivalsSameStamps(t *testing.T) {
	play := func() (stamps []time.Duration) {
		synctest.Test(t, func(t *testing.T) {
			p := plain()
			p.Draft, p.Acceptance, p.DraftCost = 3, 0.6, time.Millisecond
			p.MaxBatch, p.CacheTokens, p.MaxContext = 5, 4096, 2048
			s := start(t, p, Options{})
			defer s.stop()
			begin := time.Now()
			perAgent := make([][]time.Duration, 12)
			var wg sync.WaitGroup
			for i := range perAgent {
				wg.Go(func() {
					for turn := range 4 {
						q := ofTokens(150+50*turn, fmt.Sprint("agent ", i)) // all agents arrive at the same instant
						q.max, q.free = 300, true
						for _, e := range s.ask(t.Context(), q).outputs() {
							perAgent[i] = append(perAgent[i], e.At.Sub(begin))
						}
						time.Sleep(time.Duration(i%3) * 10 * time.Millisecond)
					}
				})
			}
			wg.Wait()
			for _, a := range perAgent {
				stamps = append(stamps, a...)
			}
		})
		return stamps
	}
	first := play()
	for range 2 {
		if d := cmp.Diff(first, play()); d != "" {
			t.Fatal(d)
		}
	}
}

func TestSpeculationAcceptsAsItsParametersSay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := plain()
		p.Draft, p.Acceptance = 4, 0.7
		s := start(t, p, Options{})
		defer s.stop()
		q := ofTokens(100, "")
		q.max, q.usageEach = 20000, true
		r := s.ask(t.Context(), q)
		out := r.outputs()
		counts := make([]int, p.Draft+2)
		before := 0
		for _, e := range out {
			counts[e.Usage.Completion-before]++
			before = e.Usage.Completion
		}
		if before != q.max || out[0].Usage.Completion != 1 {
			t.Fatalf("%d tokens and %d in the first chunk, want %d and 1", before, out[0].Usage.Completion, q.max)
		}
		steps := float64(len(out) - 1)
		mean := float64(q.max-1) / steps
		if want := TokensPerStep(p); math.Abs(mean/want-1) > 0.02 {
			t.Errorf("%.3f tokens per step, want %.3f", mean, want)
		}
		for k := 1; k <= p.Draft+1; k++ {
			want := math.Pow(0.7, float64(k-1)) * steps
			if k <= p.Draft {
				want *= 0.3
			}
			if got := float64(counts[k]); math.Abs(got-want) > 4*math.Sqrt(want) {
				t.Errorf("%v chunks of %d tokens, want %.0f within four sigma", got, k, want)
			}
		}
	})
}
