package record

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
)

// Rules says what is redacted. The zero value means the built-in rules.
type Rules struct {
	Off   []string `yaml:"off"`   // built-in rules that are not used
	Rules []Rule   `yaml:"rules"` // more rules, after the built-in ones
}

// Rule is one kind of secret. Where the pattern has a group, what the first one matches is the secret; otherwise all of it is.
type Rule struct {
	Name    string `yaml:"name"`    // lower-case letters, digits and hyphens
	Pattern string `yaml:"pattern"` // a regular expression of Go
}

// Names of rules that are more than a pattern.
const (
	assignment = "assignment" // also the value of a key that says that it is secret
	account    = "account"    // the value of a key that names a person or machine; no pattern
	credential = "credential" // what the agent itself sends in its headers; cannot be turned off
)

// edge is what stands before a token: nothing, no part of a word, or an escape of JSON within JSON, whose letter would
// otherwise look like one.
const edge = `(?:^|[^A-Za-z0-9]|\\+(?:[nrtbf]|u[0-9a-fA-F]{4}))`

// keyBlank is what separates the lines of a key: white space, escaped or not, and the line numbers that tools print.
const keyBlank = `(?:\s|\\+[nrt]|[0-9]+[\t:|→])*`

// secretWord is a name that says that its value is secret.
const secretWord = `(?:pass(?:word|wd|phrase|code)|secret|credentials?|(?:api|access|auth|private|secret|signing|encryption)[_-]?key|(?:access|auth|refresh|session|bearer|id|api|bot)[_-]?token|token)`

// builtinRule is a rule and what a text must have for it to match: one of these, whatever their case. Looking for them first
// makes redaction several times faster.
type builtinRule struct {
	Rule
	hints string // separated by spaces
}

// builtin are the rules that everyone gets, the most specific first: the first one that matches names the secret.
func builtin() []builtinRule {
	begin, end := `-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----`, `-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----`
	return []builtinRule{
		{Rule{"private-key", begin + `(?s:.*?)` + end + `|` + begin + keyBlank + `(?:[A-Za-z0-9+/=]{16,}` + keyBlank + `)+`}, "private"},
		{Rule{"jwt", edge + `(eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*)`}, "eyj"},
		{Rule{"model-key", edge + `((?:sk|pk|rk)-[A-Za-z0-9_-]{16,}|xai-[A-Za-z0-9]{20,}|gsk_[A-Za-z0-9]{20,}|hf_[A-Za-z0-9]{20,}|r8_[A-Za-z0-9]{20,}|nvapi-[A-Za-z0-9_-]{20,}|pplx-[A-Za-z0-9]{20,}|AIza[A-Za-z0-9_-]{35})`}, "sk- pk- rk- xai- gsk_ hf_ r8_ nvapi- pplx- aiza"},
		{Rule{"github-token", edge + `(gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,})`}, "ghp_ gho_ ghu_ ghs_ ghr_ github_pat_"},
		{Rule{"gitlab-token", edge + `(gl(?:pat|oas|dt|rt|cbt|ptt|ft|soat)-[A-Za-z0-9_.-]{20,})`}, "glpat- gloas- gldt- glrt- glcbt- glptt- glft- glsoat-"},
		{Rule{"aws-key", edge + `((?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16})`}, "akia asia abia acca"},
		{Rule{"slack-token", edge + `(xox[a-z]-[A-Za-z0-9-]{10,}|xapp-[A-Za-z0-9-]{10,})`}, "xox xapp-"},
		{Rule{"stripe-key", edge + `((?:sk|rk|pk|whsec)_(?:(?:live|test)_)?[A-Za-z0-9]{16,})`}, "sk_ rk_ pk_ whsec_"},
		{Rule{"package-token", edge + `(npm_[A-Za-z0-9]{20,}|pypi-[A-Za-z0-9_-]{20,}|dckr_pat_[A-Za-z0-9_-]{20,}|do[opr]_v1_[a-f0-9]{20,}|SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,})`}, "npm_ pypi- dckr_pat_ doo_v1_ dop_v1_ dor_v1_ sg."},
		{Rule{"bearer-token", `(?i)\bbearer\s+([A-Za-z0-9._~+/-]{16,}=*)`}, "bearer"},
		{Rule{"basic-auth", `(?i)authorization["'\\]*\s*[:=]\s*["'\\]*basic\s+([A-Za-z0-9+/]{8,}=*)`}, "basic"},
		{Rule{"url-password", `[A-Za-z][A-Za-z0-9+.-]*://[^\s/:@"'\\]*:([^\s/@"'\\]+)@`}, "://"},
		{Rule{assignment, `(?i)` + secretWord + `\\*["']?(?:=|\s*:\s*|\s*=\s*\\*["'])\\*["']?([A-Za-z0-9+/_.~!@#$%^&*?-]{6,}=*)`}, "pass secret credential key token"},
		{Rule{account, ""}, ""},
		{Rule{"email", edge + `([A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,})`}, "@"},
	}
}

// ParseRules reads rules from YAML; name is that of the file.
func ParseRules(data []byte, name string) (Rules, error) {
	var rules Rules
	err := yaml.NewDecoder(bytes.NewReader(data), yaml.Strict()).Decode(&rules)
	if err != nil && !errors.Is(err, io.EOF) {
		return rules, fmt.Errorf("%s: %s", name, yaml.FormatError(err, false, true))
	}
	if _, err := rules.compile(); err != nil {
		return rules, fmt.Errorf("%s: %w", name, err)
	}
	return rules, nil
}

// compiled is a rule in use.
type compiled struct {
	name    string
	pattern *regexp.Regexp // nil: the rule looks at keys only
	hints   []string       // lower case; a text without any of them cannot match; none: any text can
}

var ruleName = regexp.MustCompile(`^[a-z0-9-]+$`)

// compile checks the rules and returns those in use.
func (r Rules) compile() (all []compiled, err error) {
	seen := map[string]bool{credential: true}
	for _, b := range builtin() {
		seen[b.Name] = true
		if slices.Contains(r.Off, b.Name) {
			continue
		}
		c := compiled{name: b.Name, hints: strings.Fields(b.hints)}
		if b.Pattern != "" {
			c.pattern = regexp.MustCompile(b.Pattern)
		}
		all = append(all, c)
	}
	for _, name := range r.Off {
		if name == credential || !seen[name] {
			return nil, fmt.Errorf("off: %q is not a built-in rule that can be turned off", name)
		}
	}
	for i, rule := range r.Rules {
		c, err := rule.compile()
		switch {
		case err != nil:
			return nil, fmt.Errorf("rules[%d]: %w", i, err)
		case seen[rule.Name]:
			return nil, fmt.Errorf("rules[%d]: the name %q is in use", i, rule.Name)
		}
		seen[rule.Name] = true
		all = append(all, c)
	}
	return all, nil
}

func (r Rule) compile() (compiled, error) {
	if !ruleName.MatchString(r.Name) {
		return compiled{}, fmt.Errorf("name %q: want lower-case letters, digits and hyphens", r.Name)
	}
	pattern, err := regexp.Compile(r.Pattern)
	if err != nil {
		return compiled{}, fmt.Errorf("rule %s: %w", r.Name, err)
	}
	if pattern.MatchString("") {
		return compiled{}, fmt.Errorf("rule %s: the pattern matches nothing at all", r.Name)
	}
	for _, word := range protocol {
		if pattern.MatchString(word) {
			return compiled{}, fmt.Errorf("rule %s: the pattern matches %q, a word that the APIs themselves use", r.Name, word)
		}
	}
	return compiled{name: r.Name, pattern: pattern}, nil
}

// protocol are words that requests cannot be read without. A pattern that matches one would spoil every recording.
var protocol = []string{
	"body", "answer", "usage", "response_id", "problem", "prompt_tokens", "completion_tokens", "input_tokens", "output_tokens", "messages", "model", "role", "content", "system", "developer",
	"user", "assistant", "tool", "tools", "tool_calls", "tool_call_id", "type", "text", "function", "name", "arguments", "input", "tool_use",
	"tool_result", "tool_use_id", "max_tokens", "max_completion_tokens", "input_text", "output_text", "function_call", "function_call_output", "call_id",
}
