package characterise

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"agentwatt/shared/clock"
)

// Bounds on a file of an external analyser: a day at 50 values per second.
const (
	mostRows  = 5_000_000
	mostBytes = 256 << 20
	mostLine  = 4096
	mostWatts = 1e9
)

// ReadCSV reads the recording of an external power analyser as a reference. The file has a header that names the columns
// time and watts (others are ignored), or none and these two columns. A time is RFC 3339, Unix seconds, or seconds since
// the recording began; the last kind is on a clock of its own, so the reference is then aligned by the load's switching.
// Errors say name:line.
func ReadCSV(r io.Reader, name string) (Reference, error) {
	ref := Reference{Name: name}
	digest := sha256.New()
	lines := bufio.NewScanner(io.TeeReader(io.LimitReader(r, mostBytes+1), digest))
	lines.Buffer(make([]byte, mostLine), mostLine)
	t := table{}
	size := 0
	n := 0
	for lines.Scan() {
		n++
		if size += len(lines.Bytes()) + 1; size > mostBytes || n > mostRows {
			return ref, fmt.Errorf("%s:%d: more than %d rows or %d bytes", name, n, mostRows, mostBytes)
		}
		if err := t.line(lines.Text()); err != nil {
			return ref, fmt.Errorf("%s:%d: %w", name, n, err)
		}
	}
	if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
		return ref, fmt.Errorf("%s:%d: a line longer than %d bytes", name, n+1, mostLine)
	} else if err != nil {
		return ref, fmt.Errorf("read %s: %w", name, err)
	}
	if len(t.points) < 2 {
		return ref, fmt.Errorf("%s: fewer than two values", name)
	}
	ref.points, ref.Align = t.points, t.relative
	ref.Digest = hex.EncodeToString(digest.Sum(nil))
	return ref, nil
}

// table is a file in the reading.
type table struct {
	time, watts int // columns
	begun       bool
	relative    bool
	points      []reading
}

func (t *table) line(text string) error {
	text = strings.TrimSpace(strings.TrimPrefix(text, "\ufeff"))
	if text == "" || text[0] == '#' {
		return nil
	}
	fields := strings.Split(text, ",")
	for i := range fields {
		fields[i] = strings.Trim(strings.TrimSpace(fields[i]), `"`)
	}
	if !t.begun {
		t.begun = true
		t.time, t.watts = 0, 1
		if header, err := t.header(fields); header || err != nil {
			return err
		}
	}
	if len(fields) <= max(t.time, t.watts) {
		return fmt.Errorf("%d columns, want time and watts", len(fields))
	}
	return t.row(fields[t.time], fields[t.watts])
}

// header finds the columns if the first line has names.
func (t *table) header(fields []string) (bool, error) {
	for _, f := range fields {
		if _, err := strconv.ParseFloat(f, 64); err == nil {
			return false, nil
		}
	}
	t.time, t.watts = -1, -1
	for i, f := range fields {
		switch strings.ToLower(f) {
		case "time":
			t.time = i
		case "watts":
			t.watts = i
		}
	}
	if t.time < 0 || t.watts < 0 {
		return true, fmt.Errorf("the columns are %q, want time and watts", fields)
	}
	return true, nil
}

func (t *table) row(when, watts string) error {
	p, err := strconv.ParseFloat(watts, 64)
	if err != nil || math.IsNaN(p) || math.Abs(p) > mostWatts {
		return fmt.Errorf("%.40q is not a power in watts", watts)
	}
	at, relative, err := timeOf(when)
	if err != nil {
		return err
	}
	switch n := len(t.points); {
	case n == 0:
		t.relative = relative
	case relative != t.relative:
		return fmt.Errorf("time %.40q: of another kind than those before", when)
	case at <= t.points[n-1].at:
		return fmt.Errorf("time %.40q: not later than the one before", when)
	}
	t.points = append(t.points, reading{at, p})
	return nil
}

// Unix seconds that a recording can have: after 2001. What is smaller counts from the recording's begin.
const (
	leastUnix = 1e9
	mostUnix  = 9e9
)

func timeOf(text string) (at clock.Stamp, relative bool, err error) {
	if s, err := strconv.ParseFloat(text, 64); err == nil {
		if math.IsNaN(s) || s < -leastUnix || s > mostUnix {
			return 0, false, fmt.Errorf("time %.40q is out of range", text)
		}
		whole := math.Floor(s) // a float holds Unix seconds to 0.2 µs only, but the fraction by itself is exact enough
		at := clock.Stamp(whole)*clock.Stamp(time.Second) + clock.Stamp(math.Round((s-whole)*1e9))
		return at, s < leastUnix, nil
	}
	when, err := time.Parse(time.RFC3339Nano, text)
	if err != nil || when.Year() < 2001 || when.Year() > 2200 {
		return 0, false, fmt.Errorf("time %.40q is neither RFC 3339, nor Unix seconds, nor seconds since the begin", text)
	}
	return clock.At(when), false, nil
}
