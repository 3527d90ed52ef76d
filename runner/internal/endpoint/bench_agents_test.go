package endpoint

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"agentwatt/runner/internal/agent"
	"agentwatt/runner/internal/bench"
	"agentwatt/runner/internal/trajectory"
	"agentwatt/shared/clock"
)

const (
	manyAgents  = 10_000
	contextEach = 128 << 10 // tokens, at one word of about 5 bytes each
)

// long returns trajectories whose prompts have 128K words.
func long(b *testing.B, n int) (list []*trajectory.Trajectory) {
	b.Helper()
	for i := range n {
		text := strings.Repeat(fmt.Sprintf("w%03d ", i), contextEach)
		set, err := trajectory.Read(strings.NewReader(`{"agentwatt_trajectories":1,"name":"long"}`+"\n"+
			fmt.Sprintf(`{"trajectory":"t%d","turn":0,"messages":[{"role":"user","content":%q}],"output_tokens":60}`, i, text)), "long")
		if err != nil {
			b.Fatal(err)
		}
		list = append(list, set.Trajectories...)
	}
	return list
}

// BenchmarkAgents holds 10,000 agents with contexts of 128K tokens, all with a stream open, and reports the memory of this process: in all,
// and per agent beyond what it had with the trajectories read. Sockets are the kernel's and not part of it.
//
//	go test -run xxx -bench Agents -benchtime 1x ./runner/internal/endpoint
func BenchmarkAgents(b *testing.B) {
	url := startServer(b, "slow")
	c, err := New(Options{URL: url, Model: "scripted-model", Clock: clock.New(), Timeouts: Timeouts{Connect: time.Minute, FirstByte: 2 * time.Minute}})
	if err != nil {
		b.Fatal(err)
	}
	e := engine(b, c)
	plan := agent.Plan{Trajectories: long(b, 64), Run: "bench", Tools: agent.ToolTime{Mode: agent.NoTools}}
	debug.FreeOSMemory()
	before := memory(b, "VmRSS")
	failed := make(chan bench.Record, 1)
	f := &agent.Fleet{
		Plan: plan, Open: func() agent.Lane { return e.Caller() }, Now: c.opt.Clock.Now, Spawn: 1000,
		Emit: func(r bench.Record) {
			if r.Failure != "" && r.Failure != bench.Cancelled {
				select {
				case failed <- r:
				default:
				}
			}
		},
	}
	for b.Loop() {
		ctx, cancel := context.WithCancel(context.Background())
		if _, err := f.Resize(ctx, ctx, manyAgents); err != nil {
			b.Fatal(err)
		}
		answering := 0
		for until := time.Now().Add(2 * time.Minute); answering < manyAgents*99/100 && time.Now().Before(until); time.Sleep(time.Second) {
			answering = 0
			for _, r := range f.InFlight() {
				if r.FirstByte != 0 {
					answering++
				}
			}
		}
		select {
		case r := <-failed:
			b.Fatal(r.Failure, r.Detail)
		default:
		}
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		b.ReportMetric(float64(answering), "streams")
		b.ReportMetric(memory(b, "VmHWM")/(1<<20), "peak-MiB")
		b.ReportMetric((memory(b, "VmRSS")-before)/manyAgents, "B/agent")
		b.ReportMetric(float64(m.StackInuse)/manyAgents, "stack-B/agent")
		cancel()
		f.Wait()
	}
	b.ReportMetric(0, "ns/op")
}

// memory returns a line of /proc/self/status, in bytes.
func memory(b *testing.B, what string) float64 {
	b.Helper()
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Skip(err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, what+":"); ok {
			var kB float64
			if _, err := fmt.Sscan(rest, &kB); err != nil {
				b.Fatal(err)
			}
			return kB * 1024
		}
	}
	b.Fatalf("/proc/self/status has no %s", what)
	return 0
}
