package record

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const streamed = "data: {\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"}}]}\n\n: comment\n\ndata: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"
const streamedUsage = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}\n\n"

// What the agent and the server see of each other.
func TestForwarded(t *testing.T) {
	var got struct {
		sync.Mutex
		uri, auth, encoding, body string
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got.Lock()
		defer got.Unlock()
		got.uri, got.auth, got.encoding, got.body = r.RequestURI, r.Header.Get("Authorization"), r.Header.Get("Accept-Encoding"), string(body)
		if strings.Contains(got.body, "refuse") {
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		io.WriteString(w, streamed)
		w.(http.Flusher).Flush()
		io.WriteString(w, streamedUsage+"data: [DONE]\n\n")
	}))
	defer server.Close()
	r := begin(t, server.URL+"/base/v1", Rules{})
	const key, secret = "local-key-of-this-agent", "ghp_0123456789abcdefghij0123456789abcdef"
	body := `{"stream":true,"messages":[{"role":"user","content":"` + secret + ` ` + key + `"}]}`
	tests := []struct{ name, path, body, uri, forwarded, answer string }{
		{"usage added", "/chat/completions?key=" + secret, body, "/base/v1/chat/completions?key=" + secret,
			`{"stream_options":{"include_usage":true},` + body[1:], streamed + "data: [DONE]\n\n"},
		{"usage added to options", "/base/v1/chat/completions", `{"stream":true,"stream_options": {"x":1} ,"messages":[]}`, "/base/v1/chat/completions",
			`{"stream":true,"stream_options": {"include_usage":true,"x":1} ,"messages":[]}`, streamed + "data: [DONE]\n\n"},
		{"usage asked for", "/chat/completions", `{"stream":true,"stream_options":{"include_usage":true}}`, "/base/v1/chat/completions",
			`{"stream":true,"stream_options":{"include_usage":true}}`, streamed + streamedUsage + "data: [DONE]\n\n"},
		{"not JSON", "/chat/completions", `{"stream":tru`, "/base/v1/chat/completions", `{"stream":tru`, streamed + streamedUsage + "data: [DONE]\n\n"},
		{"not recorded", "/embeddings", `{}`, "/base/v1/embeddings", `{}`, streamed + streamedUsage + "data: [DONE]\n\n"},
		{"refused", "/chat/completions", `{"x":"refuse"}`, "/base/v1/chat/completions", `{"x":"refuse"}`, ""},
	}
	for _, tt := range tests {
		_, answer := r.post(tt.path, tt.body, "Authorization", "Bearer "+key, "Accept-Encoding", "gzip")
		want := []string{tt.uri, "Bearer " + key, "", tt.forwarded, tt.answer}
		if diff := cmp.Diff(want, []string{got.uri, got.auth, got.encoding, got.body, answer}); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
	lines := r.end()
	if len(lines) != 5 {
		t.Fatalf("%d exchanges, want 5: %v", len(lines), lines)
	}
	if diff := cmp.Diff(map[string]int{"POST /embeddings": 1}, r.proxy.Passed()); diff != "" {
		t.Errorf("passed (-want +got):\n%s", diff)
	}
	first := lines[0]
	if first["path"] != "/chat/completions" || first["usage_added"] != true || first["finish"] != "stop" || first["first_output"] == nil || first["problem"] != nil {
		t.Errorf("first exchange: %v", first)
	}
	for i, want := range []any{nil, nil, nil, "the request is not JSON in UTF-8", nil} {
		if lines[i]["problem"] != want {
			t.Errorf("exchange %d: problem %v, want %v", i, lines[i]["problem"], want)
		}
	}
	checkPrivate(t, r.file, key, secret)
}

// checkPrivate checks that a journal has none of the secrets, and that nobody else may read it.
func checkPrivate(t *testing.T, file string, secrets ...string) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range secrets {
		if bytes.Contains(data, []byte(secret)) {
			t.Errorf("the journal has %q:\n%s", secret, data)
		}
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, error %v", info.Mode(), err)
	}
}

func TestUpstreamIsAway(t *testing.T) {
	r := begin(t, "http://127.0.0.1:1", Rules{})
	status, got := r.post("/v1/messages", `{"messages":[]}`)
	if status != http.StatusBadGateway || !json.Valid([]byte(got)) || !strings.Contains(got, "the upstream 127.0.0.1:1 did not answer") {
		t.Errorf("status %d: %s", status, got)
	}
	if lines := r.end(); len(lines) != 1 || lines[0]["status"] != 502.0 || lines[0]["problem"] != "the upstream did not answer" {
		t.Errorf("%v", lines)
	}
}

func TestTooLongRequest(t *testing.T) {
	r := begin(t, "http://127.0.0.1:1", Rules{})
	status, got := r.post("/v1/responses", strings.Repeat(" ", mostRequest+1))
	if status != http.StatusRequestEntityTooLarge || !strings.Contains(got, "longer than the limit of 33554432 bytes") {
		t.Errorf("status %d: %s", status, got)
	}
	r.end()
}

// Some agents hang up at the last event, some in the middle.
func TestAgentHangsUp(t *testing.T) {
	for _, tt := range []struct {
		name, last string
		problem    any
	}{{"end", "data: [DONE]", nil}, {"middle", ": comment", problemBroken}} {
		hold := make(chan struct{})
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			end := streamed + "data: [DONE]\n\n"
			if tt.problem != nil {
				end = end[:strings.Index(end, tt.last)+len(tt.last)+2]
			}
			io.WriteString(w, end)
			w.(http.Flusher).Flush()
			<-r.Context().Done()
			<-hold
		}))
		r := begin(t, server.URL, Rules{})
		resp, err := http.Post(r.url+"/chat/completions", "application/json", strings.NewReader(`{"stream":true}`))
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(resp.Body)
		for lines.Scan() && lines.Text() != tt.last {
		}
		resp.Body.Close()
		close(hold)
		if lines := r.end(); len(lines) != 1 || lines[0]["problem"] != tt.problem {
			t.Errorf("%s: %v", tt.name, lines)
		}
		server.Close()
	}
}

func TestCompressed(t *testing.T) {
	squeeze := func(s string) string {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		io.WriteString(z, s)
		z.Close()
		return b.String()
	}
	request, answer := squeeze(`{"input":"x"}`), squeeze(`{"id":"r","output":[],"status":"completed"}`)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if body, _ := io.ReadAll(r.Body); string(body) != request {
			t.Error("the request was changed")
		}
		w.Header().Set("Content-Encoding", "gzip")
		io.WriteString(w, answer)
	}))
	defer server.Close()
	r := begin(t, server.URL, Rules{})
	if _, got := r.post("/responses", request, "Content-Encoding", "gzip", "Accept-Encoding", "gzip"); got != answer {
		t.Error("the answer was changed")
	}
	if lines := r.end(); len(lines) != 1 || lines[0]["response_id"] != "r" || lines[0]["problem"] != nil || !cmp.Equal(lines[0]["body"], map[string]any{"input": "x"}) {
		t.Errorf("%v", lines)
	}
}
