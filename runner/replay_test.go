package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"agentwatt/runner/internal/agent"
	"agentwatt/runner/internal/endpoint"
	"agentwatt/runner/internal/trajectory"
	"agentwatt/shared/clock"
)

// realData finds the recorded sessions beside the repository; the test is skipped, loudly, where they are not.
func realData(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join("..", "..", "shared", "data", "trajectories", name)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("SKIPPED: recorded sessions are not here: %v", err)
	}
	return path
}

// request is a chat request as an endpoint sees it.
type request struct {
	Messages []map[string]any `json:"messages"`
	Tools    []any            `json:"tools"`
	raw      []byte           // bytes of the messages
}

// TestReplayIsTheRecording plays real sessions through the agents' plan and the endpoint client, and compares what arrives
// at a server with the recordings, read here by other means: every message equal, plus the salt and nothing else; and the
// bytes of each turn's messages begin with the bytes of the turn before.
func TestReplayIsTheRecording(t *testing.T) {
	for _, c := range []struct {
		file  string
		want  func(t *testing.T, path string) map[string][]request
		turns int
	}{
		{"mlcommons-endpoints/agentic_coding.jsonl", mlcommonsRequests, 618},
		{"aa-replay/aa-mini-library-01.jsonl", aaRequests, 6},
	} {
		t.Run(filepath.Dir(c.file), func(t *testing.T) {
			path := realData(t, c.file)
			data, _, err := trajectory.Limits{}.Import([]string{path}, trajectory.Auto)
			if err != nil {
				t.Fatal(err)
			}
			want, turns := c.want(t, path), 0
			for _, after := range []bool{false, true} {
				plan := agent.Plan{Trajectories: data.Trajectories, Seed: 1, Run: "test", SaltAfter: after}
				for i := range data.Trajectories {
					play := plan.Play(0, i)
					turns += comparePlay(t, play, want[play.ID])
				}
			}
			if turns != 2*c.turns {
				t.Errorf("%d turns compared, want %d twice", turns, c.turns)
			}
		})
	}
}

// comparePlay sends every turn of a play and compares.
func comparePlay(t *testing.T, play trajectory.Play, want []request) int {
	t.Helper()
	arrived := make(chan request, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		var got request
		if err := json.Unmarshal(body, &got); err != nil {
			t.Errorf("request is no JSON: %v", err)
		}
		got.raw = body[bytes.Index(body, []byte(`"messages":[`)):]
		got.raw = got.raw[:len(got.raw)-2] // ]}
		arrived <- got
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"ok\"},\"finish_reason\":\"stop\"}]}\n\ndata: {\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1}}\n\ndata: [DONE]\n\n")
	}))
	defer server.Close()
	client, err := endpoint.New(endpoint.Options{URL: server.URL + "/v1", Model: "m", Clock: clock.New()})
	if err != nil {
		t.Fatal(err)
	}
	lane := client.Lane()
	defer lane.Close()
	if len(want) != len(play.Turns) {
		t.Fatalf("%s: %d turns, the recording has %d", play.ID, len(play.Turns), len(want))
	}
	var before []byte
	for k := range play.Turns {
		if r := lane.Send(t.Context(), play, k); r.Failure != "" {
			t.Fatalf("%s turn %d: %s %s", play.ID, k, r.Failure, r.Detail)
		}
		got := <-arrived
		if !bytes.HasPrefix(got.raw, before) {
			t.Fatalf("%s turn %d: its messages do not begin with the bytes of the turn before", play.ID, k)
		}
		before = got.raw
		unsalt(t, play, got.Messages)
		if !reflect.DeepEqual(want[k].Messages, got.Messages) || !reflect.DeepEqual(want[k].Tools, got.Tools) { // cmp takes minutes
			t.Fatalf("%s turn %d (-recorded +sent):\n%s%s", play.ID, k, cmp.Diff(want[k].Messages, got.Messages), cmp.Diff(want[k].Tools, got.Tools))
		}
	}
	return len(play.Turns)
}

// unsalt takes the salt out of the one message that has it.
func unsalt(t *testing.T, play trajectory.Play, messages []map[string]any) {
	t.Helper()
	salted := 0
	for i, m := range messages {
		if text, ok := m["content"].(string); ok && strings.HasPrefix(text, play.Salt) {
			m["content"] = strings.TrimPrefix(text, play.Salt)
			salted++
			if system := m["role"] == "system"; system == play.After {
				t.Errorf("%s: salt in message %d (%s), position after the system prompt: %v", play.ID, i, m["role"], play.After)
			}
		}
	}
	if salted != 1 {
		t.Fatalf("%s: %d messages carry the salt, want 1", play.ID, salted)
	}
}

func rows(t *testing.T, path string) (out []map[string]any) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	in := bufio.NewReader(f)
	for {
		line, err := in.ReadBytes('\n')
		if len(bytes.TrimSpace(line)) > 0 {
			var row map[string]any
			if err := json.Unmarshal(line, &row); err != nil {
				t.Fatal(err)
			}
			out = append(out, row)
		}
		if err != nil {
			return out
		}
	}
}

// aaRequests reads an AA replay: every row is a whole request.
func aaRequests(t *testing.T, path string) map[string][]request {
	out := map[string][]request{}
	for _, row := range rows(t, path) {
		var r request
		for _, m := range row["messages"].([]any) {
			r.Messages = append(r.Messages, m.(map[string]any))
		}
		if tools := row["tools"].([]any); len(tools) > 0 {
			r.Tools = tools
		}
		id := row["conversation_id"].(string)
		out[id] = append(out[id], r)
	}
	return out
}

// mlcommonsRequests rebuilds the requests of an MLCommons file: each assistant row answers everything before it.
func mlcommonsRequests(t *testing.T, path string) map[string][]request {
	out := map[string][]request{}
	history, tools := map[string][]map[string]any{}, map[string][]any{}
	for _, row := range rows(t, path) {
		id := row["conversation_id"].(string)
		switch row["role"] {
		case "user":
			if system, ok := row["system"]; ok {
				history[id] = append(history[id], map[string]any{"role": "system", "content": system})
			}
			if list, ok := row["tools"].([]any); ok {
				tools[id] = list
			}
			history[id] = append(history[id], map[string]any{"role": "user", "content": row["content"]})
		case "assistant":
			out[id] = append(out[id], request{Messages: append([]map[string]any(nil), history[id]...), Tools: tools[id]})
			m := map[string]any{"role": "assistant"}
			for _, key := range []string{"content", "reasoning_content", "tool_calls"} {
				if v, ok := row[key]; ok {
					m[key] = v
				}
			}
			history[id] = append(history[id], m)
		case "tool":
			for _, r := range row["tool_results"].([]any) {
				result := r.(map[string]any)
				history[id] = append(history[id], map[string]any{"role": "tool", "tool_call_id": result["tool_call_id"], "content": result["content"]})
			}
		}
	}
	return out
}
