package endpoint

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"agentwatt/runner/internal/bench"
	"agentwatt/shared/clock"
)

// FuzzResponse: no bytes make the client panic or keep more than it read, and how they were split into reads changes
// nothing that is counted.
func FuzzResponse(f *testing.F) {
	for _, tc := range answerCases() {
		var all []byte
		for _, s := range tc.steps {
			all = append(all, s.Bytes...)
		}
		if len(all) < 4<<10 {
			f.Add(all, uint64(len(all)))
		}
	}
	c, err := New(Options{URL: "http://h/v1", Model: "m", Clock: clock.New()})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, response []byte, seed uint64) {
		rng := rand.New(rand.NewPCG(seed, 1))
		whole, _ := receive(t, c, response, func() int { return len(response) })
		single, _ := receive(t, c, response, func() int { return 1 })
		mixed, _ := receive(t, c, response, func() int { return 1 + rng.IntN(40) })
		if diff := cmp.Diff(whole, single); diff != "" {
			t.Errorf("byte by byte: (-whole +split)\n%s", diff)
		}
		if diff := cmp.Diff(whole, mixed); diff != "" {
			t.Errorf("in pieces: (-whole +split)\n%s", diff)
		}
	})
}

// FuzzForgotten: counting events that are like others while they come gives what reading all of them at the end gives,
// stamps included.
func FuzzForgotten(f *testing.F) {
	for _, tc := range answerCases() {
		var body []byte
		for _, s := range tc.steps {
			body = append(body, s.Bytes...)
		}
		if _, after, ok := bytes.Cut(body, []byte("\r\n\r\n")); ok && len(after) < 4<<10 {
			f.Add(after, uint64(len(after)))
			f.Add(bytes.Repeat([]byte(`data: {"choices":[{"delta":{"content":"\n"}}]}`+"\n\n"), 9), uint64(len(after)))
		}
	}
	f.Fuzz(func(t *testing.T, body []byte, seed uint64) {
		rng := rand.New(rand.NewPCG(seed, 2))
		got, all := new(capture), new(capture)
		for at := clock.Stamp(1); len(body) > 0; at++ {
			n := min(1+rng.IntN(120), len(body))
			piece := body[:n]
			body = body[n:]
			got.reads++
			all.reads++
			if err := got.take(bytes.Clone(piece), at); err != nil {
				t.Fatal(err)
			}
			all.kept = append(all.kept, piece...)
			all.mark(at)
		}
		a, b := newReply(), newReply()
		readStream(&a, got)
		readStream(&b, all)
		if diff := cmp.Diff(b, a); diff != "" {
			t.Errorf("%d of %d bytes kept: (-all +got)\n%s", len(got.kept), len(all.kept), diff)
		}
	})
}

// receive runs a response through capture and judgement in reads of size() bytes, as exchange.read does.
func receive(t *testing.T, c *Client, response []byte, size func() int) (counts, *capture) {
	t.Helper()
	got, total := new(capture), len(response)
	x := &outcome{writeBegin: 1, writeEnd: 1}
	for at := clock.Stamp(2); ; at++ {
		if len(response) == 0 {
			x.err = got.frame.eof()
			break
		}
		n := min(size(), len(response))
		done, err := got.add(bytes.Clone(response[:n]), receipt{at: at, user: at})
		response = response[n:]
		if err != nil {
			x.err = errors.Join(errProtocol, err)
		}
		if err != nil || done {
			break
		}
	}
	if len(got.kept) > total {
		t.Errorf("%d bytes are kept of a response of %d", len(got.kept), total)
	}
	r := newReply()
	c.conclude(&r, got, x)
	r.Done = got.last
	if r.Failure == "" {
		checkStamps(t, r)
	}
	if utf8.RuneCountInString(r.Detail) > maxDetail {
		t.Errorf("detail of %d characters", utf8.RuneCountInString(r.Detail))
	}
	return countsOf(r), got
}

// FuzzChunk compares the reader of chunks with encoding/json: both accept the same bytes and read the same from them.
func FuzzChunk(f *testing.F) {
	for _, s := range []string{
		`{"model":"m","choices":[{"delta":{"content":"a\n\u00e9"},"finish_reason":null}],"usage":null}`,
		`{"choices":[{"delta":{"reasoning":"x","tool_calls":[{"index":0,"function":{"name":"f","arguments":"{\"a\":1}"}}]},"finish_reason":"stop"}]}`,
		`{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2e0,"prompt_tokens_details":{"cached_tokens":0}}}`,
		`{"error":{"message":"m"}}`, `{"a":[1,-0.5e+7,true,false,null,{},[]]} `, `{"\u0061":1,}`, `[]`, `{"usage":[],"choices":{}}`,
		`{"a":"\ud83d\ude00\ud83d"}`, `{"a":01}`, `{"a":1}}`, `{"usage":{}}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var tools toolCalls
		got, ok := parseChunk(data, &tools)
		trimmed := bytes.TrimSpace(data)
		wantOK := json.Valid(data) && len(trimmed) > 0 && trimmed[0] == '{'
		if ok != wantOK && nesting(data) < maxDepth {
			t.Fatalf("accepted %v, encoding/json %v", ok, wantOK)
		}
		if !ok || !utf8.Valid(data) {
			return
		}
		compareUsage(t, data, got)
	})
}

func nesting(b []byte) int { return bytes.Count(b, []byte("{")) + bytes.Count(b, []byte("[")) }

// compareUsage reads the model and the usage by encoding/json, member by member since it also takes names in other cases.
func compareUsage(t *testing.T, data []byte, got chunk) {
	t.Helper()
	members := exact(data)
	var model string
	if json.Unmarshal(members["model"], &model) == nil && model != got.model.decode() && !duplicates(data) {
		t.Errorf("model: got %q, want %q", got.model.decode(), model)
	}
	u := exact(members["usage"])
	if u == nil || duplicates(data) {
		return
	}
	for name, n := range map[string]int{"prompt_tokens": got.usage.prompt, "completion_tokens": got.usage.output} {
		want := bench.Unknown
		var v float64
		if raw := u[name]; len(raw) > 0 && raw[0] >= '0' && raw[0] <= '9' && json.Unmarshal(raw, &v) == nil && v <= 1e15 {
			want = int(v)
		}
		if n != want {
			t.Errorf("%s: got %d, want %d", name, n, want)
		}
	}
}

func exact(data []byte) (m map[string]json.RawMessage) {
	if json.Unmarshal(data, &m) != nil {
		return nil
	}
	return m
}

// duplicates reports whether an object in data may name a member twice.
func duplicates(data []byte) bool {
	seen := map[string]int{}
	d := json.NewDecoder(bytes.NewReader(data))
	for {
		tok, err := d.Token()
		if err == io.EOF {
			break
		}
		if s, ok := tok.(string); ok {
			seen[s]++
		}
	}
	return seen["usage"] > 1 || seen["model"] > 1 || seen["prompt_tokens"] > 1 || seen["completion_tokens"] > 1
}

// FuzzText compares the size and the text of strings with encoding/json.
func FuzzText(f *testing.F) {
	for _, s := range []string{`"a"`, `"\n\t\\\/\""`, `"\u00e9\ud83d\ude00"`, `"\ud83dx\udc00"`, `"\ud83d\ud83d\ude00"`, "\"é\"", `"\x"`, "\"\n\""} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if !utf8.Valid(data) || len(data) == 0 || data[0] != '"' {
			return
		}
		var want string
		err := json.Unmarshal(data, &want)
		c := cursor{b: data}
		got := c.str()
		if ok := c.whole(); ok != (err == nil) {
			t.Fatalf("accepted %v, encoding/json says %v", ok, err)
		}
		if err == nil && (got.decode() != want || got.size != len(want)) {
			t.Errorf("got %q of %d bytes, want %q of %d", got.decode(), got.size, want, len(want))
		}
	})
}
