package trajectory

import (
	"errors"
	"fmt"
	"strconv"
	"time"
)

// forkRow is the part of a row that says which conversation of the tree it belongs to.
type forkRow struct {
	subagent string // empty: the main conversation
	parent   string // empty: the main conversation
	fork     int
	join     int
	delay    time.Duration

	forks, joins, rest bool // fork, join, one of the other fields of a first row is there
}

// field takes a field that not every row has.
func (f *forkRow) field(m member) (err error) {
	switch m.key {
	case "subagent":
		if f.subagent, err = text(m.value); err == nil && f.subagent == "" {
			err = errors.New("is empty")
		}
	case "parent":
		f.rest = true
		f.parent, err = text(m.value)
	case "delay_seconds":
		f.rest = true
		f.delay, err = seconds(m.value, 1)
	case "join":
		f.joins = true
		f.join, err = count(m.value)
	case "fork":
		f.forks = true
		if string(m.value) == "-1" {
			f.fork = -1
			return nil
		}
		f.fork, err = count(m.value)
	default:
		err = errors.New(`is not a field of a row; "extra" takes what has no field`)
	}
	return err
}

// treeReader builds a trajectory out of its conversations, which come one after the other in pre-order.
type treeReader struct {
	*builder           // of the conversation being read
	id       string    // of its sub-agent; empty: the main conversation
	path     []readSub // the conversations from the main one to that being read, each complete but the last
	limits   Limits
	size     int // bytes of the messages of complete conversations
	seen     map[string]bool
}

// readSub is a conversation on the path, with where it forks from the one before it.
type readSub struct {
	id   string
	t    *Trajectory // nil: it is being read
	fork Subagent    // without its trajectory
}

func newTreeReader(id, origin string, limits Limits) *treeReader {
	return &treeReader{
		builder: newBuilder(id, origin, limits), path: []readSub{{}}, limits: limits, seen: map[string]bool{"": true, id: true},
	}
}

// String says where in the tree the reader is, for messages.
func (r *treeReader) String() string {
	turn := "turn " + strconv.Itoa(len(r.t.Turns))
	if r.id == "" {
		return turn
	}
	return fmt.Sprintf("sub-agent %q, %s", r.id, turn)
}

// turnTo makes the conversation that the row belongs to the one being read.
func (r *treeReader) turnTo(row row) error {
	f := row.fork
	if f.subagent == r.id {
		if f.forks || f.joins || f.rest {
			return errors.New("parent, fork, delay_seconds and join belong to the first row of a sub-agent")
		}
		return nil
	}
	if r.seen[f.subagent] {
		return fmt.Errorf("the rows of the sub-agent %q must follow each other, and its id must differ from all others of the trajectory", f.subagent)
	}
	if err := r.complete(); err != nil {
		return err
	}
	for r.path[len(r.path)-1].id != f.parent {
		if len(r.path) == 1 {
			return fmt.Errorf("sub-agent %q: its parent %q is not the conversation before it or one that started that", f.subagent, f.parent)
		}
		r.pop()
	}
	return r.begin(f)
}

// begin begins a sub-agent of the last conversation of the path.
func (r *treeReader) begin(f forkRow) error {
	parent := r.path[len(r.path)-1].t
	s := Subagent{Trajectory: &Trajectory{ID: f.subagent}, Fork: f.fork, Delay: f.delay, Join: len(parent.Turns)}
	if f.joins {
		s.Join = f.join
	}
	if !f.forks {
		return fmt.Errorf("sub-agent %q: fork is missing", f.subagent)
	}
	if err := parent.checkFork(s); err != nil {
		return fmt.Errorf("sub-agent %q: %w", f.subagent, err)
	}
	if n := len(parent.Subagents); n > 0 && parent.Subagents[n-1].Fork > s.Fork {
		return fmt.Errorf("sub-agent %q: sub-agents must come in the order of their forks", f.subagent)
	}
	limits := r.limits
	limits.Trajectory = max(limits.trajectory()-r.size, 1)
	r.seen[f.subagent] = true
	r.id, r.builder = f.subagent, newBuilder(f.subagent, r.t.Origin, limits)
	r.path = append(r.path, readSub{f.subagent, nil, s})
	return nil
}

// complete ends the conversation being read.
func (r *treeReader) complete() error {
	last := &r.path[len(r.path)-1]
	if last.t != nil {
		return nil
	}
	t, err := r.done()
	if err != nil {
		return err
	}
	r.size += len(t.Messages)
	last.t = t
	return nil
}

// pop attaches the last conversation of the path, which is complete, to the one that started it.
func (r *treeReader) pop() {
	last := r.path[len(r.path)-1]
	r.path = r.path[:len(r.path)-1]
	last.fork.Trajectory = last.t
	r.path[len(r.path)-1].t.adopt(last.fork)
}

// tree returns the whole trajectory.
func (r *treeReader) tree() (*Trajectory, error) {
	if err := r.complete(); err != nil {
		return nil, err
	}
	for len(r.path) > 1 {
		r.pop()
	}
	return r.path[0].t, nil
}
