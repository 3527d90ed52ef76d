package agent

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"agentwatt/runner/internal/bench"
	"agentwatt/runner/internal/trajectory"
	"agentwatt/shared/clock"
)

// server answers every turn after a fixed time, in virtual time; it fails the turns that bad names.
type server struct {
	took time.Duration
	bad  func(play trajectory.Play, turn int) bool

	mu   sync.Mutex
	open int // lanes
	busy int // requests under way
	most int // at once
}

func (s *server) lane() Lane {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open++
	return &lane{server: s, closed: make(chan struct{})}
}

type lane struct {
	*server
	closed chan struct{}
	begun  atomic.Int64
	used   bool // by a request under way
}

func (l *lane) Send(due clock.Stamp, p trajectory.Play, turn int, done func(bench.Reply)) {
	if l.used {
		panic("two requests at once on a lane")
	}
	l.used = true
	go func() {
		var r bench.Reply
		if !l.wait(time.Until(due.Time())) {
			r.Failure = bench.Cancelled
		} else {
			r.WriteBegin = clock.At(time.Now())
			l.begun.Store(int64(r.WriteBegin))
			l.count(+1)
			if !l.wait(l.took) {
				r.Failure = bench.Cancelled
			} else if l.bad != nil && l.bad(p, turn) {
				r.Failure = bench.FailStatus
			}
			l.count(-1)
			l.begun.Store(0)
		}
		r.Done = clock.At(time.Now())
		l.used = false
		done(r)
	}()
}

func (l *lane) wait(d time.Duration) bool {
	select {
	case <-l.closed:
		return false
	case <-time.After(max(d, 0)):
		return true
	}
}

func (l *lane) count(d int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.busy += d
	l.most = max(l.most, l.busy)
}

func (l *lane) Progress() (begun, answering clock.Stamp) { return clock.Stamp(l.begun.Load()), 0 }

func (l *lane) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.closed:
	default:
		close(l.closed)
		l.open--
	}
}

// dataset makes n trajectories of the given number of turns, each turn followed by a recorded call.
func dataset(n, turns int, call time.Duration) []*trajectory.Trajectory {
	var out []*trajectory.Trajectory
	for i := range n {
		t := &trajectory.Trajectory{ID: fmt.Sprintf("t%d", i), Messages: make([]byte, 100*turns)}
		for k := range turns {
			turn := trajectory.Turn{End: 100 * (k + 1), Output: 10}
			if k < turns-1 {
				turn.Calls = []trajectory.Call{{Tool: "bash", Duration: call}}
			}
			t.Turns = append(t.Turns, turn)
		}
		out = append(out, t)
	}
	return out
}

// collect runs a fleet in a bubble and returns what it emitted.
func collect(t *testing.T, f *Fleet, s *server, drive func(ctx context.Context)) []bench.Record {
	t.Helper()
	var mu sync.Mutex
	var records []bench.Record
	synctest.Test(t, func(t *testing.T) {
		f.Open, f.Now = s.lane, func() clock.Stamp { return clock.At(time.Now()) }
		f.Emit = func(r bench.Record) {
			mu.Lock()
			defer mu.Unlock()
			records = append(records, r)
		}
		ctx, cancel := context.WithCancel(t.Context())
		drive(ctx)
		synctest.Wait()
		cancel()
		f.Wait()
	})
	if s.open != 0 {
		t.Errorf("%d lanes left open", s.open)
	}
	return records
}

func TestClosedLoopKeepsTheSchedule(t *testing.T) {
	s := &server{took: 300 * time.Millisecond}
	f := &Fleet{Plan: Plan{Trajectories: dataset(5, 4, 2*time.Second), Seed: 1, Run: "r", Tools: ToolTime{Mode: Recorded}}}
	records := collect(t, f, s, func(ctx context.Context) {
		if _, err := f.Resize(ctx, ctx, 3); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
	})
	last := map[int]bench.Record{}
	for _, r := range records {
		if r.Lag() != 0 {
			t.Errorf("agent %d play %d turn %d: lag %v, want 0 in virtual time", r.Agent, r.Play, r.Turn, r.Lag())
		}
		if p, ok := last[r.Agent]; ok {
			gap, want := r.WriteBegin.Sub(p.Done), time.Duration(0)
			if p.Turn < p.Turns-1 {
				want = 2 * time.Second
			}
			if gap != want || r.ToolPlanned != want || r.ToolActual != want {
				t.Errorf("agent %d play %d turn %d: gap %v, planned %v, actual %v, want %v", r.Agent, r.Play, r.Turn, gap, r.ToolPlanned, r.ToolActual, want)
			}
			if next := p.Turn + 1; p.Last() && r.Turn != 0 || !p.Last() && (r.Turn != next || r.Play != p.Play) {
				t.Errorf("agent %d: turn %d of play %d after turn %d of play %d", r.Agent, r.Turn, r.Play, p.Turn, p.Play)
			}
		}
		last[r.Agent] = r
	}
	if len(last) != 3 {
		t.Errorf("%d agents played, want 3", len(last))
	}
}

func TestSaltsAndPlaysAreNeverRepeated(t *testing.T) {
	s := &server{took: 50 * time.Millisecond}
	f := &Fleet{Plan: Plan{Trajectories: dataset(4, 3, 100*time.Millisecond), Seed: 7, Run: "r", StartTurns: 10, Tools: ToolTime{Mode: Recorded}}, Spawn: 10}
	records := collect(t, f, s, func(ctx context.Context) {
		for _, n := range []int{1, 2, 4, 8, 3, 6, 1, 5} { // numbers are vacated and taken again
			if _, err := f.Resize(ctx, ctx, n); err != nil {
				t.Fatal(err)
			}
			time.Sleep(3 * time.Second)
		}
	})
	owner := map[string]string{}
	for _, r := range records {
		me := fmt.Sprintf("agent %d play %d", r.Agent, r.Play)
		if was, ok := owner[r.Salt]; ok && was != me {
			t.Fatalf("%s has the salt of %s", me, was)
		}
		owner[r.Salt] = me
	}
	seen := map[string]bool{}
	for _, r := range records {
		key := fmt.Sprint(r.Agent, r.Play, r.Turn)
		if seen[key] {
			t.Fatalf("agent %d play %d turn %d was played twice", r.Agent, r.Play, r.Turn)
		}
		seen[key] = true
	}
}

func TestResize(t *testing.T) {
	s := &server{took: time.Second}
	f := &Fleet{Plan: Plan{Trajectories: dataset(3, 5, time.Second), Seed: 3, Run: "r", Tools: ToolTime{Mode: Recorded}}, Spawn: 1}
	collect(t, f, s, func(ctx context.Context) {
		begin := time.Now()
		if _, err := f.Resize(ctx, ctx, 8); err != nil {
			t.Fatal(err)
		}
		if got, want := time.Since(begin), 7*time.Second; got != want {
			t.Errorf("8 agents at 1/s took %v, want %v", got, want)
		}
		time.Sleep(time.Minute)
		before := len(f.InFlight())
		begin = time.Now()
		if _, err := f.Resize(ctx, ctx, 2); err != nil {
			t.Fatal(err)
		}
		// A trajectory lasts 9 s: every agent reaches a boundary within that.
		if got := time.Since(begin); got > 9*time.Second || got == 0 {
			t.Errorf("shrinking took %v, want up to one trajectory of 9s", got)
		}
		if f.active != 2 || before > 8 {
			t.Errorf("active %d, in flight before %d", f.active, before)
		}
		short, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
		defer cancel()
		if _, err := f.Resize(short, ctx, 50); err == nil {
			t.Error("growing by 48 at 1/s within 10 ms: no error")
		}
	})
}

func TestFailedTurnEndsItsTrajectory(t *testing.T) {
	s := &server{took: 100 * time.Millisecond, bad: func(_ trajectory.Play, turn int) bool { return turn == 2 }}
	f := &Fleet{Plan: Plan{Trajectories: dataset(3, 5, time.Second), Seed: 3, Run: "r", Tools: ToolTime{Mode: NoTools}}}
	records := collect(t, f, s, func(ctx context.Context) {
		if _, err := f.Resize(ctx, ctx, 1); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
	})
	for i, r := range records[1:] {
		if r.Turn > 2 {
			t.Fatalf("turn %d was played although turn 2 always fails", r.Turn)
		}
		if prev := records[i]; prev.Failure == bench.FailStatus && r.WriteBegin.Sub(prev.Done) != failureRest {
			t.Errorf("rest after a failure %v, want %v", r.WriteBegin.Sub(prev.Done), failureRest)
		}
	}
}
