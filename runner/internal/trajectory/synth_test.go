package trajectory

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// The digests are those of every machine: a difference means that runs with the same seed do not replay the same load.
func TestSynthGolden(t *testing.T) {
	var got strings.Builder
	for _, o := range []SynthOptions{{1, 3, AgentPerf}, {2, 3, AgentPerf}, {1, 0, Demo}} {
		fmt.Fprintf(&got, "%s seed %d: %x\n", o.Profile, o.Seed, Synth(o).Digest)
	}
	golden := filepath.Join("testdata", "synth.golden")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("generated data sets changed (-want +got); go test -update accepts it:\n%s", diff)
	}
}

// METHOD 2, dataset shape.
func TestSynthShape(t *testing.T) {
	d := Synth(SynthOptions{Seed: 1, Trajectories: 60})
	s := Summarize(d)
	for _, c := range []struct {
		what           string
		got, low, high float64
	}{
		{"mean input", s.PromptTokens.Mean, 24e3, 30e3},
		{"smallest input", s.PromptTokens.Min, 1e3, 5e3},
		{"largest input", s.PromptTokens.Max, 80e3, 131072},
		{"median output", s.OutputTokens.P50, 120, 180},
		{"P95 of output", s.OutputTokens.P95, 1600, 2400},
		{"mean turns", s.TurnsEach.Mean, 25, 50},
		{"most turns", s.TurnsEach.Max, 80, 200},
		{"languages", float64(len(s.Languages)), 12, 20},
		{"median tool time", s.ToolSeconds.P50, 0.5, 1.5},
		{"longest tool time", s.ToolSeconds.Max, 3, 5},
	} {
		if c.got < c.low || c.got > c.high {
			t.Errorf("%s: got %.1f, want %.1f to %.1f", c.what, c.got, c.low, c.high)
		}
	}
	checkSynth(t, Synth(SynthOptions{Seed: 9, Trajectories: 6})) // 60 take long with the race detector
}

func TestSynthDemoShape(t *testing.T) {
	for seed := range uint64(2) {
		d := Synth(SynthOptions{Seed: seed, Profile: Demo})
		s := Summarize(d)
		if len(d.Trajectories) != 40 || s.TurnsEach.Min < 4 || s.TurnsEach.Max > 7 {
			t.Errorf("seed %d: %d trajectories of %v turns", seed, len(d.Trajectories), s.TurnsEach)
		}
		if s.PromptTokens.Min < 500 || s.PromptTokens.Max > 6000 || s.OutputTokens.Min < 10 || s.OutputTokens.Max > 60 || s.ToolSeconds.Max > 0.3 {
			t.Errorf("seed %d: inputs %v, outputs %v, tools %v s", seed, s.PromptTokens, s.OutputTokens, s.ToolSeconds)
		}
		checkSynth(t, d)
	}
}

// checkSynth reads what was generated: it must hold every rule of the format.
func checkSynth(t *testing.T, d *Dataset) {
	t.Helper()
	var out bytes.Buffer
	if err := Write(&out, d); err != nil {
		t.Fatal(err)
	}
	again, err := Read(&out, "synth")
	if err != nil {
		t.Fatal(err)
	}
	if again.Digest != d.Digest || len(again.Trajectories) != len(d.Trajectories) {
		t.Error("what is read is not what was generated")
	}
	for i, tr := range d.Trajectories {
		if !bytes.Equal(tr.Messages, again.Trajectories[i].Messages) {
			t.Errorf("messages of %s differ", tr.ID)
		}
		for k, turn := range tr.Turns { // the simulated engine's formula
			if want := (len(turn.Tools) + turn.End + 2 + 3) / 4; turn.Prompt != want {
				t.Errorf("%s turn %d: prompt tokens %d, want %d", tr.ID, k, turn.Prompt, want)
			}
		}
	}
}

func TestSynthUnknownProfile(t *testing.T) {
	if d := Synth(SynthOptions{Profile: "nonsense"}); d != nil {
		t.Error("an unknown profile gives a data set")
	}
}

// Every template must expand completely: what is left of a placeholder would be text that no language has.
func TestLanguageTemplates(t *testing.T) {
	for _, lang := range languages() {
		r := newRepo(newDice(1, 1), lang, 3)
		var text []string
		for _, list := range [][]string{lang.head, lang.units, lang.passed, lang.failed} {
			for _, s := range list {
				text = append(text, r.lines(s, "", 2)...)
			}
		}
		for range 20 {
			text = append(text, r.block("", 2)...)
		}
		i := slices.IndexFunc(text, func(l string) bool { return strings.Contains(strings.ReplaceAll(l, "~~", ""), "~b") })
		if i >= 0 {
			t.Errorf("%s: %q", lang.name, text[i])
		}
	}
}

func BenchmarkSynth(b *testing.B) {
	for b.Loop() {
		d := Synth(SynthOptions{Seed: 1, Trajectories: 10})
		size := 0
		for _, t := range d.Trajectories {
			size += len(t.Messages)
		}
		b.SetBytes(int64(size))
	}
}
