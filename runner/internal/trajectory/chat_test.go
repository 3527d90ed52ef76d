package trajectory

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Real recordings hold what a chat completions server refuses. What becomes of it, and the note that says so.
func TestChatIrregular(t *testing.T) {
	const (
		u  = `{"role":"user","content":"u"}`
		a  = `{"role":"assistant","content":"a"}`
		ac = `{"role":"assistant","content":"a","tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{}"}}]}`
		a2 = `{"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{}"}},{"id":"c2","type":"function","function":{"name":"g","arguments":"{}"}}]}`
		r1 = `{"role":"tool","tool_call_id":"c1","content":"r1"}`
		r2 = `{"role":"tool","tool_call_id":"c2","content":"r2"}`
	)
	for name, c := range map[string]struct {
		in    []string
		turns int
		last  string // messages of the last request
		note  string // empty: only those on what is not recorded
	}{
		"regular":              {[]string{u, ac, r1, a}, 2, "user:u assistant(c1):a tool(c1):r1", ""},
		"results in any order": {[]string{u, a2, r2, r1, a}, 2, "user:u assistant(c1 c2) tool(c2):r2 tool(c1):r1", ""},
		"ends with a call":     {[]string{u, ac}, 1, "user:u", ""},
		"ends with a result":   {[]string{u, ac, r1}, 1, "user:u", "messages after the last answer"},
		"result missing":       {[]string{u, ac, u, a}, 2, "user:u assistant(c1):a tool(c1): user:u", "a tool call without a result"},
		"one result missing":   {[]string{u, a2, r2, a}, 2, "user:u assistant(c1 c2) tool(c2):r2 tool(c1):", "a tool call without a result"},
		"call, then answer":    {[]string{u, ac, a}, 2, "user:u assistant(c1):a tool(c1):", "a tool call without a result"},
		"result without call":  {[]string{u, r1, a}, 1, "user:u user:r1", "a tool result without its tool call"},
		"result of another":    {[]string{u, ac, r2, r1, a}, 2, "user:u assistant(c1):a tool(c1):r1 user:r2", "a tool result without its tool call"},
		"result twice":         {[]string{u, ac, r1, r1, a}, 2, "user:u assistant(c1):a tool(c1):r1 user:r1", "a tool result without its tool call"},
		"result without id":    {[]string{u, ac, `{"role":"tool","content":"r"}`, a}, 2, "user:u assistant(c1):a tool(c1):r", "a tool result without an id"},
		"answers in a row":     {[]string{u, a, a, u, a}, 2, "user:u assistant:a assistant:a user:u", "an answer to no question"},
		"answer first":         {[]string{a, u, a}, 1, "assistant:a user:u", "an answer to no question"},
		"only system":          {[]string{sys, a, u, a}, 1, "system:be brief assistant:a user:u", "an answer to no question"},
		"empty":                {[]string{`{"role":"user","content":""}`, a}, 1, "user:", ""},
		"null content":         {[]string{`{"role":"user","content":null}`, a}, 1, "user:", "a message without content"},
		"no content":           {[]string{u, `{"role":"assistant"}`, u, a}, 2, "user:u assistant: user:u", "a message without content"},
		"empty calls":          {[]string{u, `{"role":"assistant","content":"a","tool_calls":[]}`, u, a}, 2, "user:u assistant:a user:u", ""},
		"ids": {[]string{u, `{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":"{}"}},{"id":"","function":{"name":"f","arguments":"{}"}}]}`,
			`{"role":"tool","content":"r1"}`, `{"role":"tool","content":"r2"}`, a}, 2, "user:u assistant(call_1_0 call_1_1) tool(call_1_0):r1 tool(call_1_1):r2", "a tool call without an id"},
		"same ids": {[]string{u, `{"role":"assistant","tool_calls":[{"id":"x","function":{"name":"f","arguments":"{}"}},{"id":"x","function":{"name":"f","arguments":"{}"}}]}`,
			`{"role":"tool","tool_call_id":"x","content":"r1"}`, `{"role":"tool","tool_call_id":"x","content":"r2"}`, a}, 2, "user:u assistant(x call_1_1) tool(x):r1 tool(call_1_1):r2", "a tool call without an id"},
		"arguments": {[]string{u, `{"role":"assistant","tool_calls":[{"id":"x","function":{"name":"f","arguments":{"a":1}}}]}`,
			`{"role":"tool","tool_call_id":"x","content":"r"}`, a}, 2, "user:u assistant(x) tool(x):r", "tool call arguments"},
		"flat call": {[]string{u, `{"role":"assistant","tool_calls":[{"id":"x","name":"f","arguments":"{}"}]}`,
			`{"role":"tool","tool_call_id":"x","content":"r"}`, a}, 2, "user:u assistant(x) tool(x):r", ""},
	} {
		t.Run(name, func(t *testing.T) {
			d, report := importText(t, "x.json", fmt.Sprintf(`[{"id":"s","messages":[%s]}]`, strings.Join(c.in, ",")))
			tr := d.Trajectories[0]
			rs := requests(t, tr)
			if got := strings.Join(brief(rs[len(rs)-1]), " "); len(rs) != c.turns || got != c.last {
				t.Errorf("%d turns, the last asks\ngot  %s\nwant %s", len(rs), got, c.last)
			}
			var other []string
			for _, n := range report.Notes {
				if !strings.Contains(n.What, "not recorded") {
					other = append(other, n.What)
				}
			}
			if c.note == "" && len(other) > 0 || c.note != "" && noted(report, c.note) == 0 {
				t.Errorf("notes %q, want %q", other, c.note)
			}
		})
	}
}

// What cannot be sent in any form is an error, and the rest of the file is imported.
func TestChatRefused(t *testing.T) {
	for name, c := range map[string]struct{ message, want string }{
		"part":      {`{"role":"user","content":[{"type":"tool_result","content":"x"}]}`, `content part 0: its type "tool_result" is not one of chat completions`},
		"content":   {`{"role":"user","content":{"a":1}}`, "content is an object, not an array"},
		"role":      {`{"role":"robot","content":"x"}`, `unknown role "robot"`},
		"no role":   {`{"content":"x"}`, "its role is missing"},
		"call name": {`{"role":"assistant","tool_calls":[{"id":"x","function":{"arguments":"{}"}}]}`, "tool call 0: it has no function name"},
		"call type": {`{"role":"assistant","tool_calls":[{"id":"x","type":"custom","name":"f"}]}`, `its type is "custom", not function`},
		"calls":     {`{"role":"assistant","tool_calls":{"id":"x"}}`, "tool_calls is an object, not an array"},
		"twice":     {`{"role":"user","content":"x","content":"y"}`, `has the key "content" twice`},
	} {
		t.Run(name, func(t *testing.T) {
			good := `{"id":"good","messages":[{"role":"user","content":"u"},{"role":"assistant","content":"a"}]}`
			bad := fmt.Sprintf(`{"id":"bad","messages":[{"role":"user","content":"u"},%s,{"role":"assistant","content":"a"}]}`, c.message)
			d, report := importText(t, "x.json", "["+good+",\n"+bad+","+strings.Replace(good, "good", "fine", 1)+"]")
			if len(d.Trajectories) != 2 || report.LeftOut != 1 || report.Rows != 3 {
				t.Errorf("%d trajectories; %v", len(d.Trajectories), report)
			}
			if got := report.Bad[0].Error(); !strings.Contains(got, "x.json: item 2: messages[1]: ") || !strings.Contains(got, c.want) {
				t.Errorf("got %s\nwant %s", got, c.want)
			}
		})
	}
}

// Nothing that a message holds is lost: what is not replayed is in the extra of the turn that it belongs to.
func TestChatExtra(t *testing.T) {
	in := `{"id":"s","model":"m","tools":` + tools + `,"messages":[
{"role":"user","content":"u","mood":"good"},
{"role":"assistant","content":"a","tool_calls":[{"index":0,"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}],"loss":1},
{"role":"tool","tool_call_id":"c","content":"r"},
{"role":"assistant","content":"b"},{"role":"user","content":"bye"}]}`
	d, _ := importText(t, "x.json", in)
	tr := d.Trajectories[0]
	want := []string{
		`{"id":"s","model":"m","messages":[{"mood":"good","message_index":0},{"tool_calls":[{"index":0,"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}],"loss":1,"message_index":1}]}`,
		`{"answer":{"role":"assistant","content":"b"},"unanswered":[{"role":"user","content":"bye"}]}`,
	}
	for k, turn := range tr.Turns {
		if diff := cmp.Diff(want[k], string(turn.Extra)); diff != "" {
			t.Errorf("turn %d (-want +got):\n%s", k, diff)
		}
		if string(turn.Tools) != tools {
			t.Errorf("turn %d: tools %s", k, turn.Tools)
		}
	}
	if got, want := tr.Turns[0].Calls, []Call{{Tool: "f"}}; !cmp.Equal(got, want) {
		t.Errorf("calls: got %v, want %v", got, want)
	}
}

func TestRecorded(t *testing.T) {
	for in, want := range map[string]time.Time{
		`"2025-04-30T16:32:54.707474"`: time.Date(2025, 4, 30, 16, 32, 54, 707474000, time.UTC),
		`"2025-10-11T10:30:02Z"`:       time.Date(2025, 10, 11, 10, 30, 2, 0, time.UTC),
		`1746001974.25`:                time.Unix(1746001974, 250_000_000),
		`"yesterday"`:                  {}, `1e99`: {}, `-3`: {}, `null`: {}, ``: {},
	} {
		if got := clock([]byte(in)); !got.Equal(want) {
			t.Errorf("%s: got %v, want %v", in, got, want)
		}
	}
	at := time.Unix(1000, 0)
	for _, c := range []struct {
		to   time.Time
		want bool
	}{{at, true}, {at.Add(-1), false}, {time.Time{}, false}, {at.Add(2e6 * time.Second), false}} {
		if _, got := elapsed(at, c.to); got != c.want {
			t.Errorf("to %v: got %t", c.to, got)
		}
	}
}
