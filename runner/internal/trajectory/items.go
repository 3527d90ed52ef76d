package trajectory

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// items reads the objects of a file one at a time: its lines, the elements of its array, or the one document that it is.
// Only a document is held as a whole.
type items struct {
	in     *bufio.Reader
	file   string
	limits Limits
	layout layout

	rows    *rows         // layout inLines
	array   *json.Decoder // layout inArray
	room    capped        // what array reads from
	compact bytes.Buffer  // the element of the array returned last
	n       int           // items returned so far
	over    bool          // nothing follows
}

// layout is how a file holds its objects.
type layout int

const (
	unknown layout = iota
	inLines
	inArray
	inDocument
)

func newItems(r io.Reader, file string, limits Limits) *items {
	return &items{in: bufio.NewReaderSize(r, 64<<10), file: file, limits: limits}
}

// next returns the members of the next object, valid until the following call. A *SyntaxError concerns this object only:
// the next call goes on after it. Any other error ends the input; io.EOF is its regular end.
func (it *items) next() ([]member, error) {
	if it.layout == unknown {
		if err := it.open(); err != nil {
			return nil, err
		}
	}
	it.n++
	switch {
	case it.over:
		return nil, io.EOF
	case it.layout == inLines:
		return it.rows.next()
	case it.layout == inArray:
		return it.element()
	}
	it.over = true
	ms, err := members(it.compact.Bytes())
	if err != nil {
		return nil, it.errorf("the document %v", err)
	}
	return ms, nil
}

// open tells the layout by the first line.
func (it *items) open() error {
	first, err := it.skip()
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read %s: %w", it.file, err)
	}
	if first == '[' {
		it.layout = inArray
		it.room = capped{in: it.in, max: it.max()}
		it.array = json.NewDecoder(&it.room)
		_, err := it.array.Token()
		return err
	}
	var head bytes.Buffer
	_, err = newRows(io.TeeReader(it.in, &head), it.file, it.limits).next()
	all := io.MultiReader(&head, it.in)
	var syntax *SyntaxError
	if errors.As(err, &syntax) && first == '{' {
		data, err := it.limits.readAll(all, it.file)
		if err != nil {
			return err
		}
		if utf8.Valid(data) && json.Compact(&it.compact, data) == nil {
			it.layout = inDocument
			return nil
		}
		it.compact.Reset()
		all = bytes.NewReader(data)
	}
	it.layout = inLines
	it.rows = newRows(all, it.file, it.limits)
	return nil
}

// skip passes a byte order mark and white space up to the end of the first blank lines, and returns the byte after it.
func (it *items) skip() (byte, error) {
	if mark, err := it.in.Peek(3); err == nil && string(mark) == "\xef\xbb\xbf" {
		it.in.Discard(3)
	}
	for n := 1; ; n++ {
		head, err := it.in.Peek(n)
		if err != nil || n == it.in.Size() {
			return 0, err
		}
		if c := head[n-1]; c != ' ' && c != '\t' && c != '\r' && c != '\n' {
			return c, nil
		}
	}
}

// element returns the next element of the array.
func (it *items) element() ([]member, error) {
	it.room.read = 0
	if !it.array.More() {
		it.over = true
		if _, err := it.array.Token(); err != nil {
			return nil, it.broken(err)
		}
		if _, err := it.array.Token(); !errors.Is(err, io.EOF) {
			return nil, &SyntaxError{it.file, 0, "something follows the array"}
		}
		return nil, io.EOF
	}
	var raw json.RawMessage
	if err := it.array.Decode(&raw); err != nil {
		it.over = true
		return nil, it.broken(err)
	}
	if !utf8.Valid(raw) {
		return nil, it.errorf("not UTF-8")
	}
	it.compact.Reset()
	if err := json.Compact(&it.compact, raw); err != nil {
		return nil, it.errorf("%v", err)
	}
	ms, err := members(it.compact.Bytes())
	if err != nil {
		return nil, it.errorf("the element %v", err)
	}
	return ms, nil
}

// broken is the end of an array that cannot be read further.
func (it *items) broken(err error) error {
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &syntax), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return it.errorf("not JSON: %v (byte %d); the rest of the array is not read", err, it.array.InputOffset())
	case errors.Is(err, errTooLong):
		return it.errorf("longer than the limit of %d bytes; the rest of the array is not read", it.max())
	}
	return fmt.Errorf("read %s, item %d: %w", it.file, it.n, err)
}

// errorf makes an error about the item returned last.
func (it *items) errorf(format string, args ...any) *SyntaxError {
	msg := fmt.Sprintf(format, args...)
	switch it.layout {
	case inLines:
		return &SyntaxError{it.file, it.rows.line, msg}
	case inArray:
		msg = fmt.Sprintf("item %d: %s", it.n, msg)
	}
	return &SyntaxError{it.file, 0, msg}
}

func (it *items) max() int {
	if it.limits.Line > 0 {
		return it.limits.Line
	}
	return defaultLine
}

// capped is a reader that stops where one element gets too long.
type capped struct {
	in   io.Reader
	max  int
	read int // since the element began
}

var errTooLong = errors.New("too long")

func (c *capped) Read(p []byte) (int, error) {
	if c.read > c.max {
		return 0, errTooLong
	}
	n, err := c.in.Read(p)
	c.read += n
	return n, err
}
