package trajectory

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"
)

// gather is the state of importing a file whose items are whole conversations.
type gather struct {
	in     *items
	limits Limits
	report *Report
	sets   toolSets
	d      *Dataset
	seen   map[string]int // how often an id was used
}

func (l Limits) newGather(in io.Reader, file string, format Format) *gather {
	return &gather{
		in: newItems(in, file, l), limits: l, report: &Report{File: file, Format: format},
		sets: toolSets{}, d: &Dataset{Name: stem(file)}, seen: map[string]int{},
	}
}

// stem returns the name of a file without its folder and the endings of formats and compression.
func stem(file string) string {
	name := filepath.Base(file)
	for {
		switch ending := filepath.Ext(name); ending {
		case ".gz", ".zst", ".json", ".jsonl", ".journal", ".ndjson", ".traj", ".parquet":
			name = strings.TrimSuffix(name, ending)
		default:
			return name
		}
	}
}

// each gives every item to take, and calls finish after the last. An error of theirs is that of one trajectory: it is
// reported, the others go on.
func (g *gather) each(take func(ms []member) error, finish ...func() error) (*Dataset, *Report, error) {
	for {
		ms, err := g.in.next()
		if errors.Is(err, io.EOF) {
			break
		}
		var syntax *SyntaxError
		if err != nil && !errors.As(err, &syntax) {
			return nil, g.report, err
		}
		g.report.Rows++
		if err == nil {
			err = take(ms)
		}
		if err != nil {
			g.leave(err)
		}
	}
	for _, f := range finish {
		if err := f(); err != nil {
			g.leave(err)
		}
	}
	g.d.seal()
	return g.d, g.report, nil
}

// leave reports a trajectory that is left out.
func (g *gather) leave(why error) {
	var syntax *SyntaxError
	if !errors.As(why, &syntax) {
		syntax = g.in.errorf("%v", why)
	}
	g.report.LeftOut++
	g.report.bad(syntax)
}

// chat begins a conversation of the file.
func (g *gather) chat(id string) *chat { return newChat(id, g.limits, g.report, g.sets) }

// id returns the first text among the members of these keys; otherwise the name of the file, with a number from the second
// item on.
func (g *gather) id(ms []member, keys ...string) string {
	if id := named(ms, keys...); id != "" {
		return id
	}
	if g.report.Rows == 1 {
		return stem(g.in.file)
	}
	return fmt.Sprintf("%s-%d", stem(g.in.file), g.report.Rows)
}

// named returns the first text or number among the members of these keys as text; empty: there is none.
func named(ms []member, keys ...string) string {
	for _, key := range keys {
		switch value := find(ms, key); kind(value) {
		case "a string":
			if s, _ := text(value); s != "" {
				return s
			}
		case "a number":
			return string(value)
		}
	}
	return ""
}

// finish ends a conversation and takes it into the data set; about is what is known of it as a whole.
func (g *gather) finish(c *chat, about []member) error {
	t, err := c.done(about)
	if err != nil {
		return err
	}
	g.add(t)
	return nil
}

// add takes a trajectory into the data set. An id that occurs again gets a number.
func (g *gather) add(t *Trajectory) {
	id := t.ID
	for g.seen[t.ID] > 0 {
		g.seen[id]++
		t.ID = fmt.Sprintf("%s-%d", id, g.seen[id])
	}
	g.seen[t.ID]++
	if t.ID != id {
		g.report.note("an id that occurs again in the file got a number")
	}
	g.d.Trajectories = append(g.d.Trajectories, t)
	g.report.imported(t)
}

// pause cuts a pause that is longer than the limit.
func (g *gather) pause(d time.Duration) time.Duration {
	limit := g.limits.Pause
	if limit == 0 {
		limit = DefaultPause
	}
	if limit < 0 || d <= limit {
		return d
	}
	g.report.note(fmt.Sprintf("a pause is longer than %v and cut to it", limit))
	return limit
}
