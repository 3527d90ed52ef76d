package record

import (
	"bytes"
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func redactor(t testing.TB, rules Rules) *Redactor {
	t.Helper()
	r, err := NewRedactor(rules)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

var digits = regexp.MustCompile(`:[0-9a-f]{8}\]`)

func TestRedactor(t *testing.T) {
	token := "abcdEFGH0123456789abcdEFGH0123456789"
	tests := []struct{ in, want string }{
		{`"nothing to see"`, `"nothing to see"`},
		{`{ "a" : "key sk-ant-` + token + ` x" }`, `{ "a" : "key [redacted:model-key] x" }`},
		{`"task-` + token + `"`, `"task-` + token + `"`},
		{`"a\nsk-` + token + `\u00e9"`, `"a\n[redacted:model-key]\u00e9"`},
		{`"{\"a\":\"x\\nsk-` + token + `\"}"`, `"{\"a\":\"x\\n[redacted:model-key]\"}"`},
		{`"ghp_` + token + ` AKIA0123456789ABCDEF"`, `"[redacted:github-token] [redacted:aws-key]"`},
		{`"Authorization: Bearer ` + token + `"`, `"Authorization: Bearer [redacted:bearer-token]"`},
		{`"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.sig-1"`, `"[redacted:jwt]"`},
		{`"-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----\nx"`, `"[redacted:private-key]\nx"`},
		{`"-----BEGIN PRIVATE KEY-----\n` + token + `\n` + token + `\nand no end"`, `"[redacted:private-key]and no end"`},
		{`"DB_PASSWORD=hunter2hunter2 next"`, `"DB_PASSWORD=[redacted:assignment] next"`},
		{`"{\"api_key\": \"0123456789\"}"`, `"{\"api_key\": \"[redacted:assignment]\"}"`},
		{`"interface { password: string; token = get() }"`, `"interface { password: string; token = get() }"`},
		{`{"password":"a b","apiKey":"","max_tokens":5,"token":{"type":"string"}}`, `{"password":"[redacted:assignment]","apiKey":"","max_tokens":5,"token":{"type":"string"}}`},
		{`{"metadata":{"user_id":"u1"},"user":"u1"}`, `{"metadata":{"user_id":"[redacted:account]"},"user":"u1"}`},
		{`"postgres://me:pw@host/db git@example.com"`, `"postgres://me:[redacted:url-password]@host/db [redacted:email]"`},
		{`{"sk-` + token + `":1}`, `{"[redacted:model-key]":1}`},
		{`"my-own-credential in a dump"`, `"[redacted:credential] in a dump"`},
		{`"ACME-77 and ACME-78"`, `"[redacted:customer] and [redacted:customer]"`},
	}
	r := redactor(t, Rules{Rules: []Rule{{"customer", `ACME-\d+`}}})
	r.Hide("my-own-credential")
	r.Hide("EMPTY")
	for _, tt := range tests {
		got, err := r.JSON([]byte(tt.in))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tt.want, digits.ReplaceAllString(string(got), "]")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.in, diff)
		}
	}
	if _, err := r.JSON([]byte(`{"a":`)); err == nil {
		t.Error("what is not JSON gave no error")
	}
}

// The same secret gives the same placeholder wherever it is, another secret another one, and another redactor others.
func TestRedactorPlaceholders(t *testing.T) {
	one, two := `"password=first-secret"`, `{"x":"secret: 'first-secret'"}`
	r := redactor(t, Rules{})
	place := func(r *Redactor, in string) string {
		out, err := r.JSON([]byte(in))
		if err != nil {
			t.Fatal(err)
		}
		return placeholder.FindString(string(out))
	}
	if a, b := place(r, one), place(r, two); a == "" || a != b {
		t.Errorf("one secret, two placeholders: %q and %q", a, b)
	}
	if a, b := place(r, one), place(r, `"password=other-secret"`); a == b {
		t.Errorf("two secrets, one placeholder: %q", a)
	}
	if a, b := place(r, one), place(redactor(t, Rules{}), one); a == b {
		t.Errorf("two recordings, one placeholder: %q", a)
	}
}

func TestParseRules(t *testing.T) {
	good := "off: [email]\nrules:\n  - name: host\n    pattern: '[a-z]+\\.corp\\.example'\n"
	rules, err := ParseRules([]byte(good), "r.yaml")
	if err != nil {
		t.Fatal(err)
	}
	got, err := redactor(t, rules).JSON([]byte(`"me@example.com db.corp.example"`))
	if want := `"me@example.com [redacted:host]"`; err != nil || digits.ReplaceAllString(string(got), "]") != want {
		t.Errorf("got %s, want %s (%v)", got, want, err)
	}
	for in, want := range map[string]string{
		"rule: []":                                                 `unknown field "rule"`,
		"off: [nonsense]":                                          `"nonsense" is not a built-in rule`,
		"off: [credential]":                                        `"credential" is not a built-in rule that can be turned off`,
		"rules: [{name: A, pattern: x}]":                           "want lower-case letters",
		"rules: [{name: a, pattern: '('}]":                         "rule a: error parsing regexp",
		"rules: [{name: a, pattern: 'x*'}]":                        "matches nothing at all",
		"rules: [{name: a, pattern: 'use.'}]":                      `matches "user", a word that the APIs themselves use`,
		"rules: [{name: email, pattern: 'xyz'}]":                   `the name "email" is in use`,
		"rules: [{name: a, pattern: xyz}, {name: a, pattern: q1}]": `the name "a" is in use`,
	} {
		if _, err := ParseRules([]byte(in), "r.yaml"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", in, err, want)
		}
	}
}

// The fields of the journal must not look secret.
func TestJournalFieldsAreKept(t *testing.T) {
	want, err := encode(entrySaid{
		Path: "/v1/chat/completions", Model: "m", ResponseID: "r", Finish: "stop", Usage: map[string]any{"prompt_tokens": 1}, Problem: problemBroken,
		Body: json.RawMessage(`{"model":"m","max_tokens":1}`), Answer: "a",
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := redactor(t, Rules{}).JSON(want)
	if diff := cmp.Diff(string(want), string(got)); diff != "" || err != nil {
		t.Errorf("error %v, (-want +got):\n%s", err, diff)
	}
}

// docs/record.md names every rule, and its example can be used.
func TestRulesAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../../../docs/record.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range append(builtin(), builtinRule{Rule: Rule{Name: credential}}) {
		if !bytes.Contains(page, []byte("`"+b.Name+"`")) {
			t.Errorf("docs/record.md does not say what the rule %s replaces", b.Name)
		}
	}
	example := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindSubmatch(page)
	if example == nil {
		t.Fatal("docs/record.md has no example of rules")
	}
	rules, err := ParseRules(example[1], "docs/record.md")
	if err != nil {
		t.Fatal(err)
	}
	got, err := redactor(t, rules).JSON([]byte(`"customer 123456 at x.corp.example"`))
	if want := `"customer [redacted:customer] at [redacted:host]"`; err != nil || digits.ReplaceAllString(string(got), "]") != want {
		t.Errorf("got %s, want %s (%v)", got, want, err)
	}
}

func FuzzRedactor(f *testing.F) {
	for _, seed := range []string{`{"a":"password=x1y2z3w4"}`, `["\u0041KIA0123456789ABCDEF\ud83d\ude00 a@b.cd","\ud800\\"]`, `{"secret":"[redacted:jwt:01234567]x"}`, `"x"`} {
		f.Add(seed, "before ", ` "after`)
	}
	const secret = "sk-proj-0123456789abcdefghij"
	f.Fuzz(func(t *testing.T, value, before, after string) {
		r := redactor(t, Rules{})
		if json.Valid([]byte(value)) {
			checkRedacted(t, r, []byte(value))
		}
		text, err := json.Marshal(map[string]string{"text": before + " " + secret + " " + after})
		if err != nil {
			t.Fatal(err)
		}
		if out := checkRedacted(t, r, text); strings.Contains(string(out), secret) {
			t.Errorf("the secret is still there: %s", out)
		}
	})
}

// checkRedacted checks what holds for all input: valid JSON comes out, and it does not change again.
func checkRedacted(t *testing.T, r *Redactor, in []byte) []byte {
	t.Helper()
	before := string(in)
	out, err := r.JSON(in)
	if err != nil || !json.Valid(out) {
		t.Fatalf("%s became %s, error %v", in, out, err)
	}
	if string(in) != before {
		t.Fatalf("the input was changed to %s", in)
	}
	again, err := r.JSON(out)
	if err != nil || string(again) != string(out) {
		t.Fatalf("redacted again:\n%s\nfirst:\n%s\n%v", again, out, err)
	}
	return out
}

// A request of a long session, seen for the first time and again.
func BenchmarkRedactor(b *testing.B) {
	var messages []string
	for i := range 400 {
		messages = append(messages, strings.Repeat("func (r *Redactor) find(text string) (spans []span) { // line\n", 16)+strings.Repeat("x", i))
	}
	body, err := json.Marshal(messages)
	if err != nil {
		b.Fatal(err)
	}
	for _, again := range []bool{false, true} {
		b.Run(map[bool]string{false: "new", true: "again"}[again], func(b *testing.B) {
			r := redactor(b, Rules{})
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				if !again {
					clear(r.clean)
				}
				if _, err := r.JSON(body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
