package bench

import (
	"context"
	"errors"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// curves is a system without a server: by tier name, whether N agents pass. It counts the phases run.
type curves struct {
	pass   map[string]func(agents int) Outcome
	phases []Phase
	asks   []Ask
}

func (c *curves) probe(_ context.Context, ask Ask) (Phase, error) {
	p := Phase{PhaseFacts: PhaseFacts{Index: len(c.phases) + 1, Agents: ask.Agents, Purpose: ask.Purpose, Reason: EndStopRule}}
	for _, tier := range slices.Sorted(maps.Keys(c.pass)) {
		p.Verdicts = append(p.Verdicts, Verdict{Tier: tier, Outcome: c.pass[tier](ask.Agents), Confidence: Confident})
	}
	c.phases, c.asks = append(c.phases, p), append(c.asks, ask)
	return p, nil
}

func upTo(capacity int) func(int) Outcome {
	return func(n int) Outcome {
		if n <= capacity {
			return Pass
		}
		return Fail
	}
}

func named(names ...string) (tiers []Tier) {
	for _, n := range names {
		tiers = append(tiers, Tier{Name: n})
	}
	return tiers
}

var exact = Bounds{Max: 1000, Step: 1, Retests: 2}

func TestSearchFindsEveryCapacity(t *testing.T) {
	for capacity := 0; capacity <= 300; capacity++ {
		c := &curves{pass: map[string]func(int) Outcome{"t": upTo(capacity)}}
		got, err := Search(t.Context(), exact, named("t"), nil, c.probe)
		if err != nil {
			t.Fatal(err)
		}
		r := got.Tiers[0]
		if r.Agents != capacity || r.FirstFail != capacity+1 || !r.Complete || !r.Monotone || !got.Complete {
			t.Fatalf("capacity %d: got %+v", capacity, r)
		}
		if capacity > 0 && len(r.Retests) != 3 || capacity == 0 && len(r.Retests) != 1 {
			t.Fatalf("capacity %d: re-tests %+v, want 2 at N and 1 above", capacity, r.Retests)
		}
		ramp := int(math.Log2(float64(max(1, capacity)))) + 2
		if most := ramp + int(math.Log2(float64(max(1, capacity)))) + 3; len(c.phases) > most {
			t.Errorf("capacity %d: %d phases, want at most %d", capacity, len(c.phases), most)
		}
		if capacity > 0 && c.phases[r.Phase-1].Agents != capacity {
			t.Errorf("capacity %d: the figures come from a phase of %d agents", capacity, c.phases[r.Phase-1].Agents)
		}
	}
}

func TestSearchWithinResolution(t *testing.T) {
	for _, b := range []Bounds{{1000, 1, 0.02, 2}, {1000, 4, 0, 2}, {1000, 1, 0.1, 1}, {64, 1, 0.05, 0}} {
		spared := 0 // searches that stopped before pass and fail were adjacent
		for capacity := 0; capacity <= 300; capacity++ {
			c := &curves{pass: map[string]func(int) Outcome{"t": upTo(capacity)}}
			got, err := Search(t.Context(), b, named("t"), nil, c.probe)
			if err != nil {
				t.Fatal(err)
			}
			r := got.Tiers[0]
			switch {
			case capacity >= b.Max:
				if r.Agents != b.Max || r.FirstFail != 0 || len(r.Notes) == 0 {
					t.Fatalf("%+v, capacity %d above the limit: got %+v", b, capacity, r)
				}
			case r.Agents > capacity || r.FirstFail <= capacity || r.FirstFail-r.Agents > b.resolution(r.Agents):
				t.Fatalf("%+v, capacity %d: bracket [%d, %d)", b, capacity, r.Agents, r.FirstFail)
			case r.FirstFail-r.Agents > 1:
				spared++
			}
		}
		if spared == 0 {
			t.Errorf("%+v: every search went down to a single agent", b)
		}
	}
}

// All tiers share phases: never more than the ramp of the widest and the bisections and re-tests of each.
func TestSearchSharesPhases(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 50 {
		caps := []int{rng.IntN(300), rng.IntN(300), rng.IntN(300), rng.IntN(300)}
		c := &curves{pass: map[string]func(int) Outcome{}}
		names := []string{"a", "b", "c", "d"}
		bound := 0
		for i, n := range names {
			c.pass[n] = upTo(caps[i])
			bound += int(math.Log2(float64(max(1, caps[i])))) + 3
		}
		bound += int(math.Log2(float64(max(1, slices.Max(caps))))) + 2
		got, err := Search(t.Context(), exact, named(names...), nil, c.probe)
		if err != nil {
			t.Fatal(err)
		}
		for i, r := range got.Tiers {
			if r.Agents != caps[i] || !r.Monotone || !r.Complete {
				t.Fatalf("capacities %v: got %+v", caps, r)
			}
		}
		passed := map[string]int{}
		for i, ask := range c.asks {
			for _, tier := range ask.Tiers {
				if ask.Agents < passed[tier.Name] {
					t.Fatalf("capacities %v: %d agents asked for tier %s, which had passed with %d", caps, ask.Agents, tier.Name, passed[tier.Name])
				}
			}
			for _, v := range c.phases[i].Verdicts {
				if v.Outcome == Pass {
					passed[v.Tier] = max(passed[v.Tier], ask.Agents)
				}
			}
		}
		if len(c.phases) > bound {
			t.Errorf("capacities %v: %d phases, union bound %d", caps, len(c.phases), bound)
		}
	}
}

func TestSearchOfEqualTiersCostsOne(t *testing.T) {
	one := &curves{pass: map[string]func(int) Outcome{"a": upTo(77)}}
	three := &curves{pass: map[string]func(int) Outcome{"a": upTo(77), "b": upTo(77), "c": upTo(77)}}
	if _, err := Search(t.Context(), exact, named("a"), nil, one.probe); err != nil {
		t.Fatal(err)
	}
	if _, err := Search(t.Context(), exact, named("a", "b", "c"), nil, three.probe); err != nil {
		t.Fatal(err)
	}
	if len(one.phases) != len(three.phases) {
		t.Errorf("got %d phases for three equal tiers, %d for one", len(three.phases), len(one.phases))
	}
}

// Whatever a noisy system answers, the search ends, its answer passed every time it was tried, and every contradiction
// in its phases is admitted.
func TestSearchOfNoise(t *testing.T) {
	for seed := range uint64(100) {
		rng := rand.New(rand.NewPCG(seed, 1))
		width := 1 + 20*rng.Float64()
		noisy := func(capacity float64) func(int) Outcome {
			return func(n int) Outcome {
				if rng.Float64() < 1/(1+math.Exp((float64(n)-capacity)/width)) {
					return Pass
				}
				return Fail
			}
		}
		c := &curves{pass: map[string]func(int) Outcome{"a": noisy(100), "b": noisy(30)}}
		got, err := Search(t.Context(), exact, named("a", "b"), nil, c.probe)
		if err != nil {
			t.Fatal(err)
		}
		if len(c.phases) > 120 {
			t.Fatalf("seed %d: %d phases", seed, len(c.phases))
		}
		for _, r := range got.Tiers {
			checkAgainstPhases(t, r, c.phases)
		}
	}
}

// checkAgainstPhases counts again, without the search's code.
func checkAgainstPhases(t *testing.T, r TierResult, phases []Phase) {
	t.Helper()
	contradiction, best, passes := false, 0, 0
	for _, p := range phases {
		failed, passed := false, false
		for _, q := range phases {
			if q.Agents == p.Agents {
				failed = failed || verdictOf(q, r.Tier.Name).Outcome == Fail
				passed = passed || verdictOf(q, r.Tier.Name).Outcome == Pass
			}
			higher := q.Agents >= p.Agents && verdictOf(q, r.Tier.Name).Outcome == Pass
			contradiction = contradiction || higher && verdictOf(p, r.Tier.Name).Outcome == Fail
		}
		if passed && !failed {
			best = max(best, p.Agents)
		}
	}
	for _, p := range phases {
		if p.Agents == r.Agents {
			passes++
		}
	}
	if r.Agents != best {
		t.Errorf("tier %s: got %d, the largest N that passed every time is %d", r.Tier.Name, r.Agents, best)
	}
	if r.Monotone == contradiction || contradiction == (len(r.Notes) == 0) {
		t.Errorf("tier %s: contradiction %v, monotone %v, notes %q", r.Tier.Name, contradiction, r.Monotone, r.Notes)
	}
	if best > 0 && passes < 3 {
		t.Errorf("tier %s: %d passes at %d, want 1 and 2 re-tests", r.Tier.Name, passes, best)
	}
	if r.SpreadLow > r.Agents || r.SpreadHigh < r.Agents {
		t.Errorf("tier %s: %d is outside its spread %d to %d", r.Tier.Name, r.Agents, r.SpreadLow, r.SpreadHigh)
	}
}

func TestSearchReportsAnEdgeThatFlips(t *testing.T) {
	tried := 0
	c := &curves{pass: map[string]func(int) Outcome{"t": func(n int) Outcome {
		if n == 10 {
			if tried++; tried == 2 {
				return Fail // the first re-test
			}
		}
		return upTo(10)(n)
	}}}
	got, err := Search(t.Context(), exact, named("t"), nil, c.probe)
	if err != nil {
		t.Fatal(err)
	}
	r := got.Tiers[0]
	if r.Agents != 9 || r.FirstFail != 10 || r.Monotone || r.SpreadLow != 9 || r.SpreadHigh != 10 {
		t.Errorf("got %+v", r)
	}
}

func TestSearchRepeatsAnInvalidPhaseOnce(t *testing.T) {
	for _, times := range []int{1, 2} {
		left := times
		c := &curves{pass: map[string]func(int) Outcome{"bad": func(n int) Outcome {
			if n == 8 && left > 0 {
				left--
				return Invalid
			}
			return upTo(20)(n)
		}, "good": upTo(5)}}
		got, err := Search(t.Context(), exact, named("bad", "good"), nil, c.probe)
		bad, good := got.Tiers[0], got.Tiers[1]
		if good.Agents != 5 || !good.Complete {
			t.Errorf("invalid %d times: the other tier got %+v", times, good)
		}
		if times == 1 && (err != nil || bad.Agents != 20 || !bad.Complete) {
			t.Errorf("invalid once: got %+v, %v", bad, err)
		}
		if times == 2 && (err == nil || bad.Agents < 4 || bad.Agents > 7 || bad.FirstFail != 0 || bad.Complete || got.Complete || len(bad.Notes) == 0) {
			t.Errorf("invalid twice: got %+v, %v", bad, err)
		}
	}
}

// A phase that ended early for a strict tier says nothing about a loose one: it is not a fail, and not asked for again.
func TestSearchIgnoresPhasesThatEndedForOthers(t *testing.T) {
	c := &curves{}
	c.pass = map[string]func(int) Outcome{"loose": upTo(40), "strict": upTo(4)} // 5 agents fail twice for strict alone
	probe := func(ctx context.Context, ask Ask) (Phase, error) {
		p, err := c.probe(ctx, ask)
		asked := func(tier string) bool {
			return slices.ContainsFunc(ask.Tiers, func(t Tier) bool { return t.Name == tier })
		}
		if !asked("loose") && verdictOf(p, "strict").Outcome == Fail {
			p.Verdicts[0].Outcome = Unjudged
		}
		c.phases[len(c.phases)-1] = p
		return p, err
	}
	got, err := Search(t.Context(), exact, named("loose", "strict"), nil, probe)
	if err != nil {
		t.Fatal(err)
	}
	if got.Tiers[0].Agents != 40 || got.Tiers[1].Agents != 4 || !got.Complete || !got.Tiers[0].Monotone {
		t.Errorf("got %+v", got.Tiers)
	}
}

// A search interrupted anywhere keeps what it has, and continued from its phases it takes the same way.
func TestSearchContinues(t *testing.T) {
	tiers := named("a", "b")
	whole := &curves{pass: map[string]func(int) Outcome{"a": upTo(37), "b": upTo(12)}}
	want, err := Search(t.Context(), exact, tiers, nil, whole.probe)
	if err != nil {
		t.Fatal(err)
	}
	for stop := range whole.phases {
		first := &curves{pass: whole.pass}
		broken := errors.New("broken")
		got, err := Search(t.Context(), exact, tiers, nil, func(ctx context.Context, ask Ask) (Phase, error) {
			if len(first.phases) == stop {
				return Phase{PhaseFacts: PhaseFacts{Index: stop + 1, Agents: ask.Agents, Reason: EndInterrupted},
					Verdicts: []Verdict{{Tier: "a", Outcome: Invalid}, {Tier: "b", Outcome: Invalid}}}, broken
			}
			return first.probe(ctx, ask)
		})
		if !errors.Is(err, broken) || got.Complete || len(got.Phases) != stop+1 {
			t.Fatalf("stopped at %d: %v, %d phases, complete %v", stop, err, len(got.Phases), got.Complete)
		}
		rest := &curves{pass: whole.pass, phases: first.phases}
		got, err = Search(t.Context(), exact, tiers, got.Phases[:stop], rest.probe)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("stopped at %d and continued (-whole +continued):\n%s", stop, diff)
		}
	}
}

// Interrupted phases judge nobody: a run that was broken off twice at one N still finds its way.
func TestSearchContinuesAfterInterruptions(t *testing.T) {
	broken := Phase{PhaseFacts: PhaseFacts{Agents: 1, Reason: EndInterrupted}, Verdicts: []Verdict{{Tier: "t", Outcome: Invalid}}}
	c := &curves{pass: map[string]func(int) Outcome{"t": upTo(5)}}
	got, err := Search(t.Context(), exact, named("t"), []Phase{broken, broken, broken}, c.probe)
	if err != nil || got.Tiers[0].Agents != 5 || !got.Complete {
		t.Errorf("got %+v, %v", got.Tiers, err)
	}
}

func TestSearchStopsWhenCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c := &curves{pass: map[string]func(int) Outcome{"t": upTo(100)}}
	got, err := Search(ctx, exact, named("t"), nil, func(ctx context.Context, ask Ask) (Phase, error) {
		if len(c.phases) == 3 {
			cancel()
		}
		return c.probe(ctx, ask)
	})
	if !errors.Is(err, context.Canceled) || len(c.phases) != 4 || got.Tiers[0].Agents != 8 || got.Complete {
		t.Errorf("got %v after %d phases: %+v", err, len(c.phases), got.Tiers)
	}
}

func TestSearchRefusesBadBounds(t *testing.T) {
	for _, b := range []Bounds{{}, {Max: 1}, {Max: 1, Step: 1, Relative: 1}, {Max: 1, Step: 1, Relative: math.NaN()}, {Max: 1, Step: 1, Retests: -1}} {
		if _, err := Search(t.Context(), b, named("t"), nil, nil); err == nil {
			t.Errorf("%+v: no error", b)
		}
	}
}
