package record

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
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
