package record

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"agentwatt/runner/internal/simulate"
	"agentwatt/runner/internal/trajectory"
)

// recording is a proxy in front of a server.
type recording struct {
	t       testing.TB
	url     string
	file    string
	proxy   *Proxy
	journal *Journal
	stop    func()
}

func begin(t testing.TB, upstream string, rules Rules) *recording {
	t.Helper()
	u, err := url.Parse(upstream)
	if err != nil {
		t.Fatal(err)
	}
	r := &recording{t: t, file: filepath.Join(t.TempDir(), "out.journal")}
	if r.journal, err = CreateJournal(r.file, JournalOptions{Upstream: u, Rules: rules}); err != nil {
		t.Fatal(err)
	}
	if r.proxy, err = New(Options{Upstream: u}); err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.proxy.Serve(ctx, r.journal, ln) }()
	r.url = "http://" + ln.Addr().String()
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(r.stop)
	return r
}

// end ends the recording and returns the lines of the journal without its head.
func (r *recording) end() []map[string]any {
	r.t.Helper()
	http.DefaultClient.CloseIdleConnections()
	r.stop()
	written, err := r.journal.Close()
	if err != nil {
		r.t.Fatal(err)
	}
	data, err := os.ReadFile(r.file)
	if err != nil {
		r.t.Fatal(err)
	}
	var lines []map[string]any
	for line := range bytes.Lines(data) {
		var v map[string]any
		if err := json.Unmarshal(line, &v); err != nil {
			r.t.Fatal(err)
		}
		lines = append(lines, v)
	}
	if len(lines) != written+1 {
		r.t.Fatalf("%d lines, %d exchanges written", len(lines), written)
	}
	return lines[1:]
}

// post sends a request as an agent would and returns what it gets.
func (r *recording) post(path, body string, headers ...string) (int, string) {
	r.t.Helper()
	req, err := http.NewRequest(http.MethodPost, r.url+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return resp.StatusCode, string(got)
}

// model starts the simulated server.
func model(t testing.TB) string {
	t.Helper()
	p, err := simulate.Preset("demo")
	if err != nil {
		t.Fatal(err)
	}
	server, err := simulate.New(p, simulate.Options{Model: "m"})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ctx, ln) }()
	t.Cleanup(func() { cancel(); <-ended })
	return "http://" + ln.Addr().String() + "/v1"
}

const toolList = `[{"function":{"name":"bash","description":"caf\u00e9 <b>"},"type":"function"}]`

// scripted is an agent that plays a fixed session and returns the messages of each request, as it sent them.
func (r *recording) scripted(name string, stream bool) (sent []string) {
	messages := `{"role":"system","content":"be \u0062rief <&>"},{"content":[{"type":"text","text":"task ` + name + `\n\/ \ud83d\ude00"}],"role":"user"}`
	for turn := range 3 {
		sent = append(sent, "["+messages+"]")
		body := fmt.Sprintf(`{"model":"m","stream":%v, "max_tokens":%d,"min_tokens":2,"tools":%s,"messages":[%s]}`, stream, 5+turn, toolList, messages)
		status, got := r.post("/v1/chat/completions", body)
		if status != http.StatusOK || strings.Contains(got, `"usage":{`) == stream {
			r.t.Errorf("status %d; usage is there though not asked for, or is not: %s", status, got)
		}
		messages += fmt.Sprintf(`,{"role":"assistant","content":null,"tool_calls":[{"type":"function","id":"c%d","function":{"arguments":"{\"x\": 1.0}","name":"bash"}}]}`, turn)
		messages += fmt.Sprintf(`,{"role":"tool","tool_call_id":"c%d","content":"out\t%s"}`, turn, name)
		time.Sleep(20 * time.Millisecond) // the tool
	}
	return sent
}

func (r *recording) imported() (*trajectory.Dataset, *trajectory.Report) {
	r.t.Helper()
	d, reports, err := trajectory.Limits{}.Import([]string{r.file}, trajectory.Auto)
	if err != nil {
		r.t.Fatal(err)
	}
	return d, reports[0]
}

// messagesOf is what a replay puts on the wire in a turn, without salt.
func messagesOf(t *trajectory.Trajectory, turn int) string {
	pieces := trajectory.Play{Trajectory: t}.Pieces(turn)
	return "[" + string(bytes.Join(pieces[:], nil)) + "]"
}

// What is recorded is replayed byte for byte, and lengths and tool times are those that were seen.
func TestRecordThenReplay(t *testing.T) {
	for _, stream := range []bool{true, false} {
		r := begin(t, model(t), Rules{})
		sent := r.scripted("a", stream)
		r.end()
		d, report := r.imported()
		if len(d.Trajectories) != 1 || len(d.Trajectories[0].Turns) != len(sent) || report.BadCount > 0 {
			t.Fatalf("stream %v: %s", stream, report)
		}
		tr := d.Trajectories[0]
		for k, want := range sent {
			if diff := cmp.Diff(want, messagesOf(tr, k)); diff != "" {
				t.Errorf("stream %v, turn %d (-sent +replayed):\n%s", stream, k, diff)
			}
			turn := tr.Turns[k]
			if string(turn.Tools) != toolList || turn.MaxOutput != 5+k || turn.Output < 2 || turn.Output > 5+k || turn.Prompt == 0 {
				t.Errorf("stream %v, turn %d: %+v, tools %s", stream, k, turn, turn.Tools)
			}
			if k < 2 && (len(turn.Calls) != 1 || turn.Calls[0].Tool != "bash" || turn.ToolTime() < 20*time.Millisecond || turn.ToolTime() > 10*time.Second) {
				t.Errorf("stream %v, turn %d: calls %v", stream, k, turn.Calls)
			}
		}
	}
}

// Agents that run beside each other become trajectories of their own.
func TestRecordParallel(t *testing.T) {
	const agents = 6
	r := begin(t, model(t), Rules{})
	sent := make([][]string, agents)
	var running sync.WaitGroup
	for i := range agents {
		running.Go(func() { sent[i] = r.scripted(fmt.Sprintf("n%d", i), i%2 == 0) })
	}
	running.Wait()
	r.end()
	d, report := r.imported()
	if len(d.Trajectories) != agents || report.Turns != 3*agents || report.BadCount > 0 {
		t.Fatal(report)
	}
	want, got := map[string]bool{}, map[string]bool{}
	for i, tr := range d.Trajectories {
		want[sent[i][2]], got[messagesOf(tr, 2)] = true, true
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-sent +replayed):\n%s", diff)
	}
}

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
	if first["path"] != "/chat/completions" || first["usage_added"] != true || first["finish"] != "stop" || first["first_token"] == nil || first["problem"] != nil {
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
