package calibration

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"agentwatt/shared/power"
	"agentwatt/shared/settings"
)

// Bounds on what is read.
const (
	mostBytes = 64 << 10 // of a record; one has about 1 KiB
	mostFiles = 10_000
)

// Encode writes the record as YAML.
func (r Record) Encode() ([]byte, error) {
	if key, err := r.check(); err != nil {
		return nil, fmt.Errorf("write the calibration of %s: %s: %w", r.Meter, key, err)
	}
	text, err := yaml.MarshalWithOptions(r, yaml.IndentSequence(true))
	if err != nil {
		return nil, fmt.Errorf("write the calibration of %s: %w", r.Meter, err)
	}
	return append([]byte("# Made by meterd characterise. Uncertainties u are expanded, k = 2. See docs/characterise.md.\n"), text...), nil
}

// Write puts the record into its own file in dir. The file is there as a whole or not at all.
func (r Record) Write(dir string) (path string, err error) {
	text, err := r.Encode()
	if err != nil {
		return "", err
	}
	path = filepath.Join(dir, r.FileName())
	temporary := path + ".new"
	if err := os.WriteFile(temporary, text, 0o644); err != nil {
		return "", fmt.Errorf("write the calibration of %s: %w", r.Meter, err)
	}
	if err := os.Rename(temporary, path); err != nil {
		return "", errors.Join(fmt.Errorf("write the calibration of %s: %w", r.Meter, err), os.Remove(temporary))
	}
	return path, nil
}

// Decode reads a record. Unknown keys and values that cannot be are errors, as name:line.
func Decode(text []byte, name string) (Record, error) {
	var r Record
	if len(text) > mostBytes {
		return r, fmt.Errorf("%s: longer than %d bytes", name, mostBytes)
	}
	if err := settings.Decode(text, name, &r); err != nil {
		return Record{}, err
	}
	if key, err := r.check(); err != nil {
		return Record{}, fmt.Errorf("%s:%d: %s: %w", name, lineOf(text, key), key, err)
	}
	return r, nil
}

// lineOf finds a key of the outermost level.
func lineOf(text []byte, key string) int {
	for i, line := range bytes.Split(text, []byte("\n")) {
		if bytes.HasPrefix(line, []byte(key+":")) {
			return i + 1
		}
	}
	return 1
}

// check returns the first key whose value cannot be, and why.
func (r Record) check() (key string, err error) {
	var q power.Quantity
	switch {
	case r.Format != Format:
		return "format", fmt.Errorf("%.40q is not %s", r.Format, Format)
	case r.Meter == "" || strings.ContainsAny(r.Meter, " \t\n"):
		return "meter", errors.New("empty, or with blanks")
	case r.Device == "":
		return "device", errors.New("empty: a calibration belongs to one device")
	case q.UnmarshalText([]byte(r.Quantity)) != nil || q == 0:
		return "quantity", fmt.Errorf("%.40q is none", r.Quantity)
	case r.Date.IsZero():
		return "date", errors.New("not set")
	case !r.Expires.After(r.Date):
		return "expires", errors.New("not after the date")
	case r.Cycles < 0:
		return "cycles", errors.New("negative")
	case !within(r.Reference.Accuracy, 0, 1) || !within(r.Reference.Floor, 0, 1e9):
		return "reference", errors.New("its accuracy is a relative one, 0 to 1, and its floor is not negative")
	case r.Gain.Known() != r.Offset.Known():
		return "offset_watts", errors.New("gain and offset are known together or not at all")
	case r.Gain.Known() && (!within(r.Gain.Value, 0.01, 100) || !within(r.Gain.U, 0, 100) || r.Gain.U == 0):
		return "gain", errors.New("not within 0.01 to 100, or without an uncertainty")
	case r.Gain.Known() && r.Reference.Accuracy == 0:
		return "reference", errors.New("a gain without the accuracy of what it was measured against")
	case !within(r.Offset.Value, -1e9, 1e9) || !within(r.Offset.U, 0, 1e9):
		return "offset_watts", errors.New("out of range")
	case !within(r.Noise.Value, 0, 1e9) || !within(r.Noise.U, 0, 1e9):
		return "noise_watts", errors.New("out of range")
	case !within(r.Correlation, -1.000001, 1.000001):
		return "gain_offset_correlation", errors.New("not within -1 to 1")
	case r.Gain.Known() && (!within(r.Idle, 0, 1e9) || !within(r.Busy, r.Idle, 1e9) || r.Busy == r.Idle):
		return "busy_watts", errors.New("not above idle_watts")
	case r.Gain.Known() && !r.correctable():
		return "gain", errors.New("the readings are wrong by more than half: that is not to be corrected but repaired, or the unit was misread")
	case !within(r.Residual, 0, 1e9):
		return "residual_watts", errors.New("out of range")
	}
	return r.checkSpans()
}

func (r Record) checkSpans() (key string, err error) {
	const most = time.Hour
	for _, s := range []struct {
		key   string
		span  Span
		least time.Duration
	}{{"period", r.Period, 1}, {"window", r.Window, 0}, {"delay", r.Delay, -most}, {"rise", r.Rise, 0}} {
		if !s.span.Known() && s.span == (Span{Unknown: s.span.Unknown}) {
			continue
		}
		if s.span.Value < s.least || s.span.Value > most || s.span.U <= 0 || s.span.U > most || !s.span.Known() {
			return s.key, fmt.Errorf("%v ± %v is out of range, or both known and unknown", s.span.Value, s.span.U)
		}
	}
	return "", nil
}

// correctable reports whether the factor is one that power.Between corrects.
func (r Record) correctable() bool {
	factor, _, ok := r.Factor()
	return !ok || within(factor, 0.5, 1.5)
}

// within is false for what is not a number.
func within(x, least, most float64) bool { return x >= least && x <= most && !math.IsNaN(x) }

// Set is a directory of records by meter ID, the newest first.
type Set struct{ records map[string][]Record }

// Load reads every *.yaml of a directory; one that does not exist is empty. Files that are not records are errors,
// all of them in one; the set has the others.
func Load(dir string) (Set, error) {
	s := Set{map[string][]Record{}}
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return s, fmt.Errorf("read calibrations: %w", err)
	}
	var errs []error
	files := 0
	for _, e := range entries {
		if e.IsDir() || filepath.Ext(e.Name()) != ".yaml" {
			continue
		}
		if files++; files > mostFiles {
			errs = append(errs, fmt.Errorf("read calibrations: more than %d files in %s", mostFiles, dir))
			break
		}
		r, err := read(filepath.Join(dir, e.Name()))
		if err != nil {
			errs = append(errs, err)
			continue
		}
		s.records[r.Meter] = append(s.records[r.Meter], r)
	}
	for _, list := range s.records {
		slices.SortStableFunc(list, func(a, b Record) int { return cmp.Compare(b.Date.UnixNano(), a.Date.UnixNano()) })
	}
	return s, errors.Join(errs...)
}

func read(path string) (Record, error) {
	f, err := os.Open(path)
	if err != nil {
		return Record{}, fmt.Errorf("read calibrations: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, mostBytes+1))
	if err != nil {
		return Record{}, fmt.Errorf("read calibrations: %w", err)
	}
	return Decode(text, path)
}
