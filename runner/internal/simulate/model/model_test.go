package model

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"agentwatt/runner/internal/simulate"
	"agentwatt/shared/power"
	"github.com/google/go-cmp/cmp"
)

const (
	ns = time.Nanosecond
	ms = time.Millisecond
)

// plain is an engine whose times can be added up by hand.
func plain() simulate.Params {
	return simulate.Params{
		MaxBatch: 2, StepBase: 10 * ms, StepPerSequence: ms, StepPerKilotoken: 10 * ms, PrefillRate: 10_000, PrefillBudget: 100,
		CacheTokens: 400, BlockTokens: 10, MaxContext: 300,
		Devices: 2, Idle: 50 * power.Watt, StepEnergy: power.Joule, DecodeEnergy: 2 * power.Joule, PrefillEnergy: 10 * power.Millijoule,
		CounterPeriod: 100 * ms, Seed: 1,
	}
}

// prompt returns the bytes of a prompt of n tokens that begins with the given text.
func prompt(n int, text string) [][]byte {
	return [][]byte{append([]byte(text), bytes.Repeat([]byte("."), 4*n-len(text))...)}
}

// script is an agent with these requests.
func script(spawn time.Duration, requests ...Request) Agent {
	return Agent{Spawn: spawn, Next: func() (r Request, ok bool) {
		if len(requests) == 0 {
			return r, false
		}
		r, requests = requests[0], requests[1:]
		return r, true
	}}
}

func exactly(n int, prompt [][]byte) Request { return Request{Prompt: prompt, Limit: n, Least: n} }

// The times here were worked out with pencil and paper from docs/simulate.md.
func TestByHand(t *testing.T) {
	a := exactly(3, prompt(150, "a"))
	a.Wait = 100 * ms
	again := exactly(2, prompt(150, "a")) // 14 of its 15 blocks are still there: the last token is always computed
	course := Run(plain(), []Agent{script(5*ms, a, again), script(20*ms, exactly(2, prompt(30, "b"))), script(21*ms, exactly(1, prompt(10, "c")))}, time.Second)

	first := 5*ms + ns        // a wakes the engine
	second := first + 20*ms   // 10 + 100 tokens at 0.1 ms
	third := second + 18*ms   // a's last 50 and b's 30: 10 + 8; both get their first token, a is not decoding yet
	fourth := third + 12*ms + // a and b decode: 10 + 2,
		(151+31)*10*time.Microsecond // and 10 µs for each token of their contexts
	fifth := fourth + 11*ms + 152*10*time.Microsecond + ms // b has left, c comes in: a decodes, c's 10 are computed
	woken := fifth + 100*ms + ns
	want := []Served{
		{Agent: 0, Arrived: 5 * ms, First: third, Last: fifth, Prompt: 150, Output: 3, FirstTokens: 1, Done: true},
		{Agent: 1, Arrived: 20 * ms, First: third, Last: fourth, Prompt: 30, Output: 2, FirstTokens: 1, Done: true},
		{Agent: 2, Arrived: 21 * ms, First: fifth, Last: fifth, Prompt: 10, Output: 1, FirstTokens: 1, Done: true},
		{Agent: 0, Ordinal: 1, Arrived: fifth + 100*ms, First: woken + 11*ms, Last: woken + 11*ms + 11*ms + 151*10*time.Microsecond,
			Prompt: 150, Cached: 140, Output: 2, FirstTokens: 1, Done: true},
	}
	if d := cmp.Diff(want, course.Requests); d != "" {
		t.Error(d)
	}
	if got := course.Steps(); got != 6 {
		t.Errorf("%d steps, want 6", got)
	}
	// Six steps, eight tokens, 150 + 30 + 10 + 10 computed; 2 devices of 50 W for a second.
	if got, want := course.Energy(time.Second), (6+8*2+2+100)*power.Joule; got != want {
		t.Errorf("%v J in all, want %v", got.Joules(), want.Joules())
	}
	// Half of the first step: 1 J and 100 tokens of 10 mJ over 20 ms, beside the idle power.
	if got, want := course.Energy(first+10*ms), power.Energy(power.Joule+100*15_000+0); got-want > 1 || want-got > 1 {
		t.Errorf("%v J after half of the first step, want %v", got.Joules(), want.Joules())
	}
	if got := course.Mean(500*ms, 700*ms); got != 100*power.Watt {
		t.Errorf("idle at %v, want 100 W", got)
	}
}

func TestOnAnIdleEngineTheFirstTokenComesByTheClosedForm(t *testing.T) {
	for _, name := range simulate.Presets() {
		p, err := simulate.Preset(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, tokens := range []int{1, 31, 32, 33, 500, 5000, 20_000} {
			r := Run(p, []Agent{script(0, exactly(5, prompt(tokens, "x")))}, time.Hour).Requests[0]
			if got, want := r.First, simulate.PrefillTime(p, tokens)+ns; got != want {
				t.Errorf("%s, %d tokens: first token after %v, want %v", name, tokens, got, want)
			}
		}
	}
}

// A pure decode load: equal contexts, prompts that cost nothing, no time between requests.
func TestAPureDecodeLoadHasTheCapacityOfTheClosedForm(t *testing.T) {
	p, err := simulate.Preset("decode-bound")
	if err != nil {
		t.Fatal(err)
	}
	p.PrefillRate, p.PrefillEnergy = 1e12, 0
	const tokens, output = 400, 200
	w := Window{Begin: 5 * time.Second, End: 60 * time.Second}
	levels := Levels(p, func(n int) (load []Agent) {
		for i := range n {
			k := 0
			load = append(load, Agent{Next: func() (Request, bool) { // all at once: all decode in every step
				k++
				return exactly(output, prompt(tokens, fmt.Sprint(i, " ", k, " "))), true
			}})
		}
		return load
	}, w, 40)
	for n := 1; n < 40; n++ {
		speed := simulate.DecodeSpeed(p, n, tokens+output/2)
		if got := levels[n-1].Speed; math.Abs(got/speed-1) > 1e-6 {
			t.Errorf("%d sequences: %v tok/s, want %v", n, got, speed)
		}
		floor := (speed + simulate.DecodeSpeed(p, n+1, tokens+output/2)) / 2
		known := simulate.DecodeCapacity(p, floor, tokens+output/2)
		if got, want := Capacity(levels, Tier{Speed: floor, TTFT: 1}), (Edge{known, known}); got != want || known != n {
			t.Errorf("floor of %v tok/s: capacity %+v, the closed form says %d, want %d", floor, got, known, n)
		}
		// One step of an answer, the one that computes its prompt, does not decode.
		if got, want := levels[n-1].Mean.Watts(), simulate.PowerAt(p, n, tokens+output/2).Watts(); math.Abs(got/want-1) > 0.02 {
			t.Errorf("%d sequences: %.1f W, the closed form says %.1f W", n, got, want)
		}
	}
}

func TestSpeculationEmitsTheMeanOfTheClosedForm(t *testing.T) {
	p, err := simulate.Preset("speculative")
	if err != nil {
		t.Fatal(err)
	}
	const output = 20_000
	course := Run(p, []Agent{script(0, exactly(output, prompt(10, "x")))}, time.Hour)
	got := float64(output-1) / float64(course.Steps()-1)
	if want := simulate.TokensPerStep(p); math.Abs(got/want-1) > 0.02 {
		t.Errorf("%v tokens per step, want %v", got, want)
	}
}

func TestWhoGivesUpLeaves(t *testing.T) {
	waits, running := exactly(5, prompt(50, "w")), exactly(250, prompt(50, "r"))
	running.Quit, waits.Quit = 500*ms, 300*ms
	p := plain()
	p.MaxBatch = 1
	course := Run(p, []Agent{script(0, running), script(ms, waits), script(2*ms, exactly(1, prompt(50, "n")))}, 2*time.Second)
	r, w, n := course.Requests[0], course.Requests[1], course.Requests[2]
	if r.Done || r.First == 0 || r.Last < 480*ms || r.Last > 520*ms {
		t.Errorf("gave up after 500 ms of answers: %+v", r)
	}
	if w.Done || w.First != 0 {
		t.Errorf("gave up in the queue: %+v", w)
	}
	if !n.Done || n.First < r.Last || n.First > r.Last+40*ms {
		t.Errorf("next in the queue: %+v", n)
	}
}

// The oldest blocks that nobody holds go first, the end of a prompt before its beginning.
func TestEviction(t *testing.T) {
	p := plain() // 40 blocks
	request := func(tokens int, name string) Request {
		r := exactly(1, prompt(tokens, name))
		r.Wait = time.Second
		return r
	}
	course := Run(p, []Agent{script(0,
		request(190, "a"), // 20 blocks, 19 stay
		request(150, "b"), // 16 blocks, 15 stay: 34 in use
		request(90, "c"),  // 10 blocks: 6 are free, 4 of a's end go, 9 stay
		request(190, "a"), // 15 of its 19 are left: 5 more, 1 is free, 4 of b's end go
		request(150, "b"), // 11 of its 15 are left
	)}, time.Minute)
	var got []int
	for _, r := range course.Requests {
		got = append(got, r.Cached)
	}
	if d := cmp.Diff([]int{0, 0, 0, 150, 110}, got); d != "" {
		t.Error(d)
	}
}

// Energy grows by no less than the idle power and ends at what was done.
func TestEnergyIsTheSumOfItsParts(t *testing.T) {
	p := plain()
	course := Run(p, []Agent{script(0, exactly(40, prompt(120, "a"))), script(7*ms, exactly(90, prompt(60, "b")))}, 3*time.Second)
	rng := rand.New(rand.NewPCG(1, 1))
	for range 1000 {
		a, b := time.Duration(rng.Int64N(int64(3*time.Second))), time.Duration(rng.Int64N(int64(3*time.Second)))
		a, b = min(a, b), max(a, b)
		got, least := course.Energy(b)-course.Energy(a), (100 * power.Watt).Over(b-a)
		if got < least-1 {
			t.Fatalf("[%v, %v): %d µJ, idle alone is %d", a, b, got, least)
		}
	}
	want := 300*power.Joule + power.Energy(course.Steps())*p.StepEnergy + 130*p.DecodeEnergy + 180*p.PrefillEnergy
	if got := course.Energy(3 * time.Second); got != want || course.Tokens != 130 {
		t.Errorf("%d µJ and %d tokens, want %d and 130", got, course.Tokens, want)
	}
}

func TestNearestRank(t *testing.T) {
	for _, c := range []struct {
		values  []float64
		percent int
		want    float64
	}{
		{[]float64{7}, 25, 7},
		{[]float64{4, 3, 2, 1}, 25, 1},
		{[]float64{5, 4, 3, 2, 1}, 25, 2},
		{[]float64{1, 2, 3, 4}, 95, 4},
		{[]float64{20, 19, 18, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1}, 95, 19},
	} {
		if got := nearestRank(append([]float64(nil), c.values...), c.percent); got != c.want {
			t.Errorf("P%d of %v: %v, want %v", c.percent, c.values, got, c.want)
		}
	}
}

func TestCapacity(t *testing.T) {
	for _, c := range []struct {
		speeds []float64
		want   Edge
	}{
		{[]float64{30, 20, 10}, Edge{2, 2}},
		{[]float64{10, 9, 8}, Edge{0, 0}},
		{[]float64{30, 10, 20, 9}, Edge{1, 3}}, // not monotone
		{[]float64{30, 20, 20}, Edge{3, 3}},
	} {
		var levels []Level
		for i, s := range c.speeds {
			levels = append(levels, Level{Agents: i + 1, Speed: s})
		}
		if got := Capacity(levels, Tier{Speed: 15, TTFT: 1}); got != c.want {
			t.Errorf("speeds %v: %+v, want %+v", c.speeds, got, c.want)
		}
	}
}
