package trajectory

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const next = `{"role":"assistant","content":"ok"},` + user

// treeFile is a tree of each kind of branch: two beside each other that are waited for, one below, one that nothing waits for.
var treeFile = header +
	line("a", 0, sys+","+user, `,"origin":"x:y"`) +
	line("a", 1, next) +
	line("a", 2, next) +
	line("a", 0, user, `,"subagent":"a/1","fork":-1,"delay_seconds":0.25,"join":1,"calls":[{"tool":"t","seconds":2}]`) +
	line("a", 1, next, `,"subagent":"a/1"`) +
	line("a", 0, user, `,"subagent":"a/1/1","parent":"a/1","fork":0,"join":1`) +
	line("a", 0, sys+`,{"role":"user","content":"gone"}`, `,"subagent":"a/2","fork":0`) +
	line("a", 0, user, `,"subagent":"a/3","fork":0,"join":2`) +
	line("b", 0, user)

func TestTree(t *testing.T) {
	d, err := Read(strings.NewReader(treeFile), "f")
	if err != nil {
		t.Fatal(err)
	}
	a := d.Trajectories[0]
	var ids []string
	for i, c := range a.All() {
		if i != len(ids) {
			t.Errorf("index: got %d, want %d", i, len(ids))
		}
		if c.Origin != "x:y" {
			t.Errorf("origin of %s: %q", c.ID, c.Origin)
		}
		ids = append(ids, c.ID)
	}
	if want := []string{"a", "a/1", "a/1/1", "a/2", "a/3"}; !cmp.Equal(ids, want) {
		t.Errorf("pre-order: got %v, want %v", ids, want)
	}
	type fork struct {
		fork, join int
		delay      time.Duration
	}
	var forks []fork
	for _, s := range []Subagent{a.Subagents[0], a.Subagents[0].Subagents[0], a.Subagents[1], a.Subagents[2]} {
		forks = append(forks, fork{s.Fork, s.Join, s.Delay})
	}
	if want := []fork{{-1, 1, time.Second / 4}, {0, 1, 0}, {0, 3, 0}, {0, 2, 0}}; !cmp.Equal(forks, want, cmp.AllowUnexported(fork{})) {
		t.Errorf("forks: got %v, want %v", forks, want)
	}
	if got, want := []int{a.TreeTurns(), a.TreeSubagents(), a.AtOnce(), d.Trajectories[1].AtOnce()}, []int{8, 4, 5, 1}; !cmp.Equal(got, want) {
		t.Errorf("turns, sub-agents, at once, at once of b: got %v, want %v", got, want)
	}
	if got, want := []int{SharedPrefix(a.Conversation(0).Messages, a.Conversation(3).Messages), SharedPrefix(a.Conversation(1).Messages, a.Conversation(4).Messages), SharedPrefix(a.Conversation(0).Messages, a.Conversation(4).Messages)}, []int{len(sys) + len(`,{"role":"user","content":"go`), len(user), len(`{"role":"`)}; !cmp.Equal(got, want) {
		t.Errorf("shared prefixes: got %v, want %v", got, want)
	}
	s := Summarize(d)
	if got, want := []int{s.Trajectories, s.Subagents, s.AtOnce, s.Turns, int(s.TurnsEach.Max), s.MessageBytes.N, int(s.ToolTotal)}, []int{2, 4, 5, 9, 8, 9, 2}; !cmp.Equal(got, want) {
		t.Errorf("summary: got %v, want %v", got, want)
	}
	report := newReport("f", Native, d)
	if report.Turns != 9 || report.Subagents != 4 || !strings.Contains(report.String(), "2 trajectories, 4 sub-agents, 9 turns") {
		t.Errorf("report: %v", report)
	}
	var out bytes.Buffer
	if err := Write(&out, d); err != nil {
		t.Fatal(err)
	}
	const row = `{"trajectory":"a","subagent":"a/1/1","parent":"a/1","fork":0,"join":1,"turn":0,"messages":[` + user + "]}\n"
	if !strings.Contains(out.String(), row) {
		t.Errorf("there is no row\n%s in\n%s", row, &out)
	}
	written := out.String()
	again, err := Read(&out, "again")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(d.Trajectories, again.Trajectories); diff != "" {
		t.Errorf("what is written is not what was read (-read +written):\n%s", diff)
	}
	if err := Write(&out, again); err != nil || out.String() != written {
		t.Errorf("written twice: %v\ngot  %s\nwant %s", err, &out, written)
	}
}

func TestAtOnce(t *testing.T) {
	conversation := func(turns int, subagents ...Subagent) *Trajectory {
		return &Trajectory{Turns: make([]Turn, turns), Subagents: subagents}
	}
	one := conversation(1)
	for name, c := range map[string]struct {
		t    *Trajectory
		want int
	}{
		"alone":                {conversation(3), 1},
		"one after the other":  {conversation(3, Subagent{one, 0, 0, 1}, Subagent{one, 1, 0, 2}), 2},
		"beside each other":    {conversation(3, Subagent{one, 0, 0, 2}, Subagent{one, 1, 0, 2}), 3},
		"after the end":        {conversation(1, Subagent{one, 0, 0, 1}), 1},
		"goes on to the end":   {conversation(3, Subagent{one, 0, 0, 3}, Subagent{one, 1, 0, 2}), 3},
		"before the beginning": {conversation(1, Subagent{one, -1, 0, 0}), 2},
		"below":                {conversation(2, Subagent{conversation(2, Subagent{one, 0, 0, 1}, Subagent{one, 0, 0, 1}), 0, 0, 1}), 4},
	} {
		if got := c.t.AtOnce(); got != c.want {
			t.Errorf("%s: got %d, want %d", name, got, c.want)
		}
	}
}

func TestReadTreeErrors(t *testing.T) {
	main := header + line("a", 0, user) + line("a", 1, next)
	child := line("a", 0, user, `,"subagent":"s","fork":0`)
	for name, c := range map[string]struct{ in, want string }{
		"no fork":       {main + line("a", 0, user, `,"subagent":"s"`), `f:4: trajectory "a", turn 2: sub-agent "s": fork is missing`},
		"fork":          {main + line("a", 0, user, `,"subagent":"s","fork":2`), `sub-agent "s": fork is 2: its parent has the turns 0 to 1`},
		"fork before":   {main + line("a", 0, user, `,"subagent":"s","fork":-2`), "fork is -2, not a count"},
		"join":          {main + line("a", 0, user, `,"subagent":"s","fork":0,"join":0`), "join is 0: want a turn after the fork (0), or 2 for none"},
		"join after":    {main + line("a", 0, user, `,"subagent":"s","fork":0,"join":3`), "join is 3: want"},
		"delay":         {main + line("a", 0, user, `,"subagent":"s","fork":0,"delay_seconds":-1`), "delay_seconds is -1, outside"},
		"empty id":      {main + line("a", 0, user, `,"subagent":"","fork":0`), "subagent is empty"},
		"id of main":    {main + line("a", 0, user, `,"subagent":"a","fork":0`), `its id must differ`},
		"apart":         {main + child + line("a", 0, user, `,"subagent":"r","fork":0`) + line("a", 1, next, `,"subagent":"s"`), `rows of the sub-agent "s" must follow each other`},
		"main again":    {main + child + line("a", 2, next), `f:5: trajectory "a", sub-agent "s", turn 1: the rows of the sub-agent "" must follow`},
		"parent":        {main + line("a", 0, user, `,"subagent":"s","fork":0,"parent":"r"`), `sub-agent "s": its parent "r" is not`},
		"old parent":    {main + child + line("a", 0, user, `,"subagent":"r","fork":0`) + line("a", 0, user, `,"subagent":"q","fork":0,"parent":"s"`), `its parent "s" is not the conversation before it`},
		"order":         {main + line("a", 0, user, `,"subagent":"s","fork":1`) + line("a", 0, user, `,"subagent":"r","fork":0`), "must come in the order of their forks"},
		"later fork":    {main + child + line("a", 1, next, `,"subagent":"s","fork":0`), "belong to the first row of a sub-agent"},
		"fork of main":  {header + line("a", 0, user, `,"fork":0`), "belong to the first row of a sub-agent"},
		"origin":        {main + line("a", 0, user, `,"subagent":"s","fork":0,"origin":"x"`), "origin belongs to turn 0 of the main conversation"},
		"turn":          {main + line("a", 1, user, `,"subagent":"s","fork":0`), `sub-agent "s", turn 0: turn is 1, want 0`},
		"calls at end":  {main + line("a", 0, user, `,"subagent":"s","fork":0,"calls":[{"seconds":1}]`), "tool calls with a duration follow the last turn"},
		"calls of main": {header + line("a", 0, user, `,"calls":[{"seconds":1}]`) + child, "tool calls with a duration follow the last turn"},
	} {
		if d, err := Read(strings.NewReader(c.in), "f"); d != nil || err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v\nwant an error with %q", name, err, c.want)
		}
	}
	big := `{"role":"user","content":"` + strings.Repeat("x", 300) + `"}`
	in := header + line("a", 0, big) + line("a", 0, big, `,"subagent":"s","fork":0`) + line("a", 0, big, `,"subagent":"r","fork":0`)
	if _, err := (Limits{Trajectory: 1000}).Read(strings.NewReader(in), "f"); err != nil {
		t.Error(err)
	}
	if _, err := (Limits{Trajectory: 900}).Read(strings.NewReader(in), "f"); err == nil || !strings.Contains(err.Error(), `f:4: trajectory "a", sub-agent "r"`) {
		t.Errorf("the limit holds for the whole tree: got %v", err)
	}
}

func TestCheckTree(t *testing.T) {
	good := func() *Trajectory {
		d, err := Read(strings.NewReader(treeFile), "f")
		if err != nil {
			t.Fatal(err)
		}
		return d.Trajectories[0]
	}
	for want, spoil := range map[string]func(*Trajectory){
		"not unique":            func(a *Trajectory) { a.Subagents[2].ID = "a" },
		"is empty":              func(a *Trajectory) { a.Subagents[0].Subagents[0].ID = "" },
		"fork is 3":             func(a *Trajectory) { a.Subagents[2].Fork = 3 },
		"join is -1":            func(a *Trajectory) { a.Subagents[0].Join = -1 },
		"delay is negative":     func(a *Trajectory) { a.Subagents[1].Delay = -1 },
		"in front of it":        func(a *Trajectory) { a.Subagents[0].Fork, a.Subagents[0].Join = 1, 2 },
		"limit of 100000 bytes": func(a *Trajectory) { a.Subagents[0].Messages = make([]byte, 100_000) },
	} {
		a := good()
		spoil(a)
		if err := a.checkTree(100_000); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	if err := good().checkTree(100_000); err != nil {
		t.Error(err)
	}
}
