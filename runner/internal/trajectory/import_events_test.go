package trajectory

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestRealTRTLLM(t *testing.T) {
	d, _ := importSample(t, "trtllm/django__django-16801.trace.json")
	raw, err := os.ReadFile(sample(t, "trtllm/django__django-16801.trace.json"))
	if err != nil {
		t.Fatal(err)
	}
	var trace struct {
		ID     string `json:"trace_id"`
		Events []struct {
			Type       string `json:"event_type"`
			Role       string
			Tokens     int
			Prompt     int     `json:"prompt_tokens"`
			Completion int     `json:"completion_tokens"`
			Tool       string  `json:"tool_name"`
			MS         float64 `json:"duration_ms"`
		}
	}
	if err := json.Unmarshal(raw, &trace); err != nil {
		t.Fatal(err)
	}
	tr := d.Trajectories[0]
	k, content, tools := -1, 0, 0
	for _, e := range trace.Events {
		switch {
		case e.Role == "assistant":
			k++
			turn := tr.Turns[k]
			if got := words(tr.Messages, turn.End); got != content || turn.Prompt != e.Prompt || turn.Output != e.Completion {
				t.Errorf("turn %d: %d words, %+v; want %d words, %d and %d", k, got, turn, content, e.Prompt, e.Completion)
			}
			content += e.Completion
		case e.Type == "message":
			content += e.Tokens
		case k+1 < len(tr.Turns):
			tools++
			if call := tr.Turns[k].Calls[0]; call.Tool != e.Tool || (call.Duration-time.Duration(e.MS*1e6)).Abs() > time.Microsecond {
				t.Errorf("turn %d: %v, want %s for %v ms", k, call, e.Tool, e.MS)
			}
		}
	}
	if tr.ID != trace.ID || k != 3 || len(tr.Turns) != 4 || tools != 3 {
		t.Errorf("%s: %d turns, %d tools", tr.ID, len(tr.Turns), tools)
	}
}

func TestImportTRTLLM(t *testing.T) {
	message := func(path string, talk int, role string, tokens int) string {
		return fmt.Sprintf(`{"event_type":"message","branch_path":[%s],"conversation_id":%d,"role":%q,"tokens":%d}`, path, talk, role, tokens)
	}
	answer := func(path string, talk, n, reasoning int) string {
		return fmt.Sprintf(`{"event_type":"message","branch_path":[%s],"conversation_id":%d,"role":"assistant","prompt_tokens":%d,"completion_tokens":%d,"reasoning_tokens":%d}`, path, talk, 10*n, n, reasoning)
	}
	tool := func(path string, ms int) string {
		return fmt.Sprintf(`{"event_type":"tool_call","branch_path":[%s],"tool_name":"t","duration_ms":%d}`, path, ms)
	}
	in := `{"trace_id":"x","events":[` + strings.Join([]string{
		message("", 0, "system", 5), message("", 0, "user", 6), answer("", 0, 4, 1),
		`{"event_type":"parallel_start","branch_path":[],"num_branches":2}`,
		message("0", 1, "user", 7), message("1", 2, "user", 8), tool("1", 50), answer("0", 1, 1, 0), answer("1", 2, 2, 0), tool("0", 500), message("0", 1, "tool", 3), answer("0", 1, 3, 0),
		`{"event_type":"parallel_end","branch_path":[]}`,
		message("", 0, "tool", 9), answer("", 0, 5, 0),
		`{"event_type":"drop_kv_cache","branch_path":[]}`,
		message("", 3, "user", 2), answer("", 3, 6, 0),
	}, ",") + `]}`
	d, report := importText(t, "x.trace.json", in)
	want := []string{"x: 40>4 50>5", "x/1 (0 +0s 1): 10>1+500ms 30>3", "x/2 (0 +50ms 1): 20>2", "x/3 (1 +0s 2): 60>6"}
	if diff := cmp.Diff(want, treeOf(d.Trajectories[0])); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got, want := rolesOf(t, d.Trajectories[0]), "system 5, user 6, assistant 3, user 9"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for _, what := range []string{"a server cannot be asked to drop", "tool calls are recorded without their text", "system prompts of equal length"} {
		if noted(report, what) == 0 {
			t.Errorf("note %q is missing: %v", what, report.Notes)
		}
	}
	// The tasks of one step, side by side within the event.
	in = `{"trace_id":"y","events":[` + strings.Join([]string{
		message("", 0, "user", 6), answer("", 0, 4, 1),
		`{"event_type":"parallel_start","branch_path":[],"children":[` + tool("", 100) + "," + tool("", 300) + `]}`,
		message("", 0, "tool", 9), answer("", 0, 5, 0),
	}, ",") + `]}`
	d, _ = importText(t, "y.trace.json", in)
	if diff := cmp.Diff([]string{"y: 40>4+300ms 50>5"}, treeOf(d.Trajectories[0])); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestRealTraceLab(t *testing.T) {
	const name = "tracelab/round_trace.jsonl"
	d, report := importSample(t, name)
	sessions, at := map[string][]Turn{}, map[string]int{}
	text := map[string][][]byte{}
	for _, tr := range d.Trajectories {
		turns, sent, _ := played(tr)
		sessions[tr.ID], text[tr.ID] = turns, sent
	}
	rounds := 0
	for _, row := range sampleRows(t, name) {
		var r struct {
			ID            string
			In, Out       int
			Cached, Index int
			Tools         []struct {
				Name string `json:"tool_name"`
			}
		}
		for key, to := range map[string]any{"session_id": &r.ID, "input_tokens_total": &r.In, "output_tokens": &r.Out, "prefix_tokens": &r.Cached, "round_index": &r.Index, "tools": &r.Tools} {
			if err := json.Unmarshal(row[key], to); err != nil {
				t.Fatal(err)
			}
		}
		k := at[r.ID]
		at[r.ID]++
		rounds++
		turn := sessions[r.ID][k]
		if k != r.Index || turn.Prompt != r.In || turn.Output != r.Out || words(text[r.ID][k], len(text[r.ID][k])) != r.In {
			t.Errorf("%s round %d: %+v", r.ID, k, turn)
		}
		if k > 0 { // what the provider read from its cache is in common
			if got := words(text[r.ID][k], SharedPrefix(text[r.ID][k], text[r.ID][k-1])); got < min(r.Cached, sessions[r.ID][k-1].Prompt) {
				t.Errorf("%s round %d has %d words in common with the one before, %d were cached", r.ID, k, got, r.Cached)
			}
		}
		var got, want []string
		for _, c := range turn.Calls {
			if c.Tool != "" {
				got = append(got, c.Tool)
			}
		}
		for _, tool := range r.Tools {
			want = append(want, tool.Name)
		}
		if last := len(sessions[r.ID]) - 1; k != last && k != 4 && !cmp.Equal(got, want) {
			t.Errorf("%s round %d: tools %v, want %v", r.ID, k, got, want)
		}
	}
	if rounds != report.Turns || rounds != 19 || len(d.Trajectories) != 2 {
		t.Errorf("%d rounds, %v", rounds, report)
	}
}

// Every span of the samples is a turn that asks with the messages of the span.
func TestRealOTel(t *testing.T) {
	files, _ := filepath.Glob(filepath.Join(data, "otel", "*.json"))
	if len(files) == 0 {
		t.Skipf("SKIPPED: the samples %s/otel are not here", data)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var doc struct {
			Spans []struct {
				ID         string `json:"span_id"`
				Attributes map[string]any
			}
		}
		if err := json.Unmarshal(raw, &doc); err != nil {
			t.Fatal(err)
		}
		d, reports, err := Limits{}.Import([]string{file}, Auto)
		if err != nil || reports[0].BadCount != 0 || reports[0].Format != OTel || reports[0].Turns != len(doc.Spans) {
			t.Fatal(reports, err)
		}
		asked := map[string]any{}
		for _, tr := range d.Trajectories {
			for _, c := range tr.All() {
				all := requests(t, c)
				for k, turn := range c.Turns {
					asked[named(known(turn.Extra), "span_id")] = all[k]
				}
			}
		}
		for _, span := range doc.Spans {
			var want []map[string]any
			if err := json.Unmarshal([]byte(span.Attributes["gen_ai.input.messages"].(string)), &want); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(any(want), asked[span.ID]); diff != "" {
				t.Errorf("%s %s: -want +got:\n%s", file, span.ID, diff)
			}
		}
	}
}

func TestRealOTelTree(t *testing.T) {
	d, report := importSample(t, "otel/parallel_requests.json")
	got := treeOf(d.Trajectories[0])
	want := []string{"session_002: 0>0+500ms 0>0+1s 0>0+500ms 0>0", "session_002/2 (0 +1s 2): 0>0"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s\n%v", diff, report)
	}
}

func TestImportOTel(t *testing.T) {
	// OTLP, with the semantic conventions' messages, a tool and a session of its own.
	attribute := func(key, value string) string {
		return fmt.Sprintf(`{"key":%q,"value":{"stringValue":%q}}`, key, value)
	}
	span := func(start, end int, attributes ...string) string {
		return fmt.Sprintf(`{"traceId":"t","spanId":"s%d","startTimeUnixNano":"%d","endTimeUnixNano":"%d","attributes":[%s]}`, start, int64(start)*1e6+1e18, int64(end)*1e6+1e18, strings.Join(attributes, ","))
	}
	system := attribute("gen_ai.system_instructions", `[{"type":"text","content":"Be brief."}]`)
	user := `{"role":"user","parts":[{"type":"text","content":"List."}]}`
	called := `{"role":"assistant","parts":[{"type":"reasoning","content":"Hm."},{"type":"tool_call","id":"c1","name":"ls","arguments":{"path":"."}}]}`
	result := `{"role":"tool","parts":[{"type":"tool_call_response","id":"c1","response":"a b"}]}`
	in := `{"resourceSpans":[{"scopeSpans":[{"spans":[` + strings.Join([]string{
		span(1000, 2000, attribute("gen_ai.operation.name", "chat"), system, attribute("gen_ai.input.messages", "["+user+"]"), `{"key":"gen_ai.usage.output_tokens","value":{"intValue":"17"}}`),
		span(2100, 2700, attribute("gen_ai.operation.name", "execute_tool"), attribute("gen_ai.tool.name", "ls")),
		span(3000, 4000, attribute("gen_ai.operation.name", "chat"), system, attribute("gen_ai.input.messages", "["+user+","+called+","+result+"]")),
		span(900, 4100, attribute("gen_ai.operation.name", "invoke_agent")),
		span(5000, 6000, attribute("gen_ai.operation.name", "chat")),
	}, ",") + `]}]}]}`
	d, report := importText(t, "otlp.json", in)
	tr := d.Trajectories[0]
	want := `{"role":"system","content":"Be brief."},{"role":"user","content":"List."},{"role":"assistant","content":"","reasoning_content":"Hm.","tool_calls":[{"id":"c1","type":"function","function":{"name":"ls","arguments":"{\"path\":\".\"}"}}]},{"role":"tool","tool_call_id":"c1","content":"a b"}`
	if got := string(tr.Messages); got != want {
		t.Errorf("\ngot  %s\nwant %s", got, want)
	}
	if diff := cmp.Diff([]Call{{"ls", 600 * time.Millisecond}, {"", 400 * time.Millisecond}}, tr.Turns[0].Calls); diff != "" || tr.Turns[0].Output != 17 {
		t.Errorf("-want +got:\n%s", diff)
	}
	if report.Rows != 5 || report.LeftOut != 1 || noted(report, "a span that is neither") != 1 || !strings.Contains(report.Bad[0].Msg, "span 4: the span of a model call has no messages") {
		t.Error(report)
	}
	// One span per line, with the numbered attributes of older instrumentation.
	in = `{"trace_id":"t","start_time":"2026-01-01T00:00:00Z","end_time":"2026-01-01T00:00:01Z","attributes":{"gen_ai.prompt.0.role":"user","gen_ai.prompt.0.content":"x"}}
{"trace_id":"t","start_time":"2026-01-01T00:00:03Z","end_time":"2026-01-01T00:00:04Z","attributes":{"gen_ai.prompt.0.role":"user","gen_ai.prompt.0.content":"x","gen_ai.prompt.1.role":"assistant","gen_ai.prompt.1.tool_calls.0.id":"c","gen_ai.prompt.1.tool_calls.0.name":"f","gen_ai.prompt.1.tool_calls.0.arguments":"{}","gen_ai.prompt.2.role":"tool","gen_ai.prompt.2.tool_call_id":"c","gen_ai.prompt.2.content":"y"}}`
	d, _ = importText(t, "spans.jsonl", in)
	if got, want := brief(requests(t, d.Trajectories[0])[1]), []string{"user:x", "assistant(c)", "tool(c):y"}; !cmp.Equal(got, want) || d.Trajectories[0].Turns[0].ToolTime() != 2*time.Second {
		t.Errorf("got %v, want %v, %v", got, want, d.Trajectories[0].Turns[0])
	}
}

// Importers of formats without text or with events take anything without a panic, and what they make is good.
func FuzzImportEvents(f *testing.F) {
	fuzzImport(f, func(l Limits, in []byte) (*Dataset, *Report, error) {
		im, all, err := l.detect(bytes.NewReader(in), "f")
		if err != nil {
			return nil, nil, err
		}
		return im.read(l, all, "f")
	},
		`{"id":"w","block_size":4,"tool_tokens":3,"requests":[{"t":0,"in":9,"out":3,"hash_ids":[1,2]},{"t":3,"type":"subagent","agent_id":"a","duration_ms":1000,"requests":[{"t":0,"in":5,"out":1,"hash_ids":[9]}]},{"t":5,"in":18,"out":9,"hash_ids":[1,2,3,4],"think_time":2.5},{"in":14,"out":9,"hash_ids":[1,2,6]}]}`,
		`{"timestamp":0,"input_length":1100,"output_length":5,"hash_ids":[0,1,2]}`+"\n"+`{"timestamp":9,"input_length":1700,"output_length":5,"hash_ids":[0,1,3,4]}`,
		`{"chat_id":1,"parent_chat_id":-1,"timestamp":0.5,"input_length":33,"output_length":2,"hash_ids":[1,2,3]}`+"\n"+`{"chat_id":2,"parent_chat_id":1,"timestamp":0.5,"input_length":33,"output_length":2,"hash_ids":[1,2,3]}`,
		`{"schema":"dynamo.request.trace.v1","event_type":"request_end","event_time_unix_ms":9000,"agent_context":{"session_id":"a","parent_session_id":"b"},"request":{"request_id":"r","request_received_ms":8000,"total_time_ms":5,"output_tokens":3,"replay":{"trace_block_size":4,"input_length":9,"input_sequence_hashes":[1,2]}}}`+"\n"+`{"schema":"dynamo.request.trace.v1","event_type":"tool_end","event_time_unix_ms":9000,"agent_context":{"session_id":"a"},"tool":{"tool_class":"x","duration_ms":3}}`,
		`{"trace_id":"x","events":[{"event_type":"message","conversation_id":0,"role":"user","tokens":6},{"event_type":"message","role":"assistant","conversation_id":0,"completion_tokens":4},{"event_type":"parallel_start","children":[{"event_type":"tool_call","tool_name":"t","duration_ms":5}]},{"event_type":"message","branch_path":[1,2],"conversation_id":4,"role":"user","tokens":6},{"event_type":"message","branch_path":[1,2],"role":"assistant","conversation_id":4,"completion_tokens":4},{"event_type":"parallel_end"}]}`,
		`{"session_id":"s","provider":"p","round_index":0,"input_tokens_total":9,"prefix_tokens":4,"output_tokens":2,"timing_events":[{"event_type":"user_message","timestamp":"2026-01-01T00:00:00Z"},{"event_type":"text","timestamp":"2026-01-01T00:00:01Z"}],"tools":[{"tool_name":"x","tool_wall_latency_ms":5}]}`+"\n"+`{"session_id":"s","round_index":1,"input_tokens_total":7,"prefix_tokens":4,"timing_events":[]}`,
		`{"spans":[{"trace_id":"t","start_time":1,"end_time":2,"attributes":{"gen_ai.input.messages":"[{\"role\":\"user\",\"content\":\"x\"}]"}},{"trace_id":"t","start_time":3,"end_time":4,"attributes":{"gen_ai.input.messages":[{"role":"user","content":"x"},{"role":"assistant","parts":[{"type":"tool_call","id":"c","name":"f","arguments":{}}]},{"role":"tool","parts":[{"type":"tool_call_response","id":"c","response":1}]}]}}]}`,
		`{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"t","startTimeUnixNano":"10","endTimeUnixNano":"20","attributes":[{"key":"gen_ai.prompt.0.role","value":{"stringValue":"user"}},{"key":"gen_ai.prompt.0.content","value":{"stringValue":"x"}}]}]}]}]}`,
	)
}
