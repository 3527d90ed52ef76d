package simulate

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

const twoTools = `[{"type":"function","function":{"name":"bash","parameters":{}}},{"type":"function","function":{"name":"edit \"x\""}}]`

// The answer in words: role, reasoning, then a tool call or content, finish, usage, end; streamed and whole are the same.
func TestStreamHasTheRecordedStyle(t *testing.T) {
	tests := []struct {
		name string
		q    request
	}{
		{"content", request{prompt: "hello", max: 50}},
		{"one token", request{prompt: "hello", max: 1}},
		{"two tokens", request{prompt: "hello", max: 2}},
		{"natural length", request{prompt: "go on", free: true}},
		{"tool call", request{prompt: "hello", tools: twoTools, max: 60}},
		{"tool call of one token", request{prompt: "other", tools: twoTools, max: 1}},
		{"tool call, each with usage", request{prompt: "more", tools: twoTools, max: 33, usageEach: true}},
	}
	for _, tt := range tests {
		for _, draft := range []int{0, 4} {
			t.Run(fmt.Sprint(tt.name, " draft ", draft), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					p := plain()
					p.Draft, p.Acceptance = draft, 0.8
					s := start(t, p, Options{Model: "simulated/test"})
					defer s.stop()
					checkStream(t, s, tt.q)
				})
			})
		}
	}
}

func checkStream(t *testing.T, s *server, q request) {
	t.Helper()
	r := s.ask(t.Context(), q)
	if r.err != nil || r.status != 200 || !r.done || len(r.events) < 4 {
		t.Fatalf("status %d, done %v, %d events, error %v", r.status, r.done, len(r.events), r.err)
	}
	role, finish, last := r.events[0], r.events[len(r.events)-2], r.events[len(r.events)-1]
	if role.Choices[0].Delta.Role != "assistant" || role.text() != "" {
		t.Errorf("the first event is %+v, want the role alone", role)
	}
	if len(last.Choices) != 0 || last.Usage == nil || finish.Choices[0].Finish == "" || finish.text() != "" {
		t.Errorf("the stream ends in %+v and %+v, want finish reason, then usage", finish, last)
	}
	for _, e := range r.events {
		if e.Model != "simulated/test" || e.Print != "simulated" || e.ID != role.ID {
			t.Errorf("event names itself %q, %q, %q", e.Model, e.Print, e.ID)
		}
		if q.usageEach && e.Usage == nil || !q.usageEach && e.Usage != nil && len(e.Choices) > 0 {
			t.Errorf("event has usage %v, want %v", e.Usage, q.usageEach)
		}
	}
	u := *last.Usage
	if u.Prompt != q.promptTokens() || u.Total != u.Prompt+u.Completion || q.max > 0 && !q.free && u.Completion != q.max {
		t.Errorf("usage %+v, want %d prompt and %d output tokens", u, q.promptTokens(), q.max)
	}
	var reasoning, content, arguments, name string
	for _, e := range r.outputs() {
		d := e.Choices[0].Delta
		if d.Reasoning != "" && content+arguments != "" {
			t.Errorf("reasoning after the answer began: %+v", d)
		}
		reasoning, content = reasoning+d.Reasoning, content+d.Content
		for _, c := range d.ToolCalls {
			name, arguments = name+c.Function.Name, arguments+c.Function.Arguments
		}
	}
	if got := u.OutputDetails.Reasoning; got != u.Completion*2/5 || len(reasoning) != 4*got {
		t.Errorf("%d reasoning tokens in %d bytes, want %d", got, len(reasoning), u.Completion*2/5)
	}
	if q.tools == "" && len(content) != 4*(u.Completion-u.OutputDetails.Reasoning) {
		t.Errorf("%d bytes of content, want four for each of %d tokens", len(content), u.Completion-u.OutputDetails.Reasoning)
	}
	if q.tools != "" && content == "" {
		if !json.Valid([]byte(arguments)) || name != "bash" && name != `edit "x"` {
			t.Errorf("tool call %q with arguments %q", name, arguments)
		}
	}
	checkWhole(t, s, q, reasoning, content, arguments, finish.Choices[0].Finish)
}

// checkWhole asks the same without a stream.
func checkWhole(t *testing.T, s *server, q request, reasoning, content, arguments, finish string) {
	t.Helper()
	q.whole = true
	r := s.ask(t.Context(), q)
	var got struct {
		Choices []struct {
			Message struct {
				Content   string
				Reasoning string `json:"reasoning_content"`
				ToolCalls []struct {
					Function struct{ Arguments string }
				} `json:"tool_calls"`
			}
			Finish string `json:"finish_reason"`
		}
		Usage usage
	}
	if err := json.Unmarshal(r.body, &got); err != nil || len(got.Choices) != 1 {
		t.Fatalf("whole answer %q: %v", r.body, err)
	}
	m := got.Choices[0].Message
	called := ""
	for _, c := range m.ToolCalls {
		called += c.Function.Arguments
	}
	want := []string{reasoning, content, arguments, finish}
	if d := cmp.Diff(want, []string{m.Reasoning, m.Content, called, got.Choices[0].Finish}); d != "" {
		t.Errorf("the whole answer is not the streamed one:\n%s", d)
	}
}

func TestRefusals(t *testing.T) {
	tests := []struct {
		name, body, key string
		faults          Faults
		status          int
		code            string
	}{
		{"not JSON", `{"model"`, "k", Faults{}, 400, "invalid_json"},
		{"no messages", `{"model":"m"}`, "k", Faults{}, 400, "invalid_messages"},
		{"empty messages", `{"model":"m","messages":[ ]}`, "k", Faults{}, 400, "invalid_messages"},
		{"messages are strings", `{"model":"m","messages":["hi"]}`, "k", Faults{}, 400, "invalid_messages"},
		{"tools without names", `{"model":"m","messages":[{}],"tools":[{}]}`, "k", Faults{}, 400, "invalid_tools"},
		{"no output", `{"model":"m","messages":[{}],"max_tokens":0}`, "k", Faults{}, 400, "invalid_max_tokens"},
		{"fraction", `{"model":"m","messages":[{}],"max_tokens":1.5}`, "k", Faults{}, 400, "invalid_json"},
		{"minimum above maximum", `{"model":"m","messages":[{}],"max_tokens":1,"min_tokens":2}`, "k", Faults{}, 400, "invalid_min_tokens"},
		{"two choices", `{"model":"m","messages":[{}],"n":2}`, "k", Faults{}, 400, "invalid_n"},
		{"other model", `{"model":"x","messages":[{}]}`, "k", Faults{}, 404, "model_not_found"},
		{"long prompt", `{"model":"m","messages":[{"content":"` + strings.Repeat("x", 4<<15) + `"}]}`, "k", Faults{}, 400, "context_length_exceeded"},
		{"long output", `{"model":"m","messages":[{}],"max_completion_tokens":32768}`, "k", Faults{}, 400, "context_length_exceeded"},
		{"huge body", `{"model":"m","messages":[{"content":"` + strings.Repeat("x", 2<<20) + `"}]}`, "k", Faults{}, 400, "context_length_exceeded"},
		{"no key", `{"model":"m","messages":[{}]}`, "", Faults{}, 401, "invalid_api_key"},
		{"wrong key", `{"model":"m","messages":[{}]}`, "l", Faults{}, 401, "invalid_api_key"},
		{"401 on purpose", `{"model":"m","messages":[{}]}`, "k", Faults{Unauthorized: true}, 401, "invalid_api_key"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := start(t, plain(), Options{Model: "m", Key: "k", Faults: tt.faults})
				defer s.stop()
				r := s.post(t.Context(), []byte(tt.body), tt.key)
				var got struct {
					Error struct{ Message, Type, Code string }
				}
				if err := json.Unmarshal(r.body, &got); err != nil {
					t.Fatalf("status %d, body %q: %v", r.status, r.body, err)
				}
				if r.status != tt.status || got.Error.Code != tt.code || got.Error.Message == "" || got.Error.Type == "" {
					t.Errorf("status %d and %+v, want %d and %s", r.status, got.Error, tt.status, tt.code)
				}
				if r.header.Get("X-AgentWatt-Simulated") != "1" {
					t.Error("the refusal does not say that it is simulated")
				}
				if n := s.Truth().Totals; n.Admitted+n.Waiting != 0 {
					t.Errorf("a refused request reached the engine: %+v", n)
				}
			})
		})
	}
}

func TestLongestContextIsServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := plain()
		p.CacheTokens = p.MaxContext
		s := start(t, p, Options{})
		defer s.stop()
		q := ofTokens(p.MaxContext-5, "")
		q.max = 5
		if r := s.ask(t.Context(), q); r.usage().Total != p.MaxContext {
			t.Errorf("usage %+v, want %d in all", r.usage(), p.MaxContext)
		}
	})
}

func TestFaults(t *testing.T) {
	q := request{prompt: "hello", max: 40}
	tests := []struct {
		name   string
		faults Faults
		check  func(t *testing.T, r reply)
	}{
		{"no stream", Faults{NoStream: true}, func(t *testing.T, r reply) {
			if r.events != nil || !json.Valid(r.body) {
				t.Errorf("%d events, body %q", len(r.events), r.body)
			}
		}},
		{"no usage", Faults{NoUsage: true}, func(t *testing.T, r reply) {
			if !r.done || len(r.outputs()) != 40 || r.usage() != (usage{}) {
				t.Errorf("done %v, %d outputs, usage %+v", r.done, len(r.outputs()), r.usage())
			}
		}},
		{"break", Faults{BreakAfter: 7}, func(t *testing.T, r reply) {
			if r.done || len(r.outputs()) != 7 || r.events[len(r.events)-1].Error == nil {
				t.Errorf("done %v, %d outputs, last %+v", r.done, len(r.outputs()), r.events[len(r.events)-1])
			}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := start(t, plain(), Options{Faults: tt.faults})
				defer s.stop()
				tt.check(t, s.ask(t.Context(), q))
				time.Sleep(time.Second)
				if n := s.Truth().Totals.Running; n != 0 {
					t.Errorf("%d sequences still run", n)
				}
			})
		})
	}
}

func TestFacts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := plain()
		s := start(t, p, Options{Model: "simulated/test"})
		defer s.stop()
		begin := time.Now()
		time.Sleep(1234 * time.Millisecond)
		var got map[string]any
		s.get("/power", &got)
		device := func(i int) map[string]any {
			return map[string]any{
				"id": fmt.Sprint("SIM-", i), "name": "Simulated accelerator",
				"energy_microjoules": 1.2 * 70e6, "power_microwatts": 70e6,
				"changed_unix_nanos": float64(begin.UnixNano() + 1.2e9), "limit_microwatts": float64(PeakPower(p)),
			}
		}
		want := map[string]any{
			"simulated": true, "unix_nanos": float64(begin.UnixNano() + 1.234e9), "period_nanos": 1e8,
			"devices": []any{device(0), device(1), device(2)},
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("GET /power: %s", d)
		}
		var models struct {
			Data []struct {
				ID      string
				Longest int `json:"max_model_len"`
			}
		}
		s.get("/v1/models", &models)
		if len(models.Data) != 1 || models.Data[0].ID != "simulated/test" || models.Data[0].Longest != p.MaxContext {
			t.Errorf("GET /v1/models: %+v", models)
		}
		s.ask(t.Context(), request{prompt: "hi", max: 3})
		var truth struct {
			Simulated bool
			Tokens    int `json:"output_tokens"`
			Energy    int `json:"energy_microjoules"`
		}
		s.get("/truth", &truth)
		if !truth.Simulated || truth.Tokens != 3 || truth.Energy != int(s.Truth().Energy) {
			t.Errorf("GET /truth: %+v, want %+v", truth, s.Truth())
		}
		resp, err := s.client.Get("http://simulated/health")
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Errorf("GET /health: %v %v", resp, err)
		}
		resp.Body.Close()
	})
}

// A server that is stopped cuts its streams off and leaves nothing behind: the bubble would not end otherwise.
func TestStopInTheMiddle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t, plain(), Options{})
		ended := make(chan reply)
		for i := range 5 {
			go func() {
				q := ofTokens(100, fmt.Sprint(i))
				q.max = 10000
				ended <- s.ask(context.Background(), q)
			}()
		}
		time.Sleep(time.Second)
		s.stop()
		for range 5 {
			if r := <-ended; r.done || r.err == nil {
				t.Errorf("a stopped server's stream ended with done %v, error %v", r.done, r.err)
			}
		}
	})
}
