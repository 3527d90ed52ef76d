package settings

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml/ast"
)

type inner struct {
	Wait time.Duration `yaml:"wait"`
	Even even          `yaml:"even"`
}

type outer struct {
	Name  string `yaml:"name"`
	Count int    `yaml:"count"`
	Inner inner  `yaml:"inner"`
}

// even is a number that reads its own node.
type even int

func (e *even) UnmarshalYAML(n ast.Node) error {
	if s := n.GetToken().Value; len(s) != 1 || (s[0]-'0')%2 != 0 {
		return At(n, errors.New("not even"))
	}
	*e = even(n.GetToken().Value[0] - '0')
	return nil
}

func TestDecodeKeepsWhatIsNotNamed(t *testing.T) {
	before := outer{Name: "n", Count: 3, Inner: inner{Wait: time.Second, Even: 2}}
	for _, c := range []struct {
		text string
		want outer
	}{
		{"", before},
		{"# only a comment\n", before},
		{"inner:\n  # wait: 2s\n", before},
		{"count: 4\n", outer{"n", 4, before.Inner}},
		{"inner: {wait: 2s}\n", outer{"n", 3, inner{2 * time.Second, 2}}},
		{"inner: {even: 8}\nname: m\n", outer{"m", 3, inner{time.Second, 8}}},
	} {
		got := before
		if err := Decode([]byte(c.text), "f.yaml", &got); err != nil || got != c.want {
			t.Errorf("%q: got %+v, %v, want %+v", c.text, got, err, c.want)
		}
	}
}

func TestErrorsSayWhere(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"nam: x\n", `f.yaml:1:1: unknown field "nam"`},
		{"inner:\n  weight: 1s\n", `f.yaml:2:3: unknown field "weight"`},
		{"name: a\nname: b\n", `f.yaml:2:1: mapping key "name" already defined`},
		{"inner:\n  even: 3\n", "f.yaml:2:9: not even"},
		{"name: a\n---\nname: b\n", "f.yaml:3:5: a second document"},
		{"name: [\n", "f.yaml:1:7: "},
		{"count: many\n", "f.yaml:1:8: "},
		{"inner: !0 0\n", "f.yaml"},
	} {
		var v outer
		if err := Decode([]byte(c.text), "f.yaml", &v); err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%q: got %v, want %s...", c.text, err, c.want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add("name: a\ninner: {wait: 1s, even: 2}\n")
	f.Add("inner: !0 0")
	f.Fuzz(func(t *testing.T, text string) {
		var v outer
		if err := Decode([]byte(text), "f.yaml", &v); err != nil && !strings.HasPrefix(err.Error(), "f.yaml:") {
			t.Errorf("error without a file: %v", err)
		}
	})
}
