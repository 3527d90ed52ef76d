package bench

import (
	"agentwatt/shared/settings"
	"crypto/sha256"
	_ "embed" // the presets
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Tier is a named set of objectives over all requests of a window pooled.
type Tier struct {
	Name       string      `json:"name"`
	Objectives []Objective `json:"objectives"`
}

// TTFTLimit returns the tier's tightest limit on the wait for a first token in seconds; ok is false if it has none.
func (t Tier) TTFTLimit() (seconds float64, ok bool) {
	for _, o := range t.Objectives {
		if o.Metric.wait() && (!ok || o.Limit < seconds) {
			seconds, ok = o.Limit, true
		}
	}
	return seconds, ok
}

//go:embed presets/tiers-2026-06.yaml
var tierPresets []byte

// tierFile is a file of tiers.
type tierFile struct {
	Version string                         `yaml:"version"`
	Presets map[string][]located[tierText] `yaml:"presets"`
	Tiers   []located[tierText]            `yaml:"tiers"`
}

// tierText is a tier as it stands in a file.
type tierText struct {
	Name       string          `yaml:"name"`
	Objectives []objectiveText `yaml:"objectives"`
}

// ParseTiers reads a file with a list of `tiers`, each with a name and objectives. name is the file's, for errors, which
// begin with file:line.
func ParseTiers(data []byte, name string) ([]Tier, error) {
	var f tierFile
	if err := settings.Decode(data, name, &f); err != nil {
		return nil, err
	}
	if f.Presets != nil {
		return nil, fmt.Errorf("%s: presets belong to the program; list your own tiers under `tiers`", name)
	}
	return checkTiers(f.Tiers, name)
}

// Preset returns the tiers of a preset and the SHA-256 of the versioned file they come from, in hexadecimal.
func Preset(name string) (tiers []Tier, sha256sum string, err error) {
	var f tierFile
	if err := settings.Decode(tierPresets, "presets/tiers-2026-06.yaml", &f); err != nil {
		return nil, "", err
	}
	list, ok := f.Presets[name]
	if !ok {
		return nil, "", fmt.Errorf("unknown tier preset %q; there are %s", name, strings.Join(slices.Sorted(maps.Keys(f.Presets)), ", "))
	}
	if tiers, err = checkTiers(list, "presets/tiers-2026-06.yaml"); err != nil {
		return nil, "", err
	}
	sum := sha256.Sum256(tierPresets)
	return tiers, hex.EncodeToString(sum[:]), nil
}

// checkTiers refuses what the decoder cannot see: missing and repeated names and objectives.
func checkTiers(list []located[tierText], name string) ([]Tier, error) {
	if len(list) == 0 {
		return nil, fmt.Errorf("%s: no tiers", name)
	}
	var tiers []Tier
	for _, text := range list {
		t := Tier{Name: text.value.Name}
		for _, o := range text.value.Objectives {
			t.Objectives = append(t.Objectives, o.Objective)
		}
		err := t.check()
		if err == nil && slices.ContainsFunc(tiers, func(o Tier) bool { return o.Name == t.Name }) {
			err = fmt.Errorf("tier %q appears twice", t.Name)
		}
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, text.line, err)
		}
		tiers = append(tiers, t)
	}
	return tiers, nil
}

func (t Tier) check() error {
	switch {
	case t.Name == "":
		return errors.New("a tier without a name")
	case len(t.Objectives) == 0:
		return fmt.Errorf("tier %q has no objectives", t.Name)
	}
	for i, o := range t.Objectives {
		if slices.ContainsFunc(t.Objectives[:i], func(p Objective) bool { return p.Metric == o.Metric && p.Quantile == o.Quantile }) {
			return fmt.Errorf("tier %q limits the same percentile twice: %s", t.Name, o)
		}
	}
	return nil
}
