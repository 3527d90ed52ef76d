package trajectory

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// Read reads a native file; name is its name in errors.
//
// The error joins the first error of each bad trajectory, at most 20, each a *SyntaxError with file and line.
func Read(r io.Reader, name string) (*Dataset, error) { return Limits{}.Read(r, name) }

// Stream reads a native file and hands over each trajectory once it is complete and checked. The data set that it returns
// has no trajectories. After an error, what was handed over must be discarded: the file is not what it claims to be.
func Stream(r io.Reader, name string, each func(*Trajectory) error) (*Dataset, error) {
	return Limits{}.Stream(r, name, each)
}

// Read is the function Read within the limits.
func (l Limits) Read(r io.Reader, name string) (*Dataset, error) {
	var ts []*Trajectory
	d, err := l.Stream(r, name, func(t *Trajectory) error {
		ts = append(ts, t)
		return nil
	})
	if err != nil {
		return nil, err
	}
	d.Trajectories = ts
	return d, nil
}

// Stream is the function Stream within the limits.
func (l Limits) Stream(r io.Reader, name string, each func(*Trajectory) error) (*Dataset, error) {
	sum := sha256.New()
	n := nativeReader{
		in: newRows(io.TeeReader(r, sum), name, l), limits: l, each: each,
		seen: map[string]int{}, tools: toolSets{},
	}
	d, err := n.header()
	if err != nil {
		return nil, err
	}
	if err := n.rows(); err != nil {
		return nil, err
	}
	sum.Sum(d.Digest[:0])
	return d, nil
}

// nativeReader is the state of reading one native file.
type nativeReader struct {
	in     *rows
	limits Limits
	each   func(*Trajectory) error
	seen   map[string]int // trajectory id to the line of its first row
	tools  toolSets
	id     string      // of the current trajectory
	line   int         // of its last row
	cur    *treeReader // nil: the current trajectory is bad, the rest of its rows is skipped
	errs   []error
}

// header reads the first row.
func (n *nativeReader) header() (*Dataset, error) {
	ms, err := n.in.next()
	if errors.Is(err, io.EOF) {
		return nil, &SyntaxError{n.in.file, 1, "the file is empty"}
	}
	if err != nil {
		return nil, err
	}
	if find(ms, "agentwatt_trajectories") == nil {
		return nil, n.in.errorf(`not a trajectory file: the first row has no "agentwatt_trajectories"; other formats are read by "runner trace import"`)
	}
	d := &Dataset{}
	for _, m := range ms {
		var err error
		switch m.key {
		case "agentwatt_trajectories":
			if v, e := count(m.value); e != nil || v != version {
				err = fmt.Errorf("is %s: this program reads version %d", m.value, version)
			}
		case "name":
			d.Name, err = text(m.value)
		case "license":
			d.License, err = text(m.value)
		case "source":
			d.Source, err = text(m.value)
		default:
			err = errors.New("is not a field of the header")
		}
		if err != nil {
			return nil, n.in.errorf("%s %v", m.key, err)
		}
	}
	return d, nil
}

// rows reads everything after the header.
func (n *nativeReader) rows() error {
	for len(n.errs) < maxErrors {
		ms, err := n.in.next()
		var syntax *SyntaxError
		switch {
		case errors.Is(err, io.EOF):
			if err := n.finish(); err != nil {
				return err
			}
			if len(n.seen) == 0 && len(n.errs) == 0 {
				return &SyntaxError{n.in.file, n.in.line, "there is no trajectory after the header"}
			}
			return errors.Join(n.errs...)
		case errors.As(err, &syntax):
			n.bad(syntax) // whose row it is cannot be told: it is taken for the current trajectory's
			continue
		case err != nil:
			return errors.Join(append(n.errs, err)...)
		}
		if err := n.row(ms); err != nil {
			return err
		}
	}
	return errors.Join(n.errs...)
}

// bad notes an error and gives up the current trajectory; only its first error is kept.
func (n *nativeReader) bad(err *SyntaxError) {
	if n.cur == nil && len(n.seen) > 0 {
		return
	}
	n.cur = nil
	n.errs = append(n.errs, err)
}

// row takes one row. Its error is the consumer's; those of the file are collected.
func (n *nativeReader) row(ms []member) error {
	r, err := parseRow(ms)
	if r.id == "" {
		if err == nil {
			err = errors.New("trajectory is missing or empty")
		}
		n.bad(n.in.errorf("%v", err))
		return nil
	}
	if r.id != n.id || len(n.seen) == 0 {
		if err := n.finish(); err != nil {
			return err
		}
		n.id, n.cur = r.id, newTreeReader(r.id, r.origin, n.limits)
		if line, ok := n.seen[r.id]; ok {
			n.bad(n.in.errorf("trajectory %q: already began in line %d; its rows must follow each other", r.id, line))
			return nil
		}
		n.seen[r.id] = n.in.line
	}
	n.line = n.in.line
	if n.cur == nil {
		return nil
	}
	if err == nil {
		err = n.add(r)
	}
	if err != nil {
		n.bad(n.in.errorf("trajectory %q, %s: %v", n.id, n.cur, err))
	}
	return nil
}

// add appends the row's turn to the current trajectory.
func (n *nativeReader) add(r row) error {
	if err := n.cur.turnTo(r); err != nil {
		return err
	}
	b := n.cur.builder
	k := len(b.t.Turns)
	switch {
	case r.number != k:
		return fmt.Errorf("turn is %d, want %d", r.number, k)
	case r.messages == nil:
		return errors.New("messages is missing")
	case (k > 0 || r.fork.subagent != "") && r.origin != "":
		return errors.New("origin belongs to turn 0 of the main conversation")
	}
	added, err := elements(r.messages)
	if err != nil {
		return fmt.Errorf("messages %w", err)
	}
	for _, m := range added {
		if err := b.add(m); err != nil {
			return err
		}
	}
	switch {
	case r.tools != nil:
		if r.turn.Tools, err = n.tools.keep(r.tools); err != nil {
			return err
		}
	case k > 0:
		r.turn.Tools = b.t.Turns[k-1].Tools
	}
	return b.turn(r.turn)
}

// finish hands over the current trajectory if it is good.
func (n *nativeReader) finish() error {
	if n.cur == nil {
		return nil
	}
	t, err := n.cur.tree()
	n.cur = nil
	if err != nil {
		n.errs = append(n.errs, &SyntaxError{n.in.file, n.line, fmt.Sprintf("trajectory %q: %v", n.id, err)})
		return nil
	}
	return n.each(t)
}

// row is a parsed row; its slices alias the input.
type row struct {
	id, origin string
	fork       forkRow
	number     int
	messages   []byte
	tools      []byte // nil: as before
	turn       Turn   // without End and Tools
}

// parseRow takes a row apart. A field that the format does not have is an error: it would be lost.
func parseRow(ms []member) (row, error) {
	r := row{number: -1}
	for _, m := range ms {
		if m.key == "trajectory" { // first, so that an error in another field can be attributed
			r.id, _ = text(m.value)
		}
	}
	for _, m := range ms {
		var err error
		switch m.key {
		case "trajectory":
			_, err = text(m.value)
		case "turn":
			r.number, err = count(m.value)
		case "origin":
			r.origin, err = text(m.value)
		case "messages":
			r.messages = m.value
		case "tools":
			r.tools = m.value
		case "prompt_tokens":
			r.turn.Prompt, err = count(m.value)
		case "output_tokens":
			r.turn.Output, err = count(m.value)
		case "max_output_tokens":
			r.turn.MaxOutput, err = count(m.value)
		case "calls":
			r.turn.Calls, err = parseDurations(m.value)
		case "extra":
			if _, err = members(m.value); err == nil {
				r.turn.Extra = json.RawMessage(bytes.Clone(m.value))
			}
		default:
			err = r.fork.field(m)
		}
		if err != nil {
			return r, fmt.Errorf("%s %w", m.key, err)
		}
	}
	return r, nil
}

// parseDurations reads the calls of a row.
func parseDurations(value []byte) ([]Call, error) {
	list, err := elements(value)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	calls := make([]Call, len(list))
	for i, raw := range list {
		ms, err := members(raw)
		if err != nil {
			return nil, fmt.Errorf("entry %d %w", i, err)
		}
		for _, m := range ms {
			switch m.key {
			case "tool":
				calls[i].Tool, err = text(m.value)
			case "seconds":
				calls[i].Duration, err = seconds(m.value, 1)
			default:
				err = errors.New("is not a field of a call")
			}
			if err != nil {
				return nil, fmt.Errorf("entry %d: %s %w", i, m.key, err)
			}
		}
	}
	return calls, nil
}

// count reads a JSON integer that counts something: 0 to 2^31-1.
func count(value []byte) (int, error) {
	n, err := strconv.ParseInt(string(value), 10, 32)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("is %.40s, not a count", value)
	}
	return int(n), nil
}
