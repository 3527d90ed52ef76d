package bench

import (
	"agentwatt/shared/settings"
	_ "embed" // the presets
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Profile holds the rules of phases and of the search (METHOD 4 and 5). Its name is part of a result's identity.
type Profile struct {
	Name            string        `json:"name"`
	Comparable      bool          `json:"comparable"`                 // its rules are those of a published method
	Spawn           float64       `json:"spawn_per_second"`           // agents started per second
	StartTurns      int           `json:"start_turns"`                // each agent begins at a seeded turn below this
	Hold            time.Duration `json:"hold_nanos"`                 // all N active for this long before the window
	Settle          time.Duration `json:"settle_nanos"`               // after Begin before the window
	MinWindow       time.Duration `json:"min_window_nanos"`           //
	MinTrajectories int           `json:"min_trajectories"`           // completed in the window
	MinPerAgent     int           `json:"min_trajectories_per_agent"` // completed in the window, each agent
	Timeout         time.Duration `json:"phase_timeout_nanos"`        // of a phase, from Begin; never a pass
	Extend          float64       `json:"extend"`                     // an undecided window is extended up to this multiple of its length
	MaxAgents       int           `json:"max_agents"`                 // the search stops there
	Step            int           `json:"step"`                       // resolution in agents
	Relative        float64       `json:"relative_step"`              // resolution relative to N; the larger counts
	Retests         int           `json:"retests"`                    // of the largest N that passed, after the bisection; N+step gets one
}

// Bounds returns the profile's rules of the search.
func (p Profile) Bounds() Bounds {
	return Bounds{Max: p.MaxAgents, Step: p.Step, Relative: p.Relative, Retests: p.Retests}
}

//go:embed presets/profiles.yaml
var profilePresets []byte

// profileFile is a file of profiles.
type profileFile struct {
	Profiles map[string]located[profileText] `yaml:"profiles"`
}

// profileText is a profile as it stands in a file.
type profileText struct {
	Comparable      bool         `yaml:"comparable"`
	Spawn           float64      `yaml:"spawn_per_second"`
	StartTurns      int          `yaml:"start_turns"`
	Hold            durationText `yaml:"hold"`
	Settle          durationText `yaml:"settle"`
	MinWindow       durationText `yaml:"min_window"`
	MinTrajectories int          `yaml:"min_trajectories"`
	MinPerAgent     int          `yaml:"min_trajectories_per_agent"`
	Timeout         durationText `yaml:"phase_timeout"`
	Extend          float64      `yaml:"extend"`
	MaxAgents       int          `yaml:"max_agents"`
	Step            int          `yaml:"step"`
	Relative        float64      `yaml:"relative_step"`
	Retests         int          `yaml:"retests"`
}

func (t profileText) named(name string) Profile {
	return Profile{name, t.Comparable, t.Spawn, t.StartTurns, t.Hold.Duration, t.Settle.Duration, t.MinWindow.Duration,
		t.MinTrajectories, t.MinPerAgent, t.Timeout.Duration,
		t.Extend, t.MaxAgents, t.Step, t.Relative, t.Retests}
}

// ParseProfiles reads a file of user-defined `profiles` by name, sorted by it. None of them may call itself comparable or
// take the name of a built-in one. name is the file's, for errors, which begin with file:line.
func ParseProfiles(data []byte, name string) ([]Profile, error) {
	own, err := parseProfiles(data, name)
	if err != nil {
		return nil, err
	}
	presets, err := parseProfiles(profilePresets, "presets/profiles.yaml")
	if err != nil {
		return nil, err
	}
	for _, p := range own {
		if p.Comparable {
			return nil, fmt.Errorf("%s: profile %q: only a built-in profile is comparable", name, p.Name)
		}
		if slices.ContainsFunc(presets, func(b Profile) bool { return b.Name == p.Name }) {
			return nil, fmt.Errorf("%s: profile %q: the name is taken by a built-in profile", name, p.Name)
		}
	}
	return own, nil
}

// ProfileNamed returns a built-in profile.
func ProfileNamed(name string) (Profile, error) {
	presets, err := parseProfiles(profilePresets, "presets/profiles.yaml")
	if err != nil {
		return Profile{}, err
	}
	var names []string
	for _, p := range presets {
		if p.Name == name {
			return p, nil
		}
		names = append(names, p.Name)
	}
	return Profile{}, fmt.Errorf("unknown profile %q; there are %s", name, strings.Join(names, ", "))
}

func parseProfiles(data []byte, name string) ([]Profile, error) {
	var f profileFile
	if err := settings.Decode(data, name, &f); err != nil {
		return nil, err
	}
	if len(f.Profiles) == 0 {
		return nil, fmt.Errorf("%s: no profiles", name)
	}
	var list []Profile
	for _, key := range slices.Sorted(maps.Keys(f.Profiles)) {
		text := f.Profiles[key]
		p := text.value.named(key)
		if err := p.Check(); err != nil {
			return nil, fmt.Errorf("%s:%d: profile %q: %w", name, text.line, key, err)
		}
		list = append(list, p)
	}
	return list, nil
}

// Check reports the first rule that makes no sense.
func (p Profile) Check() error {
	switch {
	case !(p.Spawn > 0):
		return errors.New("spawn_per_second must be above 0")
	case p.StartTurns < 1:
		return errors.New("start_turns must be at least 1")
	case p.Hold < 0 || p.Settle < 0:
		return errors.New("hold and settle must not be negative")
	case p.MinWindow <= 0:
		return errors.New("min_window must be above 0")
	case p.MinTrajectories < 1 || p.MinPerAgent < 0:
		return errors.New("min_trajectories must be at least 1, min_trajectories_per_agent at least 0")
	case p.Timeout <= max(p.Hold, p.Settle)+p.MinWindow:
		return errors.New("phase_timeout must leave room for settle, hold and min_window")
	case !(p.Extend >= 1):
		return errors.New("extend is a multiple of the window and at least 1")
	}
	return p.Bounds().check()
}

// published reports whether the profile's rules of a phase are those of the built-in, comparable profile of its name. The
// bounds of the search may differ: they cost time and precision, not comparability.
func (p Profile) published() bool {
	b, err := ProfileNamed(p.Name)
	if err != nil {
		return false
	}
	b.MaxAgents, b.Step, b.Relative, b.Retests = p.MaxAgents, p.Step, p.Relative, p.Retests
	return b == p && b.Comparable
}
