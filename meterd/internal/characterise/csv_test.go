package characterise

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"agentwatt/shared/clock"
)

func TestReadCSV(t *testing.T) {
	for name, c := range map[string]struct {
		text  string
		want  []reading
		align bool
	}{
		"relative":          {"0.5,100\n1.5,200.25\n", []reading{{500_000_000, 100}, {1_500_000_000, 200.25}}, true},
		"unix":              {"time,watts\n1780000000.5,1\n1780000001,2\n", []reading{{1_780_000_000_500_000_000, 1}, {1_780_000_001_000_000_000, 2}}, false},
		"RFC 3339":          {"2026-05-28T20:26:40.25Z,1\n2026-05-28T22:26:41+02:00,2\n", []reading{{1_780_000_000_250_000_000, 1}, {1_780_000_001_000_000_000, 2}}, false},
		"columns by name":   {"\ufeff# WT310\n\"Volt\",\"Watts\",\"Time\"\n230,5,0\n230,6,1\n", []reading{{0, 5}, {1e9, 6}}, true},
		"blanks, no power":  {" 0 , 0 \n\n 1 , -0.2 \n", []reading{{0, 0}, {1e9, -0.2}}, true},
		"before the begins": {"-1,5\r\n1,6\r\n", []reading{{-1e9, 5}, {1e9, 6}}, true},
	} {
		got, err := ReadCSV(strings.NewReader(c.text), "f.csv")
		if err != nil || got.Align != c.align || len(got.Digest) != 64 {
			t.Errorf("%s: %v, align %v, digest %q", name, err, got.Align, got.Digest)
		}
		if diff := cmp.Diff(c.want, got.points, cmp.AllowUnexported(reading{})); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
	}
}

func TestReadCSVSaysWhere(t *testing.T) {
	for text, want := range map[string]string{
		"":                                 "f.csv: fewer than two values",
		"time,power\n":                     "f.csv:1: the columns are",
		"0,1\n1\n":                         "f.csv:2: 1 columns",
		"0,1\n1,x\n":                       `f.csv:2: "x" is not a power`,
		"0,1\n1,NaN\n":                     `f.csv:2: "NaN" is not a power`,
		"0,1\n1,Inf\n":                     `f.csv:2: "Inf" is not a power`,
		"0,1\n0,2\n":                       "f.csv:2: time \"0\": not later",
		"0,1\n1780000000,2\n":              "f.csv:2: time \"1780000000\": of another kind",
		"yesterday,1\n":                    "f.csv:1: time \"yesterday\" is neither",
		"0,1\nyesterday,1\n":               "f.csv:2: time \"yesterday\" is neither",
		"1e300,1\n":                        "f.csv:1: time \"1e300\" is out of range",
		"0,1\n" + strings.Repeat("x", 9e3): "f.csv:2: a line longer",
	} {
		if _, err := ReadCSV(strings.NewReader(text), "f.csv"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: got %v, want %s", text, err, want)
		}
	}
}

func FuzzReadCSV(f *testing.F) {
	for _, s := range []string{"0,1\n1,2\n", "time,watts\n1780000000,1\n", "2026-05-28T20:26:40Z,1\n", "\ufeff\"a\",b", ",,,\n", "1e9,1e9\n9e9,-1e9\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		ref, err := ReadCSV(strings.NewReader(text), "f")
		if err != nil {
			return
		}
		marks := []Mark{{epoch, true}, {epoch.Add(1e9), false}}
		if ref.Align {
			marks = []Mark{{clock.Stamp(1e9), true}, {clock.Stamp(2e9), false}}
		}
		if c, err := ref.curve(marks, marks[0].At); err == nil && !c.covers(0, 1) {
			t.Errorf("a curve that does not cover the schedule")
		}
	})
}
