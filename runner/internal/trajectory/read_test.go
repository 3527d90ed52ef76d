package trajectory

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	header = `{"agentwatt_trajectories":1,"name":"n","license":"l","source":"s"}` + "\n"
	sys    = `{"role":"system","content":"be brief"}`
	user   = `{"role":"user","content":"go"}`
	call   = `{"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"bash","arguments":"{}"}}]}`
	result = `{"role":"tool","tool_call_id":"c1","content":"ok"}`
	tools  = `[{"type":"function","function":{"name":"bash"}}]`
)

// line makes a native row.
func line(id string, turn int, messages string, rest ...string) string {
	return fmt.Sprintf(`{"trajectory":%q,"turn":%d,"messages":[%s]%s}`, id, turn, messages, strings.Join(rest, "")) + "\n"
}

func TestRead(t *testing.T) {
	in := header +
		line("a", 0, sys+" , "+user, `,"origin":"x:y","tools":`+tools+`,"prompt_tokens":7,"output_tokens":3,"max_output_tokens":9,"calls":[{"tool":"bash","seconds":0.37}]`) +
		"\n" + // a blank line
		line("a", 1, call+","+result, `,"extra":{"k":[1, 2]}`) +
		line("a", 2, `{"role":"assistant","content":"hm <b>\u00e9\/ 1.50"},`+user, `,"tools":null`) +
		line("b", 0, `{"role":"user","content":[{"type":"image_url","image_url":{"url":"x"}},{"text":"\n look","type":"text"}]}`)
	d, err := Read(strings.NewReader(in), "f")
	if err != nil {
		t.Fatal(err)
	}
	want := &Trajectory{ID: "a", Origin: "x:y"}
	m := sys + "," + user
	want.Turns = append(want.Turns, Turn{End: len(m), Tools: json.RawMessage(tools), Prompt: 7, Output: 3, MaxOutput: 9,
		Calls: []Call{{"bash", 370 * time.Millisecond}}})
	m += "," + call + "," + result
	want.Turns = append(want.Turns, Turn{End: len(m), Tools: json.RawMessage(tools), Extra: json.RawMessage(`{"k":[1,2]}`)})
	m += `,{"role":"assistant","content":"hm <b>\u00e9\/ 1.50"},` + user
	want.Turns = append(want.Turns, Turn{End: len(m)})
	want.Messages = []byte(m)
	want.SaltBefore = strings.Index(m, "be brief")
	want.SaltAfter = strings.Index(m, "go")
	if diff := cmp.Diff(want, d.Trajectories[0]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	b := d.Trajectories[1]
	if at := bytes.Index(b.Messages, []byte(`\n look`)); b.SaltBefore != at || b.SaltAfter != at {
		t.Errorf("salt in parts: got %d and %d, want %d", b.SaltBefore, b.SaltAfter, at)
	}
	if got, want := []string{d.Name, d.License, d.Source}, []string{"n", "l", "s"}; !cmp.Equal(got, want) {
		t.Errorf("header: got %v, want %v", got, want)
	}
	var out bytes.Buffer
	if err := Write(&out, d); err != nil {
		t.Fatal(err)
	}
	again, err := Read(&out, "again")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(d.Trajectories, again.Trajectories); diff != "" {
		t.Errorf("written and read again:\n%s", diff)
	}
}

func TestReadErrors(t *testing.T) {
	good := line("a", 0, sys+","+user)
	withCall := line("a", 0, user+","+call+","+result)
	for name, c := range map[string]struct{ in, want string }{
		"empty":              {"", "f:1: the file is empty"},
		"no header":          {good, "f:1: not a trajectory file"},
		"version":            {`{"agentwatt_trajectories":2}` + "\n" + good, "f:1: agentwatt_trajectories is 2: this program reads version 1"},
		"header field":       {`{"agentwatt_trajectories":1,"nmae":"x"}` + "\n", "f:1: nmae is not a field of the header"},
		"nothing":            {header, "f:1: there is no trajectory"},
		"not JSON":           {header + good + `{"trajectory":"a",}` + "\n", "f:3: not JSON: invalid character '}'"},
		"not an object":      {header + "[1]\n", "f:2: the row is an array, not an object"},
		"not UTF-8":          {header + line("a", 0, "{\"role\":\"user\",\"content\":\"\xff\"}"), "f:2: not UTF-8"},
		"twice":              {header + line("a", 0, `{"role":"user","content":"x","content":"y"}`), `f:2: trajectory "a", turn 0: message 0: has the key "content" twice`},
		"no id":              {header + `{"turn":0,"messages":[]}`, "f:2: trajectory is missing or empty"},
		"row field":          {header + line("a", 0, user, `,"tool":[]`), `f:2: trajectory "a", turn 0: tool is not a field of a row`},
		"turn":               {header + good + line("a", 2, user), "f:3: trajectory \"a\", turn 1: turn is 2, want 1"},
		"first turn":         {header + line("a", 1, user), "f:2: trajectory \"a\", turn 0: turn is 1, want 0"},
		"apart":              {header + good + line("b", 0, user) + line("a", 1, user), `f:4: trajectory "a": already began in line 2`},
		"no messages":        {header + `{"trajectory":"a","turn":0}`, "f:2: trajectory \"a\", turn 0: messages is missing"},
		"no message":         {header + line("a", 0, ""), "the turn has no messages"},
		"role":               {header + line("a", 0, `{"role":"robot","content":"x"}`), `message 0: unknown role "robot"`},
		"role of other case": {header + line("a", 0, `{"Role":"user","content":"x"}`), `message 0: its role is missing, not a string`},
		"no content":         {header + line("a", 0, `{"role":"user"}`), "message 0: role user: it has no content"},
		"content":            {header + line("a", 0, `{"role":"user","content":5}`), "content is a number, not a string or an array of parts"},
		"no text":            {header + line("a", 0, `{"role":"user","content":[]}`), "no message with text"},
		"only system":        {header + line("a", 0, sys), "no message with text, other than the system prompt"},
		"missing result":     {header + good + line("a", 1, call+","+user), `f:3: trajectory "a", turn 1: message 3: tool result missing for tool call "c1"`},
		"missing at the end": {header + line("a", 0, user+","+call), `tool result missing for tool call "c1"`},
		"result of no call":  {header + line("a", 0, user+","+result), `tool result for "c1": there is no such tool call`},
		"result twice":       {header + withCall + line("a", 1, result), `tool result for "c1": there is no such tool call without a result`},
		"result without id":  {header + line("a", 0, user+`,{"role":"tool","content":"x"}`), "its tool_call_id is missing, not a string"},
		"arguments":          {header + line("a", 0, user+","+strings.Replace(call, `"{}"`, `{}`, 1)), `tool call "c1": its arguments must be a string that holds JSON: it is an object`},
		"ids of calls": {header + line("a", 0, user+`,{"role":"assistant","tool_calls":[{"id":"x","function":{"name":"f","arguments":""}},{"id":"x","function":{"name":"f","arguments":""}}]}`),
			`tool call 1: its id "x" is empty or not unique`},
		"assistant last": {header + line("a", 0, user+`,{"role":"assistant","content":"x"}`), "the last message of the turn is an answer"},
		"tools":          {header + line("a", 0, user, `,"tools":[{"type":"function"}]`), "tools: tool 0: its function is missing, not an object"},
		"tool count":     {header + line("a", 0, user, `,"prompt_tokens":-1`), "prompt_tokens is -1, not a count"},
		"seconds":        {header + line("a", 0, user, `,"calls":[{"tool":"x","seconds":-1}]`), "calls entry 0: seconds is -1, outside"},
		"calls at end":   {header + line("a", 0, user, `,"calls":[{"tool":"x","seconds":1}]`), "f:2: trajectory \"a\": tool calls with a duration follow the last turn"},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := Read(strings.NewReader(c.in), "f")
			if d != nil || err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v\nwant an error with %q", err, c.want)
			}
			var syntax *SyntaxError
			if !errors.As(err, &syntax) || syntax.File != "f" || syntax.Line == 0 {
				t.Errorf("%v is no *SyntaxError with file and line", err)
			}
		})
	}
}

// One error per trajectory, the good ones untouched, and an end to it.
func TestReadCollectsErrors(t *testing.T) {
	in := header
	for i := range 100 {
		id := fmt.Sprint("t", i)
		in += line(id, 0, user)
		if i%2 == 1 {
			in += line(id, 5, user) + line(id, 6, user)
		}
	}
	var good int
	_, err := Stream(strings.NewReader(in), "f", func(*Trajectory) error { good++; return nil })
	if got, want := strings.Count(err.Error(), "f:"), maxErrors; got != want {
		t.Errorf("errors: got %d, want %d in\n%v", got, want, err)
	}
	if good != maxErrors {
		t.Errorf("good trajectories before reading stopped: got %d, want %d", good, maxErrors)
	}
	if !strings.HasPrefix(err.Error(), `f:4: trajectory "t1", turn 1: turn is 5, want 1`) {
		t.Errorf("first error: %v", err)
	}
}

func TestReadLimits(t *testing.T) {
	in := header + line("a", 0, user) + line("b", 0, `{"role":"user","content":"`+strings.Repeat("x", 200_000)+`"}`) + line("c", 0, user)
	if d, err := Read(strings.NewReader(in), "f"); err != nil || len(d.Trajectories) != 3 {
		t.Fatalf("a line longer than any buffer: %v", err)
	}
	_, err := Limits{Line: 100_000}.Read(strings.NewReader(in), "f")
	if err == nil || !strings.HasPrefix(err.Error(), "f:3: line of 2000") || strings.Contains(err.Error(), "\n") {
		t.Errorf("line limit: %v", err)
	}
	_, err = Limits{Trajectory: 100_000}.Read(strings.NewReader(in), "f")
	if err == nil || !strings.Contains(err.Error(), "longer than the limit of 100000 bytes") {
		t.Errorf("trajectory limit: %v", err)
	}
}

func TestReadFailingInput(t *testing.T) {
	broken := errors.New("disk on fire")
	in := io.MultiReader(strings.NewReader(header+line("a", 0, user)+`{"traj`), errReader{broken})
	if _, err := Read(in, "f"); !errors.Is(err, broken) || !strings.Contains(err.Error(), "read f, line 3") {
		t.Errorf("got %v", err)
	}
	stop := errors.New("enough")
	_, err := Stream(strings.NewReader(header+line("a", 0, user)+line("b", 0, user)), "f", func(*Trajectory) error { return stop })
	if !errors.Is(err, stop) {
		t.Errorf("error of the consumer: got %v", err)
	}
}

type errReader struct{ error }

func (e errReader) Read([]byte) (int, error) { return 0, e.error }

func FuzzRead(f *testing.F) {
	f.Add([]byte(header + line("a", 0, sys+","+user, `,"tools":`+tools, `,"calls":[{"tool":"x","seconds":0.1}]`) + line("a", 1, call+","+result)))
	f.Add([]byte(header + line("a", 0, user) + "\n\r\n" + line("b", 0, `{"role":"user","content":[{"type":"text","text":"\""}]}`, `,"extra":{"a":1e9}`)))
	f.Add([]byte("\xef\xbb\xbf" + header + `{"trajectory":"\ud800","turn":0,"messages":[{"content":"\\","role":"user"}]}`))
	f.Add([]byte(treeFile))
	f.Fuzz(func(t *testing.T, in []byte) {
		d, err := Limits{Line: 1 << 16}.Read(bytes.NewReader(in), "f")
		checkParsed(t, d, err)
	})
}

// checkParsed checks what holds for anything that was read without an error, and for any error.
func checkParsed(t *testing.T, d *Dataset, err error) {
	if err != nil {
		if !strings.HasPrefix(err.Error(), "f:") {
			t.Fatalf("error without a place: %v", err)
		}
		return
	}
	for _, tr := range d.Trajectories {
		if err := tr.checkTree(defaultTrajectory); err != nil {
			t.Fatal(err)
		}
		for i, c := range tr.All() {
			for k := range c.Turns {
				for _, after := range []bool{false, true} {
					if got := sent(Play{Trajectory: c, Salt: "salt ", After: after}, k); !json.Valid(got) {
						t.Fatalf("conversation %d, turn %d: not JSON: %q", i, k, got)
					}
				}
			}
		}
	}
	var out bytes.Buffer
	if err := Write(&out, d); err != nil {
		t.Fatal(err)
	}
	again, err := Read(bytes.NewReader(out.Bytes()), "written")
	if err != nil {
		if len(d.Trajectories) == 0 {
			return
		}
		t.Fatalf("what was written cannot be read: %v\n%s", err, out.Bytes())
	}
	if diff := cmp.Diff(d.Trajectories, again.Trajectories); diff != "" {
		t.Fatalf("round trip:\n%s", diff)
	}
}

// What follows the first error of a trajectory is not reported: it is mostly a consequence.
func TestReadFirstErrorOnly(t *testing.T) {
	in := header + line("a", 0, user) + line("a", 7, user) + "{broken\n" + line("a", 9, user) + line("b", 0, user) + line("b", 1, sys+","+call)
	_, err := Read(strings.NewReader(in), "f")
	want := "f:3: trajectory \"a\", turn 1: turn is 7, want 1\n" + `f:7: trajectory "b", turn 1: tool result missing for tool call "c1"`
	if err == nil || err.Error() != want {
		t.Errorf("got %v\nwant %s", err, want)
	}
}
