package trajectory

import (
	"bufio"
	"crypto/sha256"
	"fmt"
	"io"
	"math"
	"strconv"
	"time"
)

// Dataset is a set of trajectories: one native file.
type Dataset struct {
	Name         string
	License      string // of the content, e.g. "Apache-2.0"; empty: not stated
	Source       string // where the content is from, free text; empty: not stated
	Trajectories []*Trajectory
	Digest       [sha256.Size]byte // SHA-256 of the uncompressed native bytes: as they were read, or as Write makes them
}

// version is that of the native format (docs/formats-trajectory.md).
const version = 1

// Write writes d in the native format, uncompressed. Equal data sets give equal bytes.
func Write(w io.Writer, d *Dataset) error {
	out := bufio.NewWriterSize(w, 256<<10)
	row := append([]byte(nil), `{"agentwatt_trajectories":`...)
	row = strconv.AppendInt(row, version, 10)
	row = appendText(append(row, `,"name":`...), d.Name)
	row = appendText(append(row, `,"license":`...), d.License)
	row = appendText(append(row, `,"source":`...), d.Source)
	row = append(row, "}\n"...)
	if _, err := out.Write(row); err != nil {
		return fmt.Errorf("write trajectories: %w", err)
	}
	for _, t := range d.Trajectories {
		if err := writeTree(out, t); err != nil {
			return fmt.Errorf("write trajectory %q: %w", t.ID, err)
		}
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write trajectories: %w", err)
	}
	return nil
}

// writeTree writes the rows of root's main conversation and of its sub-agents, in pre-order.
func writeTree(out io.Writer, root *Trajectory) error {
	if err := writeRows(out, root, root.Origin, appendText([]byte(`{"trajectory":`), root.ID), nil); err != nil {
		return err
	}
	return writeSubagents(out, root, root)
}

func writeSubagents(out io.Writer, root, parent *Trajectory) error {
	for _, s := range parent.Subagents {
		keys := appendText([]byte(`{"trajectory":`), root.ID)
		keys = appendText(append(keys, `,"subagent":`...), s.ID)
		if err := writeRows(out, s.Trajectory, "", keys, appendFork(nil, root, parent, s)); err != nil {
			return err
		}
		if err := writeSubagents(out, root, s.Trajectory); err != nil {
			return err
		}
	}
	return nil
}

// writeRows writes the turns of one conversation. Each row begins with keys, the first one goes on with first.
func writeRows(out io.Writer, t *Trajectory, origin string, keys, first []byte) error {
	var row []byte
	for k := range t.Turns {
		row = append(row[:0], keys...)
		if k == 0 {
			row = append(row, first...)
		}
		if _, err := out.Write(appendTurn(row, t, k, origin)); err != nil {
			return err
		}
	}
	return nil
}

// appendFork appends where a sub-agent begins and ends.
func appendFork(dst []byte, root, parent *Trajectory, s Subagent) []byte {
	if parent != root {
		dst = appendText(append(dst, `,"parent":`...), parent.ID)
	}
	dst = strconv.AppendInt(append(dst, `,"fork":`...), int64(s.Fork), 10)
	if s.Delay > 0 {
		dst = appendSeconds(append(dst, `,"delay_seconds":`...), s.Delay)
	}
	if s.Join < len(parent.Turns) {
		dst = strconv.AppendInt(append(dst, `,"join":`...), int64(s.Join), 10)
	}
	return dst
}

// Describe sets what the header says, where it is not empty, and the digest that follows from it.
func (d *Dataset) Describe(name, license, source string) {
	for _, field := range []struct {
		to    *string
		value string
	}{{&d.Name, name}, {&d.License, license}, {&d.Source, source}} {
		if field.value != "" {
			*field.to = field.value
		}
	}
	d.seal()
}

// seal sets d's digest to that of the bytes that Write makes.
func (d *Dataset) seal() {
	h := sha256.New()
	if err := Write(h, d); err != nil {
		panic(err) // a hash takes everything
	}
	h.Sum(d.Digest[:0])
}

// appendTurn appends the rest of the row of turn k of t, newline included.
func appendTurn(dst []byte, t *Trajectory, k int, origin string) []byte {
	turn := t.Turns[k]
	begin, toolsBefore := 0, []byte(nil)
	if k > 0 {
		begin, toolsBefore = min(t.Turns[k-1].End+1, turn.End), t.Turns[k-1].Tools // +1: the comma
	}
	dst = strconv.AppendInt(append(dst, `,"turn":`...), int64(k), 10)
	if k == 0 && origin != "" {
		dst = appendText(append(dst, `,"origin":`...), origin)
	}
	dst = append(append(append(dst, `,"messages":[`...), t.Messages[begin:turn.End]...), ']')
	if string(turn.Tools) != string(toolsBefore) {
		dst = append(dst, `,"tools":`...)
		if turn.Tools == nil {
			dst = append(dst, "null"...)
		}
		dst = append(dst, turn.Tools...)
	}
	dst = appendCount(dst, `,"prompt_tokens":`, turn.Prompt)
	dst = appendCount(dst, `,"output_tokens":`, turn.Output)
	dst = appendCount(dst, `,"max_output_tokens":`, turn.MaxOutput)
	dst = appendCalls(dst, turn.Calls)
	if turn.Extra != nil {
		dst = append(append(dst, `,"extra":`...), turn.Extra...)
	}
	return append(dst, "}\n"...)
}

// appendCount appends a key and its count, or nothing where there is no count.
func appendCount(dst []byte, key string, n int) []byte {
	if n == 0 {
		return dst
	}
	return strconv.AppendInt(append(dst, key...), int64(n), 10)
}

func appendCalls(dst []byte, calls []Call) []byte {
	if len(calls) == 0 {
		return dst
	}
	dst = append(dst, `,"calls":[`...)
	for i, c := range calls {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendText(append(dst, `{"tool":`...), c.Tool)
		dst = appendSeconds(append(dst, `,"seconds":`...), c.Duration)
		dst = append(dst, '}')
	}
	return append(dst, ']')
}

// maxSeconds bounds a tool time. Below it float64 seconds hold every nanosecond, so durations survive a round trip.
const maxSeconds = 1e6

// appendSeconds appends d in seconds with as many digits as it has. (Duration.Seconds rounds twice and prints more.)
func appendSeconds(dst []byte, d time.Duration) []byte {
	return strconv.AppendFloat(dst, float64(d)/1e9, 'f', -1, 64)
}

// seconds converts a JSON number of units (1: seconds, 1e-3: milliseconds) to a duration.
func seconds(value []byte, unit float64) (time.Duration, error) {
	f, err := strconv.ParseFloat(string(value), 64)
	if err != nil {
		return 0, fmt.Errorf("is %s, not a number", kind(value))
	}
	if f *= unit; f < 0 || f > maxSeconds {
		return 0, fmt.Errorf("is %s, outside 0 to %g s", value, maxSeconds)
	}
	return time.Duration(math.Round(f * 1e9)), nil
}
