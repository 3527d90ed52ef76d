package characterise

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"agentwatt/meterd/internal/sourcetest"
	"agentwatt/shared/clock"
)

func wall() clock.Stamp { return clock.At(time.Now()) }

// until is a load that runs as long as it should.
func until(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }

func TestDriveKeepsTheSchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := Schedule{Cycles: 5, Shortest: 2 * time.Second, Seed: 3}
		phases, err := s.Phases()
		if err != nil {
			t.Fatal(err)
		}
		begin := wall()
		got, err := Drive(t.Context(), s, until, wall)
		if err != nil {
			t.Fatal(err)
		}
		at := begin.Add(s.Shortest)
		var want []Mark
		for i, d := range phases {
			if d < s.Shortest || d >= 2*s.Shortest {
				t.Errorf("phase of %v, want %v to twice that", d, s.Shortest)
			}
			want = append(want, Mark{at, i%2 == 0})
			at = at.Add(d)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		if length, err := s.Length(); err != nil || wall().Sub(begin) != length {
			t.Errorf("took %v, said %v, %v", wall().Sub(begin), length, err)
		}
		if checkMarks(got) != nil {
			t.Error("marks that Measure does not take")
		}
	})
}

func TestScheduleIsSeededAndBounded(t *testing.T) {
	a, _ := Schedule{Cycles: 9, Shortest: time.Second, Seed: 1}.Phases()
	b, _ := Schedule{Cycles: 9, Shortest: time.Second, Seed: 1}.Phases()
	c, _ := Schedule{Cycles: 9, Shortest: time.Second, Seed: 2}.Phases()
	if !cmp.Equal(a, b) || cmp.Equal(a, c) {
		t.Error("one seed must give one schedule, another seed another")
	}
	for _, s := range []Schedule{{}, {Cycles: 1}, {Cycles: 1e9, Shortest: 1}, {Cycles: 1, Shortest: time.Hour}} {
		if _, err := s.Phases(); err == nil {
			t.Errorf("%+v: no error", s)
		}
	}
}

func TestDriveEndsWithTheLoadAndTheContext(t *testing.T) {
	s := Schedule{Cycles: 3, Shortest: time.Second}
	broken := errors.New("out of memory")
	for name, c := range map[string]struct {
		load  Load
		after time.Duration
		want  string
		marks int
	}{
		"a load that fails":      {func(context.Context) error { return broken }, time.Hour, "busy phase 1 of 3: out of memory", 1},
		"a load that ends early": {func(context.Context) error { return nil }, time.Hour, "busy phase 1 of 3: the load ended before", 1},
		"fails at the end":       {func(ctx context.Context) error { <-ctx.Done(); return broken }, time.Hour, "out of memory", 1},
		"cancelled before":       {until, 500 * time.Millisecond, "idle: context deadline", 0},
		"cancelled while busy":   {until, 1500 * time.Millisecond, "busy phase 1 of 3: context deadline", 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), c.after)
				defer cancel()
				marks, err := Drive(ctx, s, c.load, wall)
				if err == nil || !strings.Contains(err.Error(), c.want) || len(marks) != c.marks {
					t.Errorf("%d marks, %v; want %d, %s", len(marks), err, c.marks, c.want)
				}
			})
		})
	}
}

func TestBurnEndsWithItsPhase(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := Burn(runtime.NumCPU())(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

// A program that leaves others behind must not heat the device on after its phase.
func TestCommandIsKilledWithItsGroup(t *testing.T) {
	sh := sourcetest.Tool(t, "sh")
	file := filepath.Join(t.TempDir(), "pid")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- Command([]string{sh, "-c", "sleep 300 & echo $! > $0.new; mv $0.new $0; wait", file}, nil)(ctx)
	}()
	var pid int
	for pid == 0 {
		text, err := os.ReadFile(file)
		if err == nil {
			if pid, err = strconv.Atoi(strings.TrimSpace(string(text))); err != nil {
				t.Fatal(err)
			}
		}
		if t.Context().Err() != nil {
			t.Fatal("the command did not start")
		}
		time.Sleep(time.Millisecond)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	for range 1000 {
		if state(pid) != 'R' && state(pid) != 'S' {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Errorf("process %d, started by the command, still runs", pid)
	syscall.Kill(pid, syscall.SIGKILL)
}

// Nor may one that ends by itself leave something behind.
func TestCommandLeavesNothingBehind(t *testing.T) {
	sh := sourcetest.Tool(t, "sh")
	file := filepath.Join(t.TempDir(), "pid")
	if err := Command([]string{sh, "-c", "sleep 300 & echo $! > $0", file}, nil)(t.Context()); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	for range 1000 {
		if state(pid) != 'R' && state(pid) != 'S' {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Errorf("process %d, left behind by the command, still runs", pid)
	syscall.Kill(pid, syscall.SIGKILL)
}

// state is that of a process in /proc: 'R' and 'S' run; 0 is gone, 'Z' waits for its parent.
func state(pid int) byte {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if _, after, ok := strings.Cut(string(text), ") "); err == nil && ok && after != "" {
		return after[0]
	}
	return 0
}

func TestCommandThatFails(t *testing.T) {
	for want, argv := range map[string][]string{
		"no command":      nil,
		"no-such-program": {"no-such-program-here"},
		"exit status 3":   {sourcetest.Tool(t, "sh"), "-c", "exit 3"},
	} {
		if err := Command(argv, nil)(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", argv, err)
		}
	}
	if err := Command([]string{sourcetest.Tool(t, "sh"), "-c", ":"}, nil)(t.Context()); err != nil {
		t.Errorf("a program that succeeds: %v", err)
	}
}
