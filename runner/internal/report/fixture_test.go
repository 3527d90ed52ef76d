package report

import (
	"fmt"
	"math"
	"time"

	"agentwatt/runner/internal/bench"
	"agentwatt/shared/clock"
	"agentwatt/shared/power"
)

// started is when every run of the tests began: 2026-06-12 08:00:00 UTC.
const started = clock.Stamp(1781251200e9)

// fixture is one result that every format must hold for.
type fixture struct {
	name string
	run  Run
}

// fixtures lists the results of the golden files.
func fixtures() []fixture {
	return []fixture{
		{"normal", normalRun()},
		{"simulated", simulatedRun()},
		{"no-power", noPowerRun()},
		{"none", noneRun()},
		{"invalid-power", invalidRun()},
		{"non-monotone", nonMonotoneRun()},
		{"scopes", scopesRun()},
		{"interrupted", Run{Result: bench.Result{Schema: 1, Run: experiment(), Tiers: bench.Conclude(experiment().Profile.Bounds(), experiment().Tiers, nil),
			Warnings: []string{"interrupted by the user"}}}},
	}
}

func tiers() []bench.Tier {
	tier := func(name string, speed, wait float64) bench.Tier {
		return bench.Tier{Name: name, Objectives: []bench.Objective{
			{Metric: bench.OutputSpeed, Quantile: 0.25, Limit: speed}, {Metric: bench.TTFT, Quantile: 0.95, Limit: wait}}}
	}
	return []bench.Tier{tier("tier-1", 20, 10), tier("tier-2", 60, 5)}
}

func experiment() bench.Experiment {
	profile, err := bench.ProfileNamed("aa-agentperf-2026-06")
	if err != nil {
		panic(err)
	}
	return bench.Experiment{
		ID: "run-7", Started: started, Tool: "runner 1.0", Binary: "3f5a", Endpoint: "http://gb300.example:8000/v1", Model: "deepseek-v4-pro",
		Dataset: "traj_500.jsonl", DatasetSum: "9c1d", Tiers: tiers(), TiersSum: "77aa", Profile: profile, Output: "free", OutputAsked: "free",
		OutputCap: 16384, ToolTime: "sampled", Salt: "before", Seed: 42, Host: "load-1",
		System: bench.System{Name: "GB300 NVL72, half a rack", Accelerator: "NVIDIA GB300", Accelerators: 32, Systems: 1, TDP: 1400 * power.Watt,
			Submitter: "in-house", Disclosure: map[string]string{"framework": "TensorRT-LLM 1.3", "parallelism": "6×CTX DEP4 + 1×GEN DEP8", "precision": "MXFP4"}},
		Power: bench.PowerPlan{Bus: "nats://gb300:4222", Idle: time.Minute},
	}
}

// builder makes the phases of a run one after the other.
type builder struct {
	at     clock.Stamp
	phases []bench.Phase
	power  func(agents int, w bench.Window) []bench.ScopePower
}

// add appends a phase of n agents whose percentiles follow from n, and judges it.
func (b *builder) add(n int, purpose string, speed, wait float64) {
	begin := b.at
	w := bench.Window{Begin: begin.Add(5 * time.Minute), End: begin.Add(15 * time.Minute)}
	p := bench.Phase{PhaseFacts: bench.PhaseFacts{Index: len(b.phases) + 1, Agents: n, Purpose: purpose, Begin: begin, Full: begin.Add(4 * time.Minute),
		WindowBegin: w.Begin, WindowEnd: w.End, End: w.End.Add(20 * time.Second), Reason: bench.EndStopRule,
		Client: bench.ClientCost{CPU: 41 * time.Second, GCPauseMax: 210 * time.Microsecond, SchedP99: 90 * time.Microsecond, SchedMax: 2 * time.Millisecond}}}
	p.Requests, p.Trajectories = 60*n, 3*n
	p.Reading = bench.Reading{Chunks: 9000 * n, PerSecond: 15 * float64(n), Merged: 0.0004, Latest: summary(p.Requests, 0.0012), LateFirsts: n / 300}
	p.Failures = map[bench.Failure]int{bench.FailTimeout: n / 400, bench.Cancelled: 1}
	p.Metrics = map[string]bench.Summary{
		"output_speed": summary(p.Requests, speed), "ttft": summary(p.Requests, wait/2), "e2e_speed": summary(p.Requests, speed*0.8), "lag": summary(p.Requests, 0.0004)}
	p.Metrics["ttft"] = bench.Summary{N: p.Requests, P5: wait / 9, P25: wait / 5, P50: wait / 3, P75: wait / 2, P90: wait * 0.8, P95: wait, P99: math.Inf(1)}
	p.SpeedSpread, p.TTFTSpread = summary(n, speed), summary(n, wait)
	p.Agentwise = []bench.AgentSummary{{Agent: 0, Requests: 60, Trajectories: 3, SpeedP25: speed, TTFTP95: wait},
		{Agent: 1, Requests: 58, Trajectories: 3, SpeedP25: speed * 0.9, TTFTP95: wait * 1.1}, {Agent: 2, SpeedP25: math.NaN(), TTFTP95: math.NaN()}}
	p.ByContext = []bench.ContextBucket{{From: 0, To: 1024, Requests: 12 * n, SpeedP25: speed * 1.2, TTFTP95: wait / 3}, {From: 1 << 17, Requests: n, SpeedP25: math.NaN(), TTFTP95: math.Inf(1)}}
	p.Tokens = bench.Tokens{Prompt: int64(n) * 1_620_000, Cached: int64(n) * 1_500_000, Output: int64(n) * 18_000, Reasoning: int64(n) * 7_000}
	p.InFlight = 0.82 * float64(n)
	p.DutyCycle = 0.82
	for _, t := range tiers() {
		p.Verdicts = append(p.Verdicts, judge(t, p, speed, wait))
	}
	if b.power != nil {
		p.Power = b.power(n, w)
	}
	b.phases = append(b.phases, p)
	b.at = p.End.Add(time.Second)
}

func judge(t bench.Tier, p bench.Phase, speed, wait float64) bench.Verdict {
	v := bench.Verdict{Tier: t.Name, Outcome: bench.Pass, Confidence: bench.Confident}
	for _, o := range t.Objectives {
		value := speed
		if o.Metric == bench.TTFT {
			value = wait
		}
		seen := bench.Observed{Objective: o, Value: value, Low: value * 0.96, High: value * 1.05, N: p.Requests, Plays: p.Trajectories, Met: o.Met(value)}
		if !seen.Met {
			v.Outcome = bench.Fail
		}
		if o.Met(seen.Low) != o.Met(seen.High) {
			v.Confidence = bench.Undecided
		}
		v.Observed = append(v.Observed, seen)
	}
	return v
}

// summary is a distribution whose P25 is v.
func summary(n int, v float64) bench.Summary {
	return bench.Summary{N: n, P5: v * 0.8, P25: v, P50: v * 1.1, P75: v * 1.3, P90: v * 1.5, P95: v * 1.6, P99: v * 2}
}

// metered gives the power of devices at a scope over a window.
func metered(scope power.Scope, devices int, each power.Power, w bench.Window, simulated bool) bench.ScopePower {
	s := bench.ScopePower{Scope: scope, Valid: true, Simulated: simulated}
	for i := range devices {
		id := fmt.Sprintf("GPU-%02d", i)
		if scope != power.Accelerator {
			id = fmt.Sprintf("%s-%d", scope, i)
		}
		counted := use(power.Meter{ID: id + "/energy", Device: id, Name: "NVIDIA GB300", Scope: scope, Quantity: power.Counter, Model: "nvml/energy", Simulated: simulated}, each, w)
		check := use(power.Meter{ID: id + "/power", Device: id, Name: "NVIDIA GB300", Scope: scope, Quantity: power.Mean, Averaging: time.Second, Simulated: simulated}, each*1003/1000, w)
		s.Uses = append(s.Uses, counted, check)
		s.Devices, s.Meters = append(s.Devices, id), append(s.Meters, counted.Meter.ID)
	}
	var counted []power.Use
	for i := 0; i < len(s.Uses); i += 2 {
		counted = append(counted, s.Uses[i])
	}
	s.Mean, s.Energy, s.Uncertainty, s.Coverage = power.Sum(counted)
	return s
}

func use(m power.Meter, mean power.Power, w bench.Window) power.Use {
	return power.Use{Meter: m, Begin: w.Begin, End: w.End, Energy: mean.Over(w.Length()), Mean: mean, Measured: w.Length(), Coverage: 0.9998,
		LongestGap: 120 * time.Millisecond, Fresh: 6000, Valid: true, Uncertainty: power.Uncertainty{Gain: 0.025, Quantisation: 1e-6, Edges: 0.0003, Clock: 0.00002, Gaps: 0.0001}}
}

// finish concludes a run from its phases with bench's own rules.
func (b *builder) finish(x bench.Experiment, complete bool, warnings ...string) bench.Result {
	r := bench.Result{Schema: 1, Run: x, Complete: complete, Phases: b.phases, Warnings: warnings, Comparable: true}
	r.Tiers = bench.Conclude(x.Profile.Bounds(), x.Tiers, b.phases)
	for i := range r.Tiers {
		t := &r.Tiers[i]
		for _, p := range b.phases {
			if p.Index == t.Phase {
				t.Figures = bench.Figures(*t, p, x.System, x.Simulated)
			}
		}
	}
	return r
}

// accelerators is 32 accelerators that draw 937 W each, METHOD 1's check of scale.
func accelerators(_ int, w bench.Window) []bench.ScopePower {
	return []bench.ScopePower{metered(power.Accelerator, 32, 937*power.Watt, w, false)}
}

// scaleSearch runs the search whose answer is 1,840 agents for tier-1.
func scaleSearch(b *builder) {
	for n := 1; n <= 2048; n *= 2 {
		b.add(n, "ramp", curveSpeed(n), curveWait(n))
	}
	for _, n := range []int{1536, 1792, 1920, 1856, 1824, 1840} {
		b.add(n, "bisect", curveSpeed(n), curveWait(n))
	}
	for _, n := range []int{768, 896, 832, 800, 780} {
		b.add(n, "bisect", curveSpeed(n), curveWait(n))
	}
	for _, n := range []int{1840, 1840, 1856, 768, 768, 780} {
		b.add(n, "re-test", curveSpeed(n), curveWait(n))
	}
}

// shortSearch comes to the same answer for tier-1, and to none for tier-2.
func shortSearch(b *builder) {
	for _, n := range []int{1024, 1856, 1840, 1840, 1840, 1856} {
		b.add(n, "re-test", curveSpeed(n), curveWait(n))
	}
}

// curveSpeed and curveWait cross tier-1's limits just above 1,840 agents and tier-2's just above 768.
func curveSpeed(n int) float64 { return 118 / (1 + math.Pow(float64(n)/765, 1.8)*0.953) }
func curveWait(n int) float64  { return 0.3 + 9.68*math.Pow(float64(n)/1850, 2) }

func normalRun() Run {
	b := builder{at: started.Add(2 * time.Minute), power: accelerators}
	scaleSearch(&b)
	r := b.finish(experiment(), true)
	idle := bench.Window{Begin: started, End: started.Add(time.Minute)}
	r.IdleBefore = []bench.ScopePower{metered(power.Accelerator, 32, 140*power.Watt, idle, false)}
	idle = bench.Window{Begin: b.at, End: b.at.Add(time.Minute)}
	r.IdleAfter = []bench.ScopePower{metered(power.Accelerator, 32, 151*power.Watt, idle, false)}
	run := Run{Result: r, Timeline: courseOf(r, idle.End, power.Accelerator)}
	run.watched(idle.End)
	return run
}

// watched adds what a server under vLLM's names told, and a hole where it told nothing.
func (r *Run) watched(end clock.Stamp) {
	var samples []bench.ServerSample
	hits, asked := 0.0, 0.0
	for at, n := started, 0; at < end; at, n = at.Add(10*time.Second), n+1 {
		if n >= 400 && n < 420 {
			continue
		}
		agents := 0.0
		for _, p := range r.Result.Phases {
			if p.Begin <= at && at < p.End {
				agents = float64(p.Agents)
			}
		}
		hits, asked = hits+agents*900, asked+agents*1000
		samples = append(samples, bench.ServerSample{Time: at, Server: "vllm", Simulated: r.Result.Simulated, Values: map[bench.ServerQuantity]float64{
			bench.ServerRunning: min(agents, 1500), bench.ServerWaiting: max(0, agents-1500), bench.ServerKV: min(agents/1800, 1),
			bench.ServerHits: hits, bench.ServerQueries: asked, bench.ServerPreemptions: float64(n / 100), bench.ServerGenerated: asked / 4}})
	}
	r.Server = NewServerCourse(samples, bench.Window{Begin: started, End: end})
	r.Result.Server = &bench.ServerMetrics{ServerPlan: bench.ServerPlan{URL: "http://gb300.example:8000/metrics"}, Servers: []string{"vllm"},
		Reads: len(samples), Failed: 20, Failure: "read metrics: status 503"}
	for i := range r.Result.Phases {
		p := &r.Result.Phases[i]
		p.Server = &bench.ServerWindow{Reads: 60, Values: map[string]float64{"requests_running_mean": min(float64(p.Agents), 1500), "requests_running_max": float64(p.Agents),
			"kv_cache_usage_mean": 0.31, "kv_cache_usage_max": 0.4, "prefix_cache_hit_rate": 0.9, "preemptions": 2, "generation_tokens_per_second": 25 * float64(p.Agents)}}
	}
}

// courseOf draws a run's power with a gap of some bins.
func courseOf(r bench.Result, end clock.Stamp, scopes ...power.Scope) Timeline {
	t := Timeline{Span: bench.Window{Begin: started, End: end}}
	const bins = 200
	width := t.Span.Length() / bins
	for k, s := range scopes {
		c := Course{Scope: s, Watts: gaps(bins)}
		for i := range bins {
			at := started.Add(time.Duration(i) * width)
			c.Watts[i] = 4500 * (1 + 0.4*float64(k))
			for _, p := range r.Phases {
				if p.Begin <= at && at < p.End {
					c.Watts[i] = (8000 + 22000*math.Min(1, float64(p.Agents)/1840) + 300*math.Sin(float64(i))) * (1 + 0.4*float64(k))
				}
			}
			if i >= 120 && i < 126 {
				c.Watts[i] = math.NaN()
			}
		}
		t.Scopes = append(t.Scopes, c)
	}
	return t
}

func simulatedRun() Run {
	b := builder{at: started.Add(time.Minute), power: func(_ int, w bench.Window) []bench.ScopePower {
		return []bench.ScopePower{metered(power.Accelerator, 2, 600*power.Watt, w, true)}
	}}
	for _, n := range []int{1, 2, 4, 8, 16} {
		b.add(n, "ramp", 200/float64(n), 0.6*float64(n))
	}
	for _, n := range []int{12, 10, 9, 9, 9, 10, 3, 3, 3, 4} {
		b.add(n, "bisect", 200/float64(n), 0.6*float64(n))
	}
	x := experiment()
	x.Simulated, x.Model, x.Endpoint = true, "simulated/demo", "http://127.0.0.1:8000/v1"
	x.System = bench.System{Name: "simulated engine", Submitter: "demo"}
	r := b.finish(x, true, "SIMULATED: the endpoint or a meter is simulated; nothing here is evidence about hardware")
	r.Simulated, r.Comparable = true, false
	run := Run{Result: r, Timeline: courseOf(r, b.at, power.Accelerator)}
	run.watched(b.at)
	return run
}

func noPowerRun() Run {
	b := builder{at: started}
	shortSearch(&b)
	x := experiment()
	x.Power = bench.PowerPlan{}
	return Run{Result: b.finish(x, true, "no power was recorded: agents per megawatt cannot be given")}
}

func noneRun() Run {
	b := builder{at: started, power: accelerators}
	b.add(1, "ramp", 4, math.Inf(1))
	b.add(1, "re-test", 4, math.Inf(1))
	return Run{Result: b.finish(experiment(), true)}
}

func invalidRun() Run {
	b := builder{at: started, power: func(n int, w bench.Window) []bench.ScopePower {
		s := metered(power.Accelerator, 31, 937*power.Watt, w, false)
		s.Mean, s.Energy, s.Coverage, s.Uncertainty, s.Valid = 0, 0, 0, power.Uncertainty{}, false
		s.Missing = []string{"GPU-31"}
		s.Warnings = []power.Warning{{Code: bench.MissingDevice, Detail: "GPU-31: no meter covers the window"}}
		return []bench.ScopePower{s}
	}}
	shortSearch(&b)
	return Run{Result: b.finish(experiment(), true)}
}

func nonMonotoneRun() Run {
	b := builder{at: started, power: accelerators}
	b.add(1, "ramp", 90, 1)
	b.add(2, "ramp", 80, 1)
	b.add(4, "ramp", 70, 2)
	b.add(8, "ramp", 10, 4)
	b.add(6, "bisect", 62, 3)
	b.add(7, "bisect", 19, 3)
	b.add(4, "re-test", 15, 3)
	b.add(6, "re-test", 62, 3)
	b.add(6, "re-test", 61, 3)
	p := &b.phases[5]
	for i := range p.Verdicts {
		p.Verdicts[i].Outcome, p.Verdicts[i].Confidence = bench.Invalid, bench.Undecided
		p.Verdicts[i].Reasons = []string{"the client was late: P99 of lag is 104.5 ms (limit 100.0 ms)"}
	}
	p.Warnings = []string{"3 of 420 requests have receive stamps of the reader, not of the kernel"}
	return Run{Result: b.finish(experiment(), false, "incomplete: the search did not come to its end")}
}

func scopesRun() Run {
	b := builder{at: started, power: func(_ int, w bench.Window) []bench.ScopePower {
		node := metered(power.Node, 8, 5200*power.Watt, w, false)
		for i := range 8 {
			node.Warnings = append(node.Warnings, power.Warning{Code: power.AccuracyFree, Detail: fmt.Sprintf("node-%d: accuracy is not known, ±5 %% is taken", i)})
		}
		return []bench.ScopePower{accelerators(0, w)[0], metered(power.Module, 16, 2400*power.Watt, w, false), node,
			metered(power.Rack, 1, 45200*power.Watt, w, false), metered(power.CPU, 16, 200*power.Watt, w, false)}
	}}
	shortSearch(&b)
	r := b.finish(experiment(), true)
	r.Context = []bench.Context{
		{Key: "power_limit_enforced_watts", Value: "1400", Devices: []string{"GPU-0", "GPU-1", "GPU-2", "GPU-3", "GPU-4", "GPU-5"}},
		{Key: "read_interval_seconds", Value: "0.2, then 0.1", Changes: 1, Devices: []string{"nvml on gb300"}},
		{Key: "read_p99_seconds", Value: "0.00031", Devices: []string{"nvml on gb300"}},
		{Key: "throttle_reasons", Value: "none, then sw_power_cap, then none", Changes: 2, Devices: []string{"GPU-2"}},
	}
	return Run{Result: r, Timeline: courseOf(r, b.at, power.Accelerator, power.Module, power.Node, power.Rack)}
}
