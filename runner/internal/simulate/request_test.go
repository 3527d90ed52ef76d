package simulate

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestLengthRules(t *testing.T) {
	p := plain()
	p.MaxContext = 1 << 24 // beyond every natural length
	ask := func(i int, options string) (length int, finish string) {
		t.Helper()
		r, err := parseRequest(fmt.Appendf(nil, `{"model":"m","messages":[{"role":"user","content":"question %d"}]%s}`, i, options))
		if err != nil {
			t.Fatal(err)
		}
		q, err := r.sequence(p)
		if err != nil {
			t.Fatal(err)
		}
		return q.length, newAnswer(r, q).finish
	}
	var short, long int
	for i := range 2000 {
		natural, finish := ask(i, "")
		if finish != "stop" {
			t.Errorf("a natural end is called %q", finish)
		}
		if natural < lengthMedian {
			short++
		} else if natural > 2000 {
			long++
		}
		for options, want := range map[string]int{
			`,"max_tokens":100`:                           min(natural, 100),
			`,"max_tokens":100,"min_tokens":60`:           min(max(natural, 60), 100),
			`,"max_tokens":100,"min_tokens":100`:          100,
			`,"max_tokens":100,"ignore_eos":true`:         100,
			`,"max_completion_tokens":90,"max_tokens":70`: min(natural, 90),
		} {
			got, finish := ask(i, options)
			cap := 100
			if strings.Contains(options, "90") {
				cap = 90
			}
			if got != want || (finish == "length") != (want == cap) {
				t.Fatalf("%s after a natural %d: %d tokens, %q; want %d", options, natural, got, finish, want)
			}
		}
	}
	if short < 930 || short > 1070 || long < 70 || long > 130 {
		t.Errorf("of 2000 natural lengths %d are below the median and %d above 2000, want about 1000 and 100", short, long)
	}
}

// The prompt is counted on the bytes as they came, whatever they are.
func TestPromptIsCountedInBytesOfTheRequest(t *testing.T) {
	tests := []struct {
		body   string
		tokens int
	}{
		{`{"messages":[{}]}`, 1},
		{`{"messages":[{},{}]}`, 2},
		{`{"messages":[{} , {}]}`, 2},
		{`{"messages":[{ } , {  }]}`, 3},
		{`{"messages": [ {} ] }`, 1},
		{`{"messages":[{}],"tools":null}`, 1},
		{`{"messages":[{}],"tools":[]}`, 1},
		{`{"messages":[{}],"tools":[{"function":{"name":"f"}}]}`, (2 + 27 + 3) / 4},
		{`{"tools":[{"function":{"name":"f"}}],"messages":[{"content":"` + "\u00e9" + `"}]}`, (16 + 27 + 3) / 4},
	}
	for _, tt := range tests {
		r, err := parseRequest([]byte(tt.body))
		if err != nil {
			t.Errorf("%s: %v", tt.body, err)
			continue
		}
		q, err := r.sequence(plain())
		if err != nil || q.prompt != tt.tokens {
			t.Errorf("%s: %d tokens, error %v; want %d", tt.body, q.prompt, err, tt.tokens)
		}
	}
}

func FuzzParseRequest(f *testing.F) {
	for _, s := range []string{
		`{"model":"m","messages":[{"role":"user","content":"hi"}],"stream":true,"max_tokens":5}`,
		`{"messages":[{}],"tools":[{"function":{"name":"f"}}],"tool_choice":"none"}`,
		`{"messages":[ { } ],"tools":null,"min_tokens":3,"max_completion_tokens":9,"ignore_eos":true}`,
		`{"messages":"x"}`, `{"messages":[]}`, `[]`, `null`, ``, `{"messages":[{}],"n":2}`,
		`{"messages":[{}],"stream_options":{"include_usage":true}}`,
	} {
		f.Add([]byte(s))
	}
	p := plain()
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := parseRequest(body)
		if err == nil {
			var q *sequence
			if q, err = r.sequence(p); err == nil {
				checkSequence(t, p, r, q, len(body))
				return
			}
		}
		var refused *refusal
		if !errors.As(err, &refused) || refused.Status < 400 || refused.Message == "" || refused.Code == "" {
			t.Errorf("%q: error %v is no refusal", body, err)
		}
	})
}

// checkSequence checks what holds for every request that is accepted.
func checkSequence(t *testing.T, p Params, r *chatRequest, q *sequence, body int) {
	switch {
	case q.prompt < 1 || (q.prompt-1)*BytesPerToken >= body:
		t.Errorf("%d prompt tokens in a body of %d bytes", q.prompt, body)
	case q.length < 1 || q.length > q.limit || q.prompt+q.limit > p.MaxContext:
		t.Errorf("prompt %d, length %d, limit %d", q.prompt, q.length, q.limit)
	case r.IgnoreEOS && q.length != q.limit:
		t.Errorf("a forced length of %d became %d", q.limit, q.length)
	case len(q.chain) > q.prompt/p.BlockTokens:
		t.Errorf("%d blocks in %d tokens", len(q.chain), q.prompt)
	}
}
