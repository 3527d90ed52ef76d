package snmp

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The built-in profiles name what the task names, and their OIDs are registered to somebody.
func TestBuiltinProfiles(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range Builtin() {
		if seen[p.Name] {
			t.Errorf("two profiles are called %q", p.Name)
		}
		seen[p.Name] = true
		if p.Title == "" || len(p.Match.Present) == 0 {
			t.Errorf("%s has no title, or nothing by which to confirm it", p.Name)
		}
		for _, l := range p.Levels {
			if l.Power.OID.set() && l.Power.OID == l.Energy.OID {
				t.Errorf("%s: %s: power and energy are one column", p.Name, l.Level)
			}
		}
	}
}

const minimal = `
profiles:
- name: acme
  source: ACME-MIB
  match: {objects: [1.3.6.1.4.1.99999]}
  levels:
  - level: inlet
    whole: true
    power: {oid: 1.3.6.1.4.1.99999.1, unit: 1 W}
`

// A mistake says file, line and column.
func TestProfilesReject(t *testing.T) {
	edit := func(old, new string) string { return strings.Replace(minimal, old, new, 1) }
	for want, text := range map[string]string{
		"f.yaml:9:18: ":                       edit("1.3.6.1.4.1.99999.1,", "1.3.six,"),
		"f.yaml:9:18: \"1.3.6.1.4.1.*x\"":     edit("1.3.6.1.4.1.99999.1,", "1.3.6.1.4.1.*x,"),
		"unit such as 10 W":                   edit("1 W", "1 V"),
		"is not one of power":                 edit("1 W", "1 Wh"),
		"unknown field \"colour\"":            edit("whole: true", "whole: true\n    colour: red"),
		"no source":                           edit("source: ACME-MIB", "title: x"),
		"no level is the whole":               edit("whole: true", "whole: false"),
		"level \"rack\" is not one of":        edit("inlet", "rack"),
		"name \"ACME!\"":                      edit("acme", "ACME!"),
		"match.objects is empty":              edit("[1.3.6.1.4.1.99999]", "[]"),
		"has neither power nor energy":        edit("power: {oid: 1.3.6.1.4.1.99999.1, unit: 1 W}", "apparent: {oid: 1.3.6.1.4.1.99999.1, unit: 1 VA}"),
		"does not say where it is from":       edit("source:", "period: {value: 1s}\n  source:"),
		"the accuracy is a fraction":          edit("source:", "accuracy: {value: 5, from: specification}\n  source:"),
		"f.yaml:3:7: the period":              edit("source:", "period: {value: -1s, from: specification}\n  source:"),
		"no profile under the key profiles":   "profiles: []",
		"a clue has neither":                  edit("levels:", "identity: {model: [{}]}\n  levels:"),
		"error parsing regexp":                edit("levels:", "identity: {model: [{like: '('}]}\n  levels:"),
		"where: wants an oid":                 edit("power:", "where: {is: [1]}\n    power:"),
		"units: 3: \"1 Wh\" is not a unit of": edit("unit: 1 W", "unit: 1 W, units: {oid: 1.3.6.1.4.1.99999.2, are: {3: 1 Wh}}"),
		"a text has its unit":                 edit("unit: 1 W", "unit: 1 W, text: W, digits: 1.3.6.1.4.1.99999.2"),
		"not a counter":                       edit("unit: 1 W", "unit: 1 W, wrap: 5"),
	} {
		_, err := ParseProfiles([]byte(text), "f.yaml")
		if err == nil || !strings.Contains(err.Error(), want) || !regexp.MustCompile(`^f\.yaml:\d+:\d+: `).MatchString(err.Error()) {
			t.Errorf("got %v, want f.yaml:line:column and %q", err, want)
		}
	}
	if _, err := ParseProfiles([]byte(minimal), "f.yaml"); err != nil {
		t.Errorf("a good profile: %v", err)
	}
}

func TestLongestPrefixWins(t *testing.T) {
	named := func(name string, objects ...string) *Profile {
		p := &Profile{Name: name}
		for _, o := range objects {
			p.Match.Objects = append(p.Match.Objects, Column{o})
		}
		return p
	}
	known := []*Profile{
		named("vendor", "1.3.6.1.4.1.318"), named("model", "1.3.6.1.4.1.9", "1.3.6.1.4.1.318.1.3.4"), named("other", "1.3.6.1.4.1.31"),
		named("equal", "1.3.6.1.4.1.318.1.3.4"),
	}
	var got []string
	for _, m := range matching(known, "1.3.6.1.4.1.318.1.3.4.6") {
		got = append(got, m.profile.Name+" "+m.prefix)
	}
	want := []string{"model 1.3.6.1.4.1.318.1.3.4", "equal 1.3.6.1.4.1.318.1.3.4", "vendor 1.3.6.1.4.1.318"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// A profile of the user comes before a built-in one, however short its prefix is.
func TestUserProfilesComeFirst(t *testing.T) {
	r := pdu(t)
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("a.yaml", strings.NewReplacer("99999.1,", "13742.6.5.2.3.1.4.*.6,", "99999", "13742").Replace(minimal))
	write("notes.txt", "not a profile")
	s := open(t, r, func(o *Options) { o.Profiles = []string{dir} })
	if got := shown(t, s)["snmp/pdu-a/inlet-1.1/power"]; s.layout.profile.Name != "acme" || got != "3700 W rack" {
		t.Errorf("profile %s, power %q; want acme, which reads another column", s.layout.profile.Name, got)
	}
	write("b.yaml", minimal)
	if _, err := LoadProfiles([]string{dir}); err == nil || !strings.Contains(err.Error(), `two are called "acme"`) {
		t.Errorf("two of one name: %v", err)
	}
	write("b.yaml", "profiles:\n- name: x\n  colour: red\n")
	if _, err := LoadProfiles([]string{dir}); err == nil || !strings.Contains(err.Error(), filepath.Join(dir, "b.yaml")+":3:3") {
		t.Errorf("a mistake in a folder: %v, want file and line", err)
	}
	if _, err := LoadProfiles([]string{t.TempDir()}); err == nil {
		t.Error("an empty folder: no error")
	}
}

// The worked example of docs/snmp.md is parsed, and reads the device that the page describes.
func TestExampleOfTheManual(t *testing.T) {
	page := read(t, "../../../docs/snmp.md")
	blocks := regexp.MustCompile("(?s)```(yaml|text)\n(profiles:|1\\.3\\.6)(.*?)```").FindAllStringSubmatch(page, -1)
	if len(blocks) != 2 {
		t.Fatalf("%d examples, want a profile and a walk", len(blocks))
	}
	example := map[string]string{}
	for _, b := range blocks {
		example[b[1]] = b[2] + b[3]
	}
	file := filepath.Join(t.TempDir(), "acme.yaml")
	if err := os.WriteFile(file, []byte(example["yaml"]), 0o600); err != nil {
		t.Fatal(err)
	}
	s := open(t, serve(t, example["text"]), func(o *Options) { o.Profiles = []string{file} })
	checkGolden(t, s, map[string]string{
		"inlet-1/power": "4321 W rack", "inlet-1/energy": "98700 Wh rack", "outlet-1/power": "120 W component"})
}

func FuzzParseProfiles(f *testing.F) {
	f.Add([]byte(minimal))
	f.Add([]byte(`profiles: [{name: a, source: s, match: {objects: [1.3.6.1.4.1.9], present: [.1], missing: [.2]},
  identity: {model: [{like: '(x)'}]}, chain: {first: 0}, period: {value: 1s, from: assumed}, accuracy: {value: .01, from: measured},
  levels: [{level: phase, whole: true, energy: {oid: .1.*.8, unit: 1 Wh, wrap: 9, units: {oid: .2, are: {3: kWh}}, digits: .3,
  valid: {oid: .4, is: [1]}, time: .5, absent: [7]}, where: {oid: .6, not: [0], missing: rest}}]}]`))
	f.Add([]byte("profiles: [{levels: [{power: {units: {are: {x: 1}}}}]}]"))
	f.Fuzz(func(t *testing.T, b []byte) {
		list, err := ParseProfiles(b, "f.yaml")
		if err != nil {
			return
		}
		for _, p := range list {
			if p == nil || p.check() != nil {
				t.Fatalf("a profile that is not one: %+v", p)
			}
			for _, l := range p.Levels {
				if l.check() != nil {
					t.Errorf("a level that is not one: %+v", l)
				}
			}
			_ = pduTable([]*Profile{p})
		}
	})
}
