package endpoint

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	"agentwatt/runner/internal/bench"
	. "agentwatt/runner/internal/endpoint/endpointtest"
	"agentwatt/shared/clock"
)

const starvedFor = 4 * time.Second

// peerRecords plays callers in closed loops for a while and prints the records of their requests. It is a process of its own, to
// be starved.
func peerRecords(url string, callers int) {
	clk := clock.New()
	c, err := New(Options{URL: url, Model: "scripted-model", Clock: clk})
	if err != nil {
		panic(err)
	}
	e, err := c.Engine(1)
	if err != nil {
		panic(err)
	}
	var mu sync.Mutex
	var records []bench.Record
	var wg sync.WaitGroup
	end := clk.Now().Add(starvedFor)
	for i := range callers {
		n, play, due := e.Caller(), talk(1, 100), clk.Now().Add(time.Duration(i)*7*time.Millisecond)
		wg.Add(1)
		var again func(r bench.Reply)
		again = func(r bench.Reply) {
			mu.Lock()
			records = append(records, bench.Record{Agent: i, Play: len(records), Turns: 1, Sched: due, Reply: r})
			mu.Unlock()
			if due = r.Done.Add(20 * time.Millisecond); due > end {
				wg.Done()
				return
			}
			n.Send(due, play, 0, again)
		}
		n.Send(due, play, 0, again)
	}
	wg.Wait()
	if err := json.NewEncoder(os.Stdout).Encode(records); err != nil {
		panic(err)
	}
}

// TestStarvedClientIsCaught: a client that gets no processor for a while, again and again, makes its phase invalid. Kernel stamps
// hide much of it: what they cannot hide is that requests are sent late, and that tokens which came meanwhile share a stamp.
func TestStarvedClientIsCaught(t *testing.T) {
	s := Start(t, Script{Forget: true, Answer: always(Stream(30, 1, 5*time.Millisecond, 4*time.Millisecond)...)})
	for _, hungry := range []bool{false, true} {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), fmt.Sprintf("%s=records %s 40 0", peerEnv, s.URL))
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, os.Stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if hungry {
			stop := starve(cmd.Process)
			defer stop()
		}
		if err := cmd.Wait(); err != nil {
			t.Fatal(err)
		}
		var records []bench.Record
		if err := json.Unmarshal(out.Bytes(), &records); err != nil {
			t.Fatal(err)
		}
		begin := records[0].WriteBegin
		facts := bench.PhaseFacts{Index: 1, Agents: 40, Begin: begin, Full: begin, WindowBegin: begin, WindowEnd: begin.Add(starvedFor), End: begin.Add(2 * starvedFor), Reason: bench.EndStopRule}
		tier := bench.Tier{Name: "t", Objectives: []bench.Objective{{Metric: bench.TTFT, Quantile: 0.95, Limit: 0.5}}}
		p := bench.Evaluate(facts, records, bench.Experiment{Tiers: []bench.Tier{tier}, Profile: bench.Profile{MinWindow: time.Second, MinTrajectories: 1}})
		v := p.Verdicts[0]
		t.Logf("starved %v: %d requests, %s %q; %+v", hungry, p.Requests, v.Outcome, v.Reasons, p.Reading)
		if hungry && v.Outcome != bench.Invalid {
			t.Errorf("a starved client's phase is %s, want invalid", v.Outcome)
		}
		if !hungry && v.Outcome == bench.Invalid {
			t.Logf("this machine is too busy to say that a client that is fed is not invalid")
		}
	}
}

// starve stops a process for 60 ms of every 100 until the returned function is called.
func starve(p *os.Process) (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for signal := syscall.SIGSTOP; ; {
			wait := 40 * time.Millisecond
			if signal == syscall.SIGCONT {
				wait = 60 * time.Millisecond
			}
			select {
			case <-done:
				return
			case <-time.After(wait):
			}
			_ = p.Signal(signal) // it may have ended
			if signal == syscall.SIGSTOP {
				signal = syscall.SIGCONT
			} else {
				signal = syscall.SIGSTOP
			}
		}
	}()
	return func() { close(done); <-ended }
}
