package main

import (
	"fmt"
	"math"
	"net"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"agentwatt/runner/internal/bench"
)

// workers starts workers w1, w2, ... that end after one run.
func (r *rig) workers(n int, listen string) (list []*exec.Cmd, said []*lockedBuffer) {
	r.t.Helper()
	for i := range n {
		// A way of its own to the coordinator, longer there than back.
		near := delayed(r.t, listen, time.Duration(i)*8*time.Millisecond, time.Duration(i)*2*time.Millisecond)
		cmd := exec.Command("runner", "worker", "--bus", "nats://"+near, "--name", fmt.Sprint("w", i+1), "--once")
		b := &lockedBuffer{}
		cmd.Stdout, cmd.Stderr = b, b
		if err := cmd.Start(); err != nil {
			r.t.Fatal(err)
		}
		r.t.Cleanup(func() { stop(cmd, syscall.SIGKILL) })
		list, said = append(list, cmd), append(said, b)
	}
	return list, said
}

// A search whose load four processes make finds what one process finds.
func TestWorkersFindTheSame(t *testing.T) {
	r := newRig(t, time.Second, 4)
	listen := freePort(t)
	workers, said := r.workers(4, listen)
	cmd, b := r.search(r.path("four"), "--workers", "4", "--workers-listen", listen, "--bus", "none")
	codes := []int{exitCode(cmd.Wait())}
	for i, w := range workers {
		if code := exitCode(w.Wait()); code != 0 {
			t.Errorf("worker %d: exit code %d: %s", i+1, code, said[i])
		}
	}
	one, alone := r.search(r.path("one"), "--bus", "none")
	codes = append(codes, exitCode(one.Wait()))
	for _, code := range codes {
		if code != 0 && code != 3 {
			t.Fatalf("exit codes %v:\n%s\n%s", codes, b, alone)
		}
	}
	_, four := r.report(r.path("four"))
	_, single := r.report(r.path("one"))
	if len(four.Run.Workers) != 4 || four.Run.Workers[0].Name != "w1" || len(single.Run.Workers) != 0 {
		t.Errorf("workers %+v and %+v", four.Run.Workers, single.Run.Workers)
	}
	checkShares(t, four)
	if codes[0] == 3 || codes[1] == 3 {
		t.Logf("the machine was too busy to measure, and the result says so:\n%s\n%s", b, alone)
		return
	}
	if got, want := four.Tiers[0].Agents, single.Tiers[0].Agents; got != want {
		t.Errorf("four workers find %d agents, one process %d", got, want)
	}
	// The largest phase of both has equal percentiles, as far as their intervals say.
	p, q := lastOf(four, 4), lastOf(single, 4)
	for i, o := range p.Verdicts[0].Observed {
		other := q.Verdicts[0].Observed[i]
		slack := 0.15 * math.Abs(o.Value) // two windows of 1 s on a shared machine
		if o.Low-slack > other.High || other.Low-slack > o.High {
			t.Errorf("%s: four workers %g (%g to %g), one process %g (%g to %g)", o.Objective.Metric, o.Value, o.Low, o.High, other.Value, other.Low, other.High)
		}
	}
}

// lastOf returns the last phase of so many agents.
func lastOf(r bench.Result, agents int) (last bench.Phase) {
	for _, p := range r.Phases {
		if p.Agents == agents {
			last = p
		}
	}
	return last
}

// checkShares checks that every worker did its share in the phase with one agent for each, and that its clock is known.
func checkShares(t *testing.T, r bench.Result) {
	t.Helper()
	p := lastOf(r, 4)
	if len(p.Workers) != 4 {
		t.Fatalf("a phase has %d workers", len(p.Workers))
	}
	for _, w := range p.Workers {
		c := w.Clock
		if far := w.Name != "w1"; far && c.Way < 2*time.Millisecond {
			t.Errorf("worker %s is %v away: the delay is missing", w.Name, c.Way)
		}
		if !w.Answered || w.Records == 0 || w.Client.CPU == 0 || c.Measurements == 0 || !c.SameBoot || c.Ahead.Abs() > c.Within || c.Within > time.Second {
			t.Errorf("worker %+v: want records, costs, and a clock that is the same within the error of its measurement", w)
		}
	}
}

// A worker that dies or stalls makes the phase invalid within seconds, and is named.
func TestLostWorkerIsNamed(t *testing.T) {
	for name, signal := range map[string]syscall.Signal{"killed": syscall.SIGKILL, "stalled": syscall.SIGSTOP} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 30*time.Second, 2)
			listen := freePort(t)
			workers, _ := r.workers(2, listen)
			cmd, b := r.search(r.path("run"), "--workers", "2", "--workers-listen", listen, "--bus", "none")
			waitFor(t, b, regexp.MustCompile(`phase +1.*window|window`))
			time.Sleep(time.Second)
			if err := workers[1].Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			waitFor(t, b, regexp.MustCompile(`SIMULATED phase +1 `))
			took := time.Since(began)
			code := exitCode(cmd.Wait())
			text, result := r.report(r.path("run"))
			if took > 5*time.Second || code != 3 {
				t.Errorf("noticed after %v, exit code %d:\n%s", took, code, b)
			}
			p := result.Phases[0]
			if p.Reason != bench.EndLost || !strings.Contains(p.Lost, "worker w2 ") || p.Verdicts[0].Outcome != bench.Invalid || p.Requests == 0 {
				t.Errorf("phase 1 ended for %q, lost %q, verdict %s, %d requests", p.Reason, p.Lost, p.Verdicts[0].Outcome, p.Requests)
			}
			if !strings.Contains(text, "worker w2") || !strings.Contains(b.String(), "worker w2") {
				t.Errorf("the worker is not named:\n%s\n%s", text, b)
			}
		})
	}
}

// waitFor waits until a program has said something.
func waitFor(t *testing.T, b *lockedBuffer, what *regexp.Regexp) {
	t.Helper()
	for range 1200 {
		if what.MatchString(b.String()) {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("%s was not said within a minute:\n%s", what, b)
}

// delayed returns the address of a way to another one on which everything takes so long, there and back.
func delayed(t *testing.T, to string, there, back time.Duration) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", to)
			if err != nil {
				near.Close() // it is not up yet: the worker tries again
				continue
			}
			go carry(far, near, there)
			go carry(near, far, back)
		}
	}()
	return l.Addr().String()
}

// carry copies what comes, d later.
func carry(to, from net.Conn, d time.Duration) {
	defer to.Close()
	type part struct {
		due  time.Time
		data []byte
	}
	parts := make(chan part, 1024)
	go func() {
		defer close(parts)
		for {
			b := make([]byte, 64<<10)
			n, err := from.Read(b)
			if n > 0 {
				parts <- part{time.Now().Add(d), b[:n]}
			}
			if err != nil {
				return
			}
		}
	}()
	for p := range parts {
		time.Sleep(time.Until(p.due))
		if _, err := to.Write(p.data); err != nil {
			return
		}
	}
}
