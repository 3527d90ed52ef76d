package agent

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"agentwatt/runner/internal/bench"
	"agentwatt/runner/internal/trajectory"
	"agentwatt/shared/clock"
)

// conversation makes one of n turns, each 100 bytes longer than the one before, with a call of one second after every turn.
func conversation(id string, n int, subs ...trajectory.Subagent) *trajectory.Trajectory {
	t := dataset(1, n, time.Second)[0]
	t.ID, t.Subagents = id, subs
	t.Messages = []byte(strings.Repeat(id[:1], 100*n))
	return t
}

// family is a trajectory with sub-agents of every kind. Answers take 2 s, calls 1 s.
func family() *trajectory.Trajectory {
	grandchild := trajectory.Subagent{Trajectory: conversation("grandchild", 1), Fork: 0, Join: 1}
	return conversation("main", 3,
		trajectory.Subagent{Trajectory: conversation("beside", 1), Fork: -1, Delay: 500 * time.Millisecond, Join: 3},
		trajectory.Subagent{Trajectory: conversation("child", 2, grandchild), Fork: 0, Delay: time.Second, Join: 1},
		trajectory.Subagent{Trajectory: conversation("twin", 1), Fork: 0, Join: 1},
		trajectory.Subagent{Trajectory: conversation("late", 3), Fork: 1, Join: 3})
}

// story tells when what was sent, since the first request.
func story(records []bench.Record) (lines []string) {
	records = slices.Clone(records)
	slices.SortStableFunc(records, func(a, b bench.Record) int { return int(a.WriteBegin - b.WriteBegin) })
	for _, r := range records {
		lines = append(lines, fmt.Sprintf("%4.1f play %d conversation %d turn %d of %d waited %v", r.WriteBegin.Sub(records[0].WriteBegin).Seconds(), r.Play, r.Conversation, r.Turn, r.Turns, r.ToolPlanned))
	}
	slices.Sort(lines)
	return lines
}

func TestSubagentsForkAndJoin(t *testing.T) {
	s := &server{took: 2 * time.Second}
	f := &Fleet{Plan: Plan{Trajectories: []*trajectory.Trajectory{family()}, Seed: 1, Run: "r", Tools: ToolTime{Mode: Recorded}}}
	records := collect(t, f, s, func(ctx context.Context) {
		if _, err := f.Resize(ctx, ctx, 1); err != nil {
			t.Fatal(err)
		}
		time.Sleep(23 * time.Second)
	})
	// Conversations: 0 main, 1 beside, 2 child, 3 grandchild, 4 twin, 5 late.
	want := []string{
		" 0.0 play 0 conversation 0 turn 0 of 3 waited 0s",
		" 0.5 play 0 conversation 1 turn 0 of 1 waited 500ms", // with main
		" 2.0 play 0 conversation 4 turn 0 of 1 waited 0s",    // after the answer at 2
		" 3.0 play 0 conversation 2 turn 0 of 2 waited 1s",
		" 5.0 play 0 conversation 3 turn 0 of 1 waited 0s",
		" 7.0 play 0 conversation 2 turn 1 of 2 waited 2s", // the grandchild took longer than the call
		" 9.0 play 0 conversation 0 turn 1 of 3 waited 7s", // child was the last of the two joined
		"11.0 play 0 conversation 5 turn 0 of 3 waited 0s",
		"12.0 play 0 conversation 0 turn 2 of 3 waited 1s",
		"14.0 play 0 conversation 5 turn 1 of 3 waited 1s",
		"17.0 play 0 conversation 5 turn 2 of 3 waited 1s", // main ended at 14; the play ends at 19
		"19.0 play 1 conversation 0 turn 0 of 3 waited 0s",
		"19.5 play 1 conversation 1 turn 0 of 1 waited 500ms",
		"21.0 play 1 conversation 4 turn 0 of 1 waited 0s",
		"22.0 play 1 conversation 2 turn 0 of 2 waited 1s",
	}
	if diff := cmp.Diff(want, story(records)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, r := range records {
		if r.Salt != records[0].Salt && r.Play == 0 || r.Trajectory != "main" {
			t.Errorf("conversation %d of play %d: salt %q of trajectory %s, want one salt and the tree's name", r.Conversation, r.Play, r.Salt, r.Trajectory)
		}
		if r.ToolActual != r.ToolPlanned && r.Turn > 0 {
			t.Errorf("conversation %d turn %d waited %v, planned %v", r.Conversation, r.Turn, r.ToolActual, r.ToolPlanned)
		}
	}
}

// TestAgentsAreTrees: N counts trees, whose requests in flight are more; every conversation of every play is played whole, in
// order, and none twice.
func TestAgentsAreTrees(t *testing.T) {
	s := &server{took: 2 * time.Second}
	f := &Fleet{Plan: Plan{Trajectories: []*trajectory.Trajectory{family(), conversation("plain", 4)}, Seed: 5, Run: "r", Tools: ToolTime{Mode: Recorded}}, Spawn: 2}
	records := collect(t, f, s, func(ctx context.Context) {
		for _, n := range []int{4, 2, 6, 1} {
			if _, err := f.Resize(ctx, ctx, n); err != nil {
				t.Fatal(err)
			}
			if f.Active() != n {
				t.Errorf("%d agents are active, want %d", f.Active(), n)
			}
			time.Sleep(time.Minute)
		}
	})
	if s.most <= 6 {
		t.Errorf("at most %d requests at once, want more than there are agents", s.most)
	}
	type key struct{ agent, play, conversation int }
	turns, whole := map[key]int{}, map[key]int{}
	slices.SortStableFunc(records, func(a, b bench.Record) int { return int(a.Done - b.Done) })
	for _, r := range records {
		k := key{r.Agent, r.Play, r.Conversation}
		if r.Turn != turns[k] {
			t.Errorf("%v: turn %d after %d", k, r.Turn, turns[k])
		}
		turns[k]++
		whole[k] = r.Turns
	}
	short := 0
	for k, n := range turns {
		if n != whole[k] {
			short++
		}
	}
	if short > 6 { // those that the end cut off
		t.Errorf("%d conversations were not played whole", short)
	}
}

func TestFailedSubagentEndsItsTree(t *testing.T) {
	s := &server{took: 2 * time.Second, bad: func(p trajectory.Play, turn int) bool { return p.ID == "twin" }}
	f := &Fleet{Plan: Plan{Trajectories: []*trajectory.Trajectory{family()}, Seed: 1, Run: "r", Tools: ToolTime{Mode: Recorded}}}
	records := collect(t, f, s, func(ctx context.Context) {
		if _, err := f.Resize(ctx, ctx, 1); err != nil {
			t.Fatal(err)
		}
		time.Sleep(6500 * time.Millisecond)
	})
	want := []string{
		" 0.0 play 0 conversation 0 turn 0 of 3 waited 0s",
		" 0.5 play 0 conversation 1 turn 0 of 1 waited 500ms",
		" 2.0 play 0 conversation 4 turn 0 of 1 waited 0s", // fails at 4
		" 3.0 play 0 conversation 2 turn 0 of 2 waited 1s", // is answered at 5 and goes no further
		" 6.0 play 1 conversation 0 turn 0 of 3 waited 1s",
		" 6.5 play 1 conversation 1 turn 0 of 1 waited 500ms",
	}
	if diff := cmp.Diff(want, story(records)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestStartTurnLeavesOutWhatCameBefore: sub-agents of turns before the first are not played.
func TestStartTurnLeavesOutWhatCameBefore(t *testing.T) {
	for turn, want := range map[int][]int{0: {0, 1, 2, 3, 4, 5}, 1: {0, 5}, 2: {0}} {
		s := &server{took: time.Second}
		records := collect(t, &Fleet{Plan: Plan{Trajectories: []*trajectory.Trajectory{family()}}}, s, func(ctx context.Context) {
			done := make(chan struct{})
			a := &agent{
				plan: Plan{Trajectories: []*trajectory.Trajectory{family()}, Run: "r", Tools: ToolTime{Mode: Recorded}}, open: s.lane,
				now: func() clock.Stamp { return clock.At(time.Now()) }, limit: func(trajectory.Turn) int { return 0 },
				leave: func(int) bool { return true }, over: func() { close(done) },
			}
			seen := map[int]bool{}
			a.emit = func(r bench.Record) { seen[r.Conversation] = true }
			a.mu.Lock()
			a.begin(0, turn, a.now(), wait{})
			a.mu.Unlock()
			<-done
			var got []int
			for c := range 6 {
				if seen[c] {
					got = append(got, c)
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("from turn %d: conversations (-want +got):\n%s", turn, diff)
			}
		})
		if len(records) != 0 {
			t.Error("the fleet played as well")
		}
	}
}

// TestSharedPrefix: a conversation's first request shares what any conversation of its play has sent with the same tools.
func TestSharedPrefix(t *testing.T) {
	main, sub := conversation("main", 2), conversation("sub", 1)
	sub.Messages = append([]byte(strings.Repeat("m", 60)), sub.Messages[60:]...)
	main.Subagents = []trajectory.Subagent{{Trajectory: sub, Fork: 0, Join: 1}}
	s := &server{took: time.Second}
	f := &Fleet{Plan: Plan{Trajectories: []*trajectory.Trajectory{main}, Run: "r", Tools: ToolTime{Mode: NoTools}}}
	records := collect(t, f, s, func(ctx context.Context) {
		if _, err := f.Resize(ctx, ctx, 1); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2500 * time.Millisecond)
	})
	salt := len(records[0].Salt)
	got := map[string]int{}
	for _, r := range records {
		got[fmt.Sprint(r.Conversation, r.Turn)] = r.Shared
	}
	if diff := cmp.Diff(map[string]int{"0 0": 0, "1 0": 60 + salt, "0 1": 100 + salt}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
