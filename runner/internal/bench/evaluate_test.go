package bench

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"agentwatt/shared/clock"
)

// origin is when the phases of the tests begin.
const origin = clock.Stamp(1_700_000_000_000_000_000)

func at(s float64) clock.Stamp { return origin.Add(time.Duration(s * float64(time.Second))) }

var testProfile = Profile{
	Name: "test", Spawn: 1, StartTurns: 1, Hold: time.Second, Settle: time.Second, MinWindow: 100 * time.Second, MinTrajectories: 4, MinPerAgent: 1,
	Timeout: 1000 * time.Second, Extend: 1, MaxAgents: 100, Step: 1,
}

var testTier = Tier{Name: "t", Objectives: []Objective{{OutputSpeed, 0.25, 60}, {TTFT, 0.95, 5}}}

// testFacts is a phase of 4 agents with a window of [10 s, 110 s).
func testFacts() PhaseFacts {
	return PhaseFacts{Index: 1, Agents: 4, Begin: at(0), Full: at(1), WindowBegin: at(10), WindowEnd: at(110), End: at(120), Reason: EndStopRule}
}

// answer is a request begun at the given second that got its first token after ttft seconds and ran at the given speed.
func answer(agent, play, turn int, begin, ttft, speed float64) Record {
	const tokens = 61
	return Record{
		Agent: agent, Play: play, Turn: turn, Turns: 5, Sched: at(begin), Messages: 1000, Shared: 800,
		Reply: Reply{
			WriteBegin: at(begin), WriteEnd: at(begin), FirstOutput: at(begin + ttft), FirstAnswer: at(begin + ttft), LastOutput: at(begin + ttft + 60/speed),
			Done: at(begin + ttft + 60/speed), Stamps: KernelStamps, Status: 200, Chunks: tokens, Prompt: 5000, Cached: 4000, Output: tokens, FirstChunk: 1, FirstKnown: true,
		},
	}
}

// load is 4 agents that each play plays of 5 turns inside the window, all alike.
func load(plays int, ttft, speed float64) (list []Record) {
	for agent := range 4 {
		for p := range plays {
			for turn := range 5 {
				list = append(list, answer(agent, p, turn, 10+90*(float64(p)+float64(turn)/5)/float64(plays), ttft, speed))
			}
		}
	}
	return list
}

func judged(t *testing.T, f PhaseFacts, records []Record) (Phase, Verdict) {
	t.Helper()
	p := Evaluate(f, records, Experiment{Tiers: []Tier{testTier}, Profile: testProfile})
	if len(p.Verdicts) != 1 {
		t.Fatalf("%d verdicts", len(p.Verdicts))
	}
	return p, p.Verdicts[0]
}

// TestUnprovenRateIsInvalid: no phase may ask more of the client than two thirds of what it was seen to do.
func TestUnprovenRateIsInvalid(t *testing.T) {
	records := load(8, 1, 80) // 160 answers of 61 chunks in 100 s: 97.6 chunks/s
	for proven, want := range map[float64]Outcome{147: Pass, 146: Invalid, 0: Invalid} {
		x := Experiment{Tiers: []Tier{testTier}, Profile: testProfile, Calibration: &Calibration{Proven: proven}}
		if v := Evaluate(testFacts(), records, x).Verdicts[0]; v.Outcome != want {
			t.Errorf("proven for %g chunks/s: got %s %q, want %s", proven, v.Outcome, v.Reasons, want)
		}
	}
}

func TestEvaluateOutcomes(t *testing.T) {
	change := func(n int, by func(*Record)) func([]Record) []Record {
		return func(rs []Record) []Record {
			for i := range n {
				by(&rs[i])
			}
			return rs
		}
	}
	fail := func(r *Record) { r.Failure, r.FirstOutput, r.LastOutput = FailStatus, 0, 0 }
	same := func(rs []Record) []Record { return rs }
	facts := func(by func(*PhaseFacts)) PhaseFacts { f := testFacts(); by(&f); return f }
	tests := []struct {
		name    string
		facts   PhaseFacts
		ttft    float64
		speed   float64
		change  func([]Record) []Record
		want    Outcome
		sure    Confidence
		because string
	}{
		{"good", testFacts(), 1, 80, same, Pass, Confident, ""},
		{"exactly at the limits", testFacts(), 5, 60, same, Pass, Confident, ""},
		{"late", testFacts(), 5.001, 80, same, Fail, Confident, ""},
		{"slow", testFacts(), 1, 59.9, same, Fail, Confident, ""},
		// 160 requests: P95 is the 152nd value, P25 the 40th.
		{"8 failures in 160", testFacts(), 1, 80, change(8, fail), Pass, Undecided, ""},
		{"9 failures in 160", testFacts(), 1, 80, change(9, fail), Fail, Undecided, ""},
		{"8 one-chunk answers in 160", testFacts(), 1, 80, change(8, func(r *Record) { r.Chunks = 1 }), Pass, Confident, ""},
		{"9 one-chunk answers in 160", testFacts(), 1, 80, change(9, func(r *Record) { r.Chunks = 1 }), Invalid, Undecided, "one chunk"},
		{"9 answers without usage in 160", testFacts(), 1, 80, change(9, func(r *Record) { r.Output = Unknown }), Invalid, Undecided, "no output_speed"},
		{"client late", testFacts(), 1, 80, change(2, func(r *Record) { r.Sched = r.Sched.Add(-51 * time.Millisecond) }), Invalid, Undecided, "client was late"},
		{"client late once", testFacts(), 1, 80, change(1, func(r *Record) { r.Sched = r.Sched.Add(-time.Second) }), Pass, Confident, ""},
		{"client late within 1 % of the limit", testFacts(), 1, 80, change(160, func(r *Record) { r.Sched = r.Sched.Add(-50 * time.Millisecond) }), Pass, Confident, ""},
		{"2 first outputs read late with others", testFacts(), 1, 80, change(2, func(r *Record) { r.FirstRead, r.FirstReadLag = 2, 3*time.Millisecond }), Invalid, Undecided, "2 of 160 first outputs"},
		{"1 first output read late with others", testFacts(), 1, 80, change(1, func(r *Record) { r.FirstRead, r.FirstReadLag = 2, 3*time.Millisecond }), Pass, Confident, ""},
		{"first outputs that the server sends with others", testFacts(), 1, 80, change(160, func(r *Record) { r.FirstRead, r.FirstReadLag = 2, time.Millisecond }), Pass, Confident, ""},
		{"first outputs read late alone", testFacts(), 1, 80, change(160, func(r *Record) { r.FirstRead, r.FirstReadLag = 1, time.Second }), Pass, Confident, ""},
		{"9 empty answers in 160", testFacts(), 1, 80, change(9, func(r *Record) { r.Output = 0 }), Fail, Undecided, ""},
		{"timeout", facts(func(f *PhaseFacts) { f.Reason = EndTimeout }), 1, 80, same, Fail, Undecided, "never a pass"},
		{"timeout without requests", facts(func(f *PhaseFacts) { f.Reason = EndTimeout }), 1, 80, func([]Record) []Record { return nil }, Fail, Undecided, "never a pass"},
		{"certain and bad", facts(func(f *PhaseFacts) { f.Reason = EndCertain }), 6, 80, same, Fail, Confident, ""},
		{"certain for others", facts(func(f *PhaseFacts) { f.Reason = EndCertain }), 1, 80, same, Unjudged, Undecided, "other tiers"},
		{"interrupted", facts(func(f *PhaseFacts) { f.Reason = EndInterrupted }), 1, 80, same, Invalid, Undecided, "interrupted"},
		{"no window", facts(func(f *PhaseFacts) { f.WindowBegin, f.WindowEnd = 0, 0 }), 1, 80, same, Invalid, Undecided, "never began"},
		{"no requests", testFacts(), 1, 80, func([]Record) []Record { return nil }, Invalid, Undecided, "no request"},
		{"cancelled", testFacts(), 1, 80, change(20, func(r *Record) { fail(r); r.Failure = Cancelled }), Pass, Confident, ""},
		{"stop rule not met", facts(func(f *PhaseFacts) { f.Agents = 5 }), 1, 80, same, Invalid, Undecided, "stop rule"},
		{"window too short", facts(func(f *PhaseFacts) { f.WindowEnd = at(109) }), 1, 80, same, Invalid, Undecided, "stop rule"},
	}
	for _, tt := range tests {
		_, v := judged(t, tt.facts, tt.change(load(8, tt.ttft, tt.speed)))
		reasons := strings.Join(v.Reasons, "; ")
		if v.Outcome != tt.want || v.Confidence != tt.sure || !strings.Contains(reasons, tt.because) || tt.because == "" && reasons != "" {
			t.Errorf("%s: got %s, %s, %q; want %s, %s, %q", tt.name, v.Outcome, v.Confidence, reasons, tt.want, tt.sure, tt.because)
		}
	}
}

// Requests belong to the half-open window by their start, however they end.
func TestEvaluateMembership(t *testing.T) {
	f := testFacts()
	for _, tt := range []struct {
		begin float64
		in    bool
	}{{9.999999, false}, {10, true}, {109.999999, true}, {110, false}} {
		p, _ := judged(t, f, []Record{answer(0, 0, 0, tt.begin, 30, 1)})
		if got := p.Requests == 1; got != tt.in {
			t.Errorf("begun at %v s: inside %v, want %v", tt.begin, got, tt.in)
		}
	}
	refused := Record{Sched: at(50), Reply: Reply{Failure: FailConnect, Done: at(51), Output: Unknown, Prompt: Unknown, Cached: Unknown}}
	p, _ := judged(t, f, []Record{refused})
	if p.Requests != 1 || p.Failures[FailConnect] != 1 || p.Metrics["ttft"].P50 != math.Inf(1) || p.Metrics["output_speed"].P50 != 0 {
		t.Errorf("a connection refused: %+v", p)
	}
	if p.Metrics["lag"].N != 0 {
		t.Errorf("a request never written has a lag: %+v", p.Metrics["lag"])
	}
}

// A request in flight counts against a tier once it has waited longer than that tier allows.
func TestEvaluateInFlight(t *testing.T) {
	loose := Tier{Name: "loose", Objectives: []Objective{{TTFT, 0.95, 30}}}
	f := testFacts()
	f.Reason = EndCertain // not drained
	records := load(8, 1, 80)
	for i := range 20 { // they have waited 20 s when the phase ends
		records = append(records, Record{Agent: i % 4, Play: 9, Turns: 5, Sched: at(100), Reply: Reply{WriteBegin: at(100), Failure: InFlight, Output: Unknown, Prompt: Unknown, Cached: Unknown}})
	}
	p := Evaluate(f, records, Experiment{Tiers: []Tier{testTier, loose}, Profile: testProfile})
	if got := p.Verdicts[0]; got.Outcome != Fail || got.Observed[1].N != 180 || !math.IsInf(got.Observed[1].Value, 1) || got.Observed[0].N != 180 {
		t.Errorf("limit 5 s: %+v", got)
	}
	if got := p.Verdicts[1]; got.Outcome != Unjudged || got.Observed[0].N != 160 || got.Observed[0].Value != 1 {
		t.Errorf("limit 30 s: %+v", got)
	}
	if p.Failures[InFlight] != 20 || p.Requests != 180 || p.Metrics["ttft"].N != 160 {
		t.Errorf("counted: %v of %d, ttft of %d", p.Failures, p.Requests, p.Metrics["ttft"].N)
	}
	// Once an answer has begun to come it is no endless wait, however long it takes.
	for i := range records[160:] {
		records[160+i].FirstByte = at(101)
	}
	p = Evaluate(f, records, Experiment{Tiers: []Tier{testTier}, Profile: testProfile})
	if got := p.Verdicts[0]; got.Outcome != Unjudged || got.Observed[1].N != 160 || got.Observed[1].Value != 1 {
		t.Errorf("in flight and answering: %+v", got)
	}
	// With a first token its wait is known and its speed is not.
	records = load(8, 1, 80)
	for i := range 20 {
		records[i].Failure, records[i].Output = InFlight, Unknown
	}
	p = Evaluate(f, records, Experiment{Tiers: []Tier{testTier}, Profile: testProfile})
	if got := p.Verdicts[0].Observed; got[0].N != 140 || got[1].N != 160 || got[1].Value != 1 {
		t.Errorf("in flight with a first token: %+v", got)
	}
	// A drained phase has none of them: too many left out make it invalid.
	f.Reason = EndStopRule
	if got := Evaluate(f, records, Experiment{Tiers: []Tier{testTier}, Profile: testProfile}).Verdicts[0]; got.Outcome != Invalid {
		t.Errorf("not drained: %+v", got)
	}
}

func TestEvaluateIgnoresTheOrderOfRecords(t *testing.T) {
	records := load(8, 1, 80)
	rng := rand.New(rand.NewPCG(1, 1))
	for i := range records {
		records[i].FirstOutput = records[i].FirstOutput.Add(time.Duration(rng.IntN(1e9)))
	}
	want, err := json.Marshal(Evaluate(testFacts(), records, Experiment{Tiers: []Tier{testTier}, Profile: testProfile}))
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		rng.Shuffle(len(records), func(i, j int) { records[i], records[j] = records[j], records[i] })
		before := slices.Clone(records)
		got, err := json.Marshal(Evaluate(testFacts(), records, Experiment{Tiers: []Tier{testTier}, Profile: testProfile}))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(before, records); diff != "" {
			t.Fatalf("the records were changed:\n%s", diff)
		}
	}
}

func TestEvaluateDescribes(t *testing.T) {
	records := load(8, 1, 60) // 2 s in flight each: 160 requests, 320 s in a window of 100 s
	for i := range 40 {
		records[i].Prompt, records[i].Cached = 300, Unknown // agent 0
		records[i].FirstOutput = records[i].FirstOutput.Add(time.Second / 2)
	}
	records[50].Failure = FailTruncated
	records[51].FirstKnown = false
	before := answer(3, 0, 0, 0, 1, 60) // in flight from 0 to 20 s, half of it inside the window
	before.Done = at(20)
	after := answer(3, 9, 4, 109, 1, 60) // a trajectory that was completed after the window: begun inside it for 1 s
	p, _ := judged(t, testFacts(), append(slices.Clone(records), before, after))
	if math.Abs(p.InFlight-3.31) > 1e-6 || p.Requests != 161 || p.Trajectories != 32 {
		t.Errorf("in flight %v of %d requests, %d trajectories; want 3.31, 161, 32", p.InFlight, p.Requests, p.Trajectories)
	}
	p, _ = judged(t, testFacts(), records)
	if math.Abs(p.InFlight-3.2) > 1e-6 || math.Abs(p.DutyCycle-0.8) > 1e-6 {
		t.Errorf("in flight %v, duty cycle %v; want 3.2, 0.8", p.InFlight, p.DutyCycle)
	}
	if p.Trajectories != 32 || p.FirstAssumed != 1 || p.Failures[FailTruncated] != 1 {
		t.Errorf("%d trajectories, %d first chunks assumed, failures %v", p.Trajectories, p.FirstAssumed, p.Failures)
	}
	if len(p.Agentwise) != 4 || p.Agentwise[0].TTFTP95 != 1.5 || p.Agentwise[1].Requests != 40 || p.TTFTSpread.N != 4 || p.TTFTSpread.P99 != 1.5 || p.TTFTSpread.P50 != 1 {
		t.Errorf("by agent: %+v, spread %+v", p.Agentwise, p.TTFTSpread)
	}
	if p.SlowestAgent != 1 || p.LatestAgent != 0 {
		t.Errorf("agent %d is the slowest, %d the latest; want 1, the first with 60 tok/s, and 0, with 1.5 s", p.SlowestAgent, p.LatestAgent)
	}
	buckets := []ContextBucket{{0, 1024, 40, 120, 1.5}, {4096, 8192, 120, 60, 1}}
	if diff := cmp.Diff(buckets, p.ByContext); diff != "" {
		t.Errorf("by context (-want +got):\n%s", diff)
	}
	want := Tokens{Prompt: 40*300 + 120*5000, Cached: 120 * 4000, Output: 160 * 61, CachedUnknown: 40, PromptUncached: 12000}
	if diff := cmp.Diff(want, p.Tokens); diff != "" {
		t.Errorf("tokens (-want +got):\n%s", diff)
	}
}

func TestContextBuckets(t *testing.T) {
	for _, tt := range []struct{ prompt, from, to int }{
		{0, 0, 1024}, {1023, 0, 1024}, {1024, 1024, 2048}, {2047, 1024, 2048}, {131071, 65536, 131072}, {131072, 131072, 0}, {1 << 20, 131072, 0},
	} {
		r := answer(0, 0, 0, 20, 1, 60)
		r.Prompt = tt.prompt
		p, _ := judged(t, testFacts(), []Record{r})
		if got := p.ByContext[0]; got.From != tt.from || got.To != tt.to {
			t.Errorf("%d tokens: bucket [%d, %d), want [%d, %d)", tt.prompt, got.From, got.To, tt.from, tt.to)
		}
	}
}

func TestEvaluateWarns(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Record)
		want   string
	}{
		{"leak", func(r *Record) { r.Cached = 4900 }, "reuse between plays"},
		{"eviction", func(r *Record) { r.Cached = 1000 }, "eviction"},
		{"tool time", func(r *Record) { r.ToolPlanned, r.ToolActual = time.Second, 1100*time.Millisecond }, "+10.0 % against the planned tool time"},
		{"user stamps", func(r *Record) { r.Stamps = UserStamps }, "160 of 160 requests have receive stamps of the reader"},
		{"models", func(r *Record) { r.Model = []string{"a", "b"}[r.Turn%2] }, "more than one model: a, b"},
		{"nothing", func(r *Record) { r.ToolPlanned, r.ToolActual = time.Second, time.Second }, ""},
	}
	for _, tt := range tests {
		records := load(8, 1, 80)
		for i := range records {
			tt.change(&records[i])
		}
		p, _ := judged(t, testFacts(), records)
		if got := strings.Join(p.Warnings, "\n"); !strings.Contains(got, tt.want) || tt.want == "" && got != "" {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

// The JSON of a phase comes back as it was, infinities and absent values included.
func TestPhaseJSON(t *testing.T) {
	records := load(8, 1, 80)
	for i := range 40 {
		records[i].Failure, records[i].FirstOutput = FailStatus, 0
	}
	for i := 40; i < 80; i++ {
		records[i].Chunks = 1
	}
	want, _ := judged(t, testFacts(), records)
	data, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got Phase
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	nan := cmp.Comparer(func(a, b float64) bool { return a == b || math.IsNaN(a) && math.IsNaN(b) })
	if diff := cmp.Diff(want, got, nan); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, s := range []string{`"inf"`, `null`, `"p95"`} {
		if !strings.Contains(string(data), s) {
			t.Errorf("no %s in %s", s, data)
		}
	}
}

func TestMetrics(t *testing.T) {
	r := Record{Sched: at(0), Reply: Reply{
		WriteBegin: at(0.5), FirstOutput: at(1), FirstAnswer: at(2), LastOutput: at(5), Done: at(5.5), Chunks: 10, Output: 101, FirstChunk: 1,
	}}
	want := map[Metric]float64{OutputSpeed: 25, E2ESpeed: 101 / 4.5, TTFT: 0.5, TTFTAnswer: 1.5, TTFTSched: 1, InterToken: 0.04, Duration: 5, Lag: 0.5}
	for m, v := range want {
		if got, ok := m.Of(r); !ok || math.Abs(got-v) > 1e-9 {
			t.Errorf("%s: got %v, %v; want %v", m, got, ok, v)
		}
	}
	one := r
	one.Chunks = 1
	for _, m := range []Metric{OutputSpeed, InterToken} {
		if v, ok := m.Of(one); ok {
			t.Errorf("%s of a one-chunk answer: %v", m, v)
		}
	}
	failed := r
	failed.Failure = FailStream
	for _, m := range Metrics() {
		if got, ok := m.Of(failed); !ok || got != m.Worst() {
			t.Errorf("%s of a failure: %v, %v; want %v", m, got, ok, m.Worst())
		}
	}
}
