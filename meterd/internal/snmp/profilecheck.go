package snmp

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"

	"agentwatt/shared/power"
	"agentwatt/shared/settings"
)

// Bounds of a profile.
const (
	mostLevels  = 32
	mostPattern = 200
)

// UnmarshalYAML reads a profile and checks what only makes sense together.
func (p *Profile) UnmarshalYAML(n ast.Node) error {
	type plain Profile
	if err := yaml.NodeToValue(n, (*plain)(p), yaml.Strict()); err != nil {
		return err
	}
	return settings.At(n, p.check())
}

func (p *Profile) check() error {
	switch {
	case !regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,39}$`).MatchString(p.Name):
		return fmt.Errorf("name %q is not small letters, digits and dashes", p.Name)
	case p.Source == "":
		return errors.New("no source: knowledge without provenance is none")
	case len(p.Match.Objects) == 0:
		return errors.New("match.objects is empty: give prefixes of sysObjectID")
	case len(p.Levels) == 0 || len(p.Levels) > mostLevels:
		return fmt.Errorf("%d levels, want 1 to %d", len(p.Levels), mostLevels)
	case !slices.ContainsFunc(p.Levels, func(l Level) bool { return l.Whole }):
		return errors.New("no level is the whole: mark one with whole: true")
	case p.Period.Value < 0 || p.Period.Value > 0 && power.Origin(p.Period.From) == power.Unknown:
		return errors.New("the period is negative, or does not say where it is from")
	case p.Accuracy.Value < 0 || p.Accuracy.Value >= 1:
		return errors.New("the accuracy is a fraction, such as 0.01")
	case p.Accuracy.Value > 0 && power.Origin(p.Accuracy.From) == power.Unknown:
		return errors.New("the accuracy does not say where it is from")
	}
	for _, c := range slices.Concat(p.Identity.Model, p.Identity.Serial, p.Identity.Firmware) {
		if !c.OID.set() && c.Like.Regexp == nil {
			return errors.New("identity: a clue has neither oid nor like")
		}
	}
	for _, o := range p.Match.Objects {
		if !numeric(o.text) {
			return fmt.Errorf("match.objects: %q is not an OID", o.text)
		}
	}
	return nil
}

// UnmarshalYAML reads a level and checks it.
func (l *Level) UnmarshalYAML(n ast.Node) error {
	type plain Level
	if err := yaml.NodeToValue(n, (*plain)(l), yaml.Strict()); err != nil {
		return err
	}
	return settings.At(n, l.check())
}

func (l *Level) check() error {
	if !slices.Contains(levelNames, l.Level) {
		return fmt.Errorf("level %q is not one of %q", l.Level, levelNames)
	}
	if !l.Power.OID.set() && !l.Energy.OID.set() {
		return fmt.Errorf("level %s has neither power nor energy", l.Level)
	}
	want := map[string]kind{"power": realPower, "energy": energy, "apparent": apparentPower}
	for name, r := range l.readings() {
		if err := r.check(want[name]); err != nil {
			return fmt.Errorf("level %s: %s: %w", l.Level, name, err)
		}
	}
	if w := l.Where; w != nil && (!w.OID.set() || !slices.Contains([]string{"", "all", "first", "rest"}, w.Missing)) {
		return fmt.Errorf("level %s: where: wants an oid, and missing: all, first or rest", l.Level)
	}
	return nil
}

func (r *Reading) check(want kind) error {
	switch {
	case r.Unit.kind != want:
		return fmt.Errorf("unit %q is not one of %s", r.Unit.Text, want)
	case r.Text != "" && units[r.Text].kind != want:
		return fmt.Errorf("text: %q is not a unit of %s", r.Text, want)
	case r.Wrap < 0 || r.Wrap > 0 && want != energy:
		return fmt.Errorf("wrap: %d, or not a counter", r.Wrap)
	case r.Units != nil && !r.Units.OID.set(), r.Valid != nil && !r.Valid.OID.set():
		return errors.New("units and valid want an oid")
	case r.Text != "" && (r.Units != nil || r.Digits.set()):
		return errors.New("a text has its unit and digits in it")
	}
	if r.Units != nil {
		for code, u := range r.Units.Are {
			if u.kind != want {
				return fmt.Errorf("units: %d: %q is not a unit of %s", code, u.Text, want)
			}
		}
	}
	return nil
}

// UnmarshalYAML reads a regular expression.
func (r *Regexp) UnmarshalYAML(n ast.Node) (err error) {
	text := n.GetToken().Value
	if len(text) > mostPattern {
		return settings.At(n, errors.New("the expression is too long"))
	}
	r.Regexp, err = regexp.Compile(text)
	return settings.At(n, err)
}

// UnmarshalYAML reads the number of a unit.
func (c *Chain) UnmarshalYAML(n ast.Node) error {
	var plain struct {
		First int64 `yaml:"first"`
	}
	if err := yaml.NodeToValue(n, &plain, yaml.Strict()); err != nil {
		return err
	}
	c.First = strconv.FormatInt(plain.First, 10)
	return nil
}
