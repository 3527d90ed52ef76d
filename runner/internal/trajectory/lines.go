package trajectory

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
	"unicode/utf8"
)

// Limits bound what is read from a file of unknown origin. The zero value means the defaults.
type Limits struct {
	Line       int // bytes of one line; 0: 64 MiB
	Trajectory int // bytes of the messages of one trajectory, its sub-agents included; 0: 256 MiB

	// The longest pause before a request where the recording does not tell tools from people; what is longer is cut to it. 0: 10 s;
	// negative: none is cut.
	Pause time.Duration
}

// trajectory returns the limit of a trajectory's messages in bytes.
func (l Limits) trajectory() int {
	if l.Trajectory <= 0 {
		return defaultTrajectory
	}
	return l.Trajectory
}

// The defaults of Limits. A row of a context of a million tokens has about 5 MB, so both leave room for ten such rows.
const (
	defaultLine       = 64 << 20
	defaultTrajectory = 256 << 20
)

// DefaultPause is what InferenceX's AgentX caps think times at.
const DefaultPause = 10 * time.Second

// maxErrors is how many errors of one file are collected before reading stops: enough to see a pattern.
const maxErrors = 20

// SyntaxError is something wrong at one place of an input file.
type SyntaxError struct {
	File string
	Line int // from 1; 0: the file as a whole
	Msg  string
}

func (e *SyntaxError) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("%s: %s", e.File, e.Msg)
	}
	return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Msg)
}

// rows reads JSON lines: one object per line, blank lines ignored.
type rows struct {
	in      *bufio.Reader
	file    string
	max     int
	line    int          // of the row returned last
	long    []byte       // a line that does not fit the reader's buffer
	compact bytes.Buffer // the row returned last
}

func newRows(r io.Reader, file string, limits Limits) *rows {
	limit := limits.Line
	if limit <= 0 {
		limit = defaultLine
	}
	return &rows{in: bufio.NewReaderSize(r, 64<<10), file: file, max: limit}
}

// next returns the members of the next row, valid until the following call. A *SyntaxError concerns this row only: the
// next call goes on after it. Any other error ends the input; io.EOF is its regular end.
func (r *rows) next() ([]member, error) {
	for {
		line, err := r.read()
		if err != nil {
			return nil, err
		}
		if r.line == 1 {
			line = bytes.TrimPrefix(line, []byte("\xef\xbb\xbf"))
		}
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		if !utf8.Valid(line) {
			return nil, r.errorf("not UTF-8")
		}
		r.compact.Reset()
		if err := json.Compact(&r.compact, line); err != nil {
			return nil, r.errorf("not JSON: %s", describe(line))
		}
		ms, err := members(r.compact.Bytes())
		if err != nil {
			return nil, r.errorf("the row %v", err)
		}
		return ms, nil
	}
}

// read returns the next line, without a cap on its length other than the limit.
func (r *rows) read() ([]byte, error) {
	part, err := r.in.ReadSlice('\n')
	r.line++
	if err == nil && len(part) <= r.max {
		return part, nil
	}
	size := len(part)
	r.long = append(r.long[:0], part...)
	for errors.Is(err, bufio.ErrBufferFull) {
		part, err = r.in.ReadSlice('\n')
		if size += len(part); size <= r.max {
			r.long = append(r.long, part...)
		}
	}
	switch {
	case err != nil && !errors.Is(err, io.EOF):
		return nil, fmt.Errorf("read %s, line %d: %w", r.file, r.line, err)
	case size == 0:
		r.line-- // the end is not a line
		return nil, io.EOF
	case size > r.max:
		return nil, r.errorf("line of %d bytes is longer than the limit of %d", size, r.max)
	}
	return r.long, nil
}

// errorf makes an error about the row returned last.
func (r *rows) errorf(format string, args ...any) *SyntaxError {
	return &SyntaxError{r.file, r.line, fmt.Sprintf(format, args...)}
}

// describe says what is wrong with JSON text and where. (The error of json.Compact has no position.)
func describe(bad []byte) string {
	var v json.RawMessage
	err := json.Unmarshal(bad, &v)
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Sprintf("%v (byte %d)", err, syntax.Offset)
	}
	return fmt.Sprint(err)
}
