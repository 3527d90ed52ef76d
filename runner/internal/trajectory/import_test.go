package trajectory

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// aa makes an AA replay row.
func aa(id string, index int, messages string, rest ...string) string {
	return fmt.Sprintf(`{"version":1,"task_id":"task","conversation_id":%q,"conversation_idx":%d,"messages":[%s],"simulated_tool_delay_ms_after":0%s}`,
		id, index, messages, strings.Join(rest, "")) + "\n"
}

func TestImportAAReplay(t *testing.T) {
	in := aa("a", 0, user, `,"tools":`+tools+`,"target_output_tokens":5,"recorded_prompt_tokens":11,"recorded_tool_calls_after":[{"duration_ms":320.35,"tool_name":"bash","action":{"x":1}}]`) +
		aa("b", 0, user, `,"max_output_tokens":null`) + // sessions may be mixed
		strings.Replace(aa("a", 1, user+" , "+call+","+result, `,"tools":[],"recorded_completion_tokens":8`), `after":0`, `after":1500`, 1) +
		aa("a", 2, user+","+call+","+result+","+`{"role":"assistant","content":"x"},`+user, `,"tools":`+tools)
	d, report, err := ImportAAReplay(strings.NewReader(in), "dir/f.jsonl")
	if err != nil || report.BadCount != 0 {
		t.Fatal(err, report)
	}
	a := d.Trajectories[0]
	want := []Turn{
		{Tools: json.RawMessage(tools), Prompt: 11, Output: 5, Calls: []Call{{"bash", 320350 * time.Microsecond}},
			Extra: json.RawMessage(`{"version":1,"task_id":"task","simulated_tool_delay_ms_after":0,"recorded_tool_calls_after":[{"duration_ms":320.35,"tool_name":"bash","action":{"x":1}}]}`)},
		{Output: 8, Calls: []Call{{"", 1500 * time.Millisecond}},
			Extra: json.RawMessage(`{"version":1,"task_id":"task","simulated_tool_delay_ms_after":1500,"recorded_completion_tokens":8}`)},
		{Tools: json.RawMessage(tools), Extra: json.RawMessage(`{"version":1,"task_id":"task","simulated_tool_delay_ms_after":0}`)},
	}
	for i := range want {
		want[i].End = a.Turns[i].End
	}
	if diff := cmp.Diff(want, a.Turns); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got, want := a.Origin, "aa-replay:f.jsonl"; got != want {
		t.Errorf("origin: got %q, want %q", got, want)
	}
	if got, want := string(a.Messages), user+","+call+","+result+`,{"role":"assistant","content":"x"},`+user; got != want {
		t.Errorf("messages\ngot  %s\nwant %s", got, want)
	}
	if &a.Turns[0].Tools[0] != &a.Turns[2].Tools[0] {
		t.Error("equal tools are not shared")
	}
	if len(d.Trajectories) != 2 || report.Rows != 4 || report.Turns != 4 {
		t.Errorf("%d trajectories, report %v", len(d.Trajectories), report)
	}
}

// Each case has one bad trajectory, "a", and one good, "b".
func TestImportBadRows(t *testing.T) {
	ml := func(turn int, role, rest string) string {
		return fmt.Sprintf(`{"conversation_id":"a","turn":%d,"role":%q%s}`, turn, role, rest) + "\n"
	}
	first := ml(1, "user", `,"content":"go"`)
	answer := ml(2, "assistant", `,"tool_calls":[{"id":"c1","type":"function","function":{"name":"bash","arguments":"{}"}}]`)
	goodML := strings.ReplaceAll(first+ml(2, "assistant", `,"content":"x"`), `"a"`, `"b"`)
	for name, c := range map[string]struct{ in, want string }{
		"aa prefix":       {aa("a", 0, user) + aa("a", 1, strings.Replace(user, "go", "GO", 1)+","+call+","+result), "f:2: the prefix is not stable: messages[0] is not that of the row before"},
		"aa shorter":      {aa("a", 0, sys+","+user) + aa("a", 1, sys), "f:2: the prefix is not stable: messages[1]"},
		"aa glued":        {aa("a", 0, user) + aa("a", 1, user+","+`{"role":"user","content":"x"}`) + aa("a", 2, user), "f:3: the prefix is not stable: messages[1]"},
		"aa index":        {aa("a", 0, user) + aa("a", 2, user), "f:2: conversation_idx is 2, want 1"},
		"aa no index":     {`{"version":1,"conversation_id":"a","messages":[]}`, "f:1: conversation_idx is -1, want 0"},
		"aa version":      {strings.Replace(aa("a", 0, user), `"version":1`, `"version":2`, 1), "f:1: version is 2, want 1"},
		"aa not JSON":     {aa("a", 0, user) + `{"version":1,"conver` + "\n", "f:2: not JSON: invalid character '\\n' in string literal (byte 21)"},
		"aa no messages":  {`{"version":1,"conversation_id":"a","conversation_idx":0}`, "f:1: messages is missing, not an array"},
		"aa no result":    {aa("a", 0, user) + aa("a", 1, user+","+call+","+user), `f:2: message 2: tool result missing for tool call "c1"`},
		"aa duration":     {aa("a", 0, user, `,"recorded_tool_calls_after":[{"tool_name":"x"}]`), "f:1: recorded_tool_calls_after entry 0: duration_ms is missing, not a number"},
		"ml turn":         {first + ml(3, "assistant", `,"content":"x"`), "f:2: turn is 3, want 2"},
		"ml first":        {ml(1, "assistant", `,"content":"x"`), "f:1: role assistant cannot come here: want user"},
		"ml role":         {first + ml(2, "tool", `,"tool_results":[]`), "f:2: role tool cannot come here: want assistant"},
		"ml unknown role": {ml(1, "robot", ""), `f:1: role is "robot", want user, assistant or tool`},
		"ml results":      {first + answer + ml(3, "tool", ""), "f:3: tool_results is missing, not an array"},
		"ml wrong id":     {first + answer + ml(3, "tool", `,"tool_results":[{"tool_call_id":"zz","content":"x"}]`), `f:3: message 2: tool result for "zz"`},
		"ml no result":    {first + answer + ml(3, "user", `,"content":"x"`), `f:3: message 2: tool result missing for tool call "c1"`},
		"ml no answer":    {first, `f:1: trajectory "a": the conversation has no assistant row`},
		"ml system":       {first + ml(2, "assistant", `,"content":"x"`) + ml(3, "user", `,"content":"x","system":"new"`), "f:3: system differs from that of the first row"},
		"ml delay":        {first + answer + ml(3, "tool", `,"delay_seconds":-1,"tool_results":[{"tool_call_id":"c1","content":"x"}]`), "f:3: delay_seconds is -1, outside"},
	} {
		t.Run(name, func(t *testing.T) {
			read, good := ImportAAReplay, aa("b", 0, user)
			if strings.HasPrefix(name, "ml") {
				read, good = ImportMLCommons, goodML
			}
			d, report, err := read(strings.NewReader(c.in+"\n"+good), "f")
			if err != nil {
				t.Fatal(err)
			}
			if len(d.Trajectories) != 1 || d.Trajectories[0].ID != "b" || report.LeftOut != 1 || report.Trajectories != 1 {
				t.Errorf("trajectories %v, report %v; want only b", d.Trajectories, report)
			}
			if len(report.Bad) != 1 || !strings.HasPrefix(report.Bad[0].Error(), c.want) {
				t.Errorf("got %v\nwant %s", report.Bad, c.want)
			}
		})
	}
}

func TestImportMLCommons(t *testing.T) {
	in := `{"conversation_id":"a","turn":1,"role":"user","content":"go","system":"be brief","tools":` + tools + `,"max_new_tokens":64,"temperature":0.7,"delay_seconds":2}
{"conversation_id":"a","turn":2,"role":"assistant","reasoning_content":"hm","content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"bash","arguments":"{}"}},{"id":"c2","type":"function","function":{"name":"grep","arguments":"{}"}}]}
{"conversation_id":"a","turn":3,"role":"tool","delay_seconds":0.000000003,"tool_results":[{"tool_call_id":"c2","content":"2","is_error":true},{"tool_call_id":"c1","content":"1"}]}
{"conversation_id":"a","turn":4,"role":"user","content":"more","tools":[],"delay_seconds":1.5}
{"conversation_id":"a","turn":5,"role":"assistant","content":"done"}
`
	d, report, err := ImportMLCommons(strings.NewReader(in), "f")
	if err != nil || report.BadCount != 0 {
		t.Fatal(err, report)
	}
	a := d.Trajectories[0]
	want := `{"role":"system","content":"be brief"},{"role":"user","content":"go"},` +
		`{"role":"assistant","content":null,"reasoning_content":"hm","tool_calls":[{"id":"c1","type":"function","function":{"name":"bash","arguments":"{}"}},{"id":"c2","type":"function","function":{"name":"grep","arguments":"{}"}}]},` +
		`{"role":"tool","tool_call_id":"c2","content":"2"},{"role":"tool","tool_call_id":"c1","content":"1"},{"role":"user","content":"more"}`
	if got := string(a.Messages); got != want {
		t.Errorf("messages\ngot  %s\nwant %s", got, want)
	}
	turns := []Turn{
		{End: a.Turns[0].End, Tools: json.RawMessage(tools), MaxOutput: 64, Calls: []Call{{"bash", 2}, {"grep", 1}, {"", 1500 * time.Millisecond}},
			Extra: json.RawMessage(`{"rows":[{"turn":1,"temperature":0.7}]}`)},
		{End: len(want), MaxOutput: 64,
			Extra: json.RawMessage(`{"rows":[{"tool_result":{"tool_call_id":"c2","content":"2","is_error":true}}],"answer":{"role":"assistant","content":"done"}}`)},
	}
	if diff := cmp.Diff(turns, a.Turns); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	notes := []Note{
		{"the pause before the first message has no turn before it; left out", 1}, {"token counts are not recorded", 2},
		{"parallel tool calls share one delay_seconds evenly", 1}, {"the pause before a user message is replayed as tool time without a name", 1},
	}
	if diff := cmp.Diff(notes, report.Notes); diff != "" {
		t.Errorf("notes (-want +got):\n%s", diff)
	}
}

func TestDetect(t *testing.T) {
	for line, want := range map[string]Format{
		header:            Native,
		aa("a", 0, user):  AAReplay,
		`{"role":"user"}`: "",
		`{"conversation_id":"a","turn":1,"role":"user","content":"x"}`: MLCommons,
		`[]`: "", `nonsense`: "", ``: "",
	} {
		im, in, err := Limits{}.detect(strings.NewReader(line), "f")
		if im.format != want || (err == nil) != (want != "") {
			t.Errorf("%s: got %q, %v, want %q", line, im.format, err, want)
		}
		if err != nil {
			continue
		}
		if got, err := io.ReadAll(in); err != nil || string(got) != line {
			t.Errorf("%s: afterwards %q, %v is read", line, got, err)
		}
	}
}

func TestImportFiles(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	one, two := write("one.jsonl", aa("a", 0, user)+aa("b", 0, user)), write("two.jsonl", header+line("b", 0, user)+line("c", 0, user))
	d, reports, err := Limits{}.Import([]string{one, two}, Auto)
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, tr := range d.Trajectories {
		ids = append(ids, tr.ID)
	}
	if want := []string{"a", "b", "c"}; !cmp.Equal(ids, want) || reports[1].LeftOut != 1 {
		t.Errorf("got %v, want %v; reports %v", ids, want, reports)
	}
	var out bytes.Buffer
	if err := Write(&out, d); err != nil {
		t.Fatal(err)
	}
	if again, err := Read(&out, "again"); err != nil || again.Digest != d.Digest {
		t.Errorf("the digest of an import is not that of the file made of it: %v", err)
	}

	for name, content := range map[string]string{
		"agrees":    `{"tasks":[{"task_id":"task","trace":"x/t.jsonl","model_calls":1,"tool_calls":0}]}`,
		"unrelated": `{"tasks":[{"task_id":"task","trace":"x/other.jsonl","model_calls":7}]}`,
		"count":     `{"tasks":[{"task_id":"task","trace":"x/t.jsonl","model_calls":2}]}`,
		"id":        `{"tasks":[{"task_id":"tusk","trace":"x/t.jsonl","model_calls":1}]}`,
		"delay":     `{"tasks":[{"task_id":"task","trace":"x/t.jsonl","model_calls":1,"total_recorded_tool_delay_ms":9}]}`,
		"broken":    "{\n\"tasks\":}",
	} {
		write(name+"/manifest.json", content)
		_, _, err := Limits{}.Import([]string{write(name+"/t.jsonl", aa("a", 0, user))}, AAReplay)
		if good := name == "agrees" || name == "unrelated"; good != (err == nil) {
			t.Errorf("manifest %s: %v", name, err)
		}
	}
	for name, c := range map[string]struct{ path, want string }{
		"missing": {filepath.Join(dir, "nowhere"), "no such file"},
		"unknown": {write("unknown", `{"a":1}`), "unknown:1: not a format that can be imported"},
		"empty":   {write("empty", ""), "empty:1: not a format"},
		"bad":     {write("bad", aa("a", 3, user)), "no trajectory could be imported"},
	} {
		if _, _, err := (Limits{}).Import([]string{c.path}, Auto); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

func TestCreateKeepsWhatIsThere(t *testing.T) {
	d, _, err := ImportAAReplay(strings.NewReader(aa("a", 0, user)), "f")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "out.jsonl")
	if err := os.WriteFile(path, []byte("precious"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := Create(path, d, false); !errors.Is(err, fs.ErrExist) {
		t.Errorf("got %v, want %v", err, fs.ErrExist)
	}
	if got, _ := os.ReadFile(path); string(got) != "precious" {
		t.Errorf("the file was changed to %q", got)
	}
	if err := Create(path, d, true); err != nil {
		t.Error(err)
	}
	if _, err := Open(path); err != nil {
		t.Error(err)
	}
	left, _ := os.ReadDir(filepath.Dir(path))
	if len(left) != 1 {
		t.Errorf("files left over: %v", left)
	}
}

func FuzzImportAAReplay(f *testing.F) {
	f.Add([]byte(aa("a", 0, user, `,"tools":`+tools) + aa("a", 1, user+","+call+","+result, `,"recorded_tool_calls_after":[]`)))
	f.Add([]byte(aa("a", 0, user) + aa("b", 0, sys+","+user) + aa("a", 1, user)))
	f.Fuzz(func(t *testing.T, in []byte) {
		d, report, err := Limits{Line: 1 << 16}.ImportAAReplay(bytes.NewReader(in), "f")
		checkImported(t, d, report, err)
	})
}

func FuzzImportMLCommons(f *testing.F) {
	f.Add([]byte(`{"conversation_id":"a","turn":1,"role":"user","content":"go","system":"s","tools":[]}
{"conversation_id":"a","turn":2,"role":"assistant","tool_calls":[{"id":"c1","type":"function","function":{"name":"bash","arguments":"{}"}}]}
{"conversation_id":"a","turn":3,"role":"tool","tool_results":[{"tool_call_id":"c1","content":"x"}],"delay_seconds":0.5}
{"conversation_id":"a","turn":4,"role":"assistant","content":"x","odd":1}
`))
	f.Fuzz(func(t *testing.T, in []byte) {
		d, report, err := Limits{Line: 1 << 16}.ImportMLCommons(bytes.NewReader(in), "f")
		checkImported(t, d, report, err)
	})
}

func checkImported(t *testing.T, d *Dataset, report *Report, err error) {
	if err != nil {
		t.Fatalf("an import from memory fails for no row: %v", err)
	}
	for _, bad := range report.Bad {
		if bad.File != "f" || bad.Line == 0 {
			t.Fatalf("bad row without a place: %v", bad)
		}
	}
	checkParsed(t, d, nil)
}
