package record

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// played is a server that gives one answer after the other.
func played(t *testing.T, answers ...string) string {
	next := make(chan string, len(answers))
	for _, a := range answers {
		next <- a
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		io.WriteString(w, <-next)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// A session with the messages API: the answer is the agent's next history, secrets are the same in all requests, so the second
// request is the next turn.
func TestRecordMessages(t *testing.T) {
	first := stream(`{"type":"message_start","message":{"id":"i","model":"c","usage":{"input_tokens":4,"cache_read_input_tokens":90,"output_tokens":1}}}`,
		`{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"t1","name":"bash","input":{}}}`,
		`{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{\"command\":\"env\"}"}}`,
		`{"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":30}}`, `{"type":"message_stop"}`)
	last := stream(`{"type":"message_start","message":{"id":"j","model":"c","usage":{"input_tokens":9}}}`,
		`{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`,
		`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"it is AKIA0123456789"}}`,
		`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"ABCDEF"}}`,
		`{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":7}}`, `{"type":"message_stop"}`)
	r := begin(t, played(t, first, last), Rules{})
	const secret = "AKIA0123456789ABCDEF"
	messages := `{"role":"user","content":[{"type":"text","text":"use ` + secret + `","cache_control":{"type":"ephemeral"}}]}`
	head := `{"model":"c","max_tokens":99,"stream":true,"system":"be brief","messages":[`
	if _, got := r.post("/v1/messages?beta=true", head+messages+`]}`, "X-Api-Key", "key-of-the-agent"); got != first {
		t.Errorf("the agent got %s", got)
	}
	messages = `{"role":"user","content":"use ` + secret + `"},{"role":"assistant","content":[{"type":"tool_use","id":"t1","name":"bash","input":{"command":"env"}}]},` +
		`{"role":"user","content":[{"type":"tool_result","tool_use_id":"t1","content":"A=` + secret + `\nB=key-of-the-agent"}]}`
	r.post("/v1/messages?beta=true", head+messages+`]}`, "X-Api-Key", "key-of-the-agent")
	r.end()
	checkPrivate(t, r.file, secret, "key-of-the-agent")

	d, report := r.imported()
	if len(d.Trajectories) != 1 || len(d.Trajectories[0].Turns) != 2 {
		t.Fatal(report)
	}
	tr := d.Trajectories[0]
	want := `[{"role":"system","content":"be brief"},{"role":"user","content":"use [redacted:aws-key]"},` +
		`{"role":"assistant","content":null,"tool_calls":[{"id":"t1","type":"function","function":{"name":"bash","arguments":"{\"command\":\"env\"}"}}]},` +
		`{"role":"tool","tool_call_id":"t1","content":"A=[redacted:aws-key]\nB=[redacted:credential]"}]`
	if diff := cmp.Diff(want, digits.ReplaceAllString(messagesOf(tr, 1), "]")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	a, b := tr.Turns[0], tr.Turns[1]
	if a.Prompt != 94 || a.Output != 30 || b.Prompt != 9 || b.Output != 7 || len(a.Calls) != 1 || a.Calls[0].Tool != "bash" || a.ToolTime() <= 0 {
		t.Errorf("turns %+v and %+v", a, b)
	}
	if extra := digits.ReplaceAllString(string(b.Extra), "]"); !strings.Contains(extra, `"text":"it is [redacted:aws-key]"`) {
		t.Errorf("the last answer: %s", extra)
	}
	counts, err := Redacted(r.file)
	if err != nil || counts["aws-key"] != (Count{1, 4}) || counts["credential"] != (Count{1, 1}) {
		t.Errorf("redacted %v, error %v", counts, err)
	}
}

// When the journal cannot be written the agent works on, and the end says so.
func TestJournalBreaks(t *testing.T) {
	r := begin(t, played(t, streamed, streamed), Rules{})
	r.post("/chat/completions", `{"stream":true}`)
	r.journal.file.Close()
	if status, got := r.post("/chat/completions", `{"stream":true}`); status != http.StatusOK || got != streamed {
		t.Errorf("status %d: %s", status, got)
	}
	http.DefaultClient.CloseIdleConnections()
	r.stop()
	if written, err := r.journal.Close(); written != 1 || err == nil || !strings.Contains(err.Error(), "write the journal") {
		t.Errorf("%d written, error %v", written, err)
	}
}

// A rule that matches digits takes nothing from the times.
func TestTimesAreKept(t *testing.T) {
	r := begin(t, played(t, streamed), Rules{Rules: []Rule{{"number", `\d{2,}`}}})
	r.post("/chat/completions", `{"stream":true,"messages":[{"role":"user","content":"12345"}]}`)
	line := r.end()[0]
	for _, key := range []string{"arrived", "first_output", "ended"} {
		value, _ := line[key].(string)
		if _, err := time.Parse(time.RFC3339Nano, value); err != nil {
			t.Error(err)
		}
	}
	if body := fmt.Sprint(line["body"]); !strings.Contains(body, "[redacted:number:") {
		t.Errorf("the number is still there: %s", body)
	}
}

func TestCreateJournal(t *testing.T) {
	u := &url.URL{Scheme: "http", Host: "h"}
	path := filepath.Join(t.TempDir(), "j")
	for _, tt := range []struct {
		replace, ok bool
	}{{false, true}, {false, false}, {true, true}} {
		j, err := CreateJournal(path, JournalOptions{Upstream: u, Replace: tt.replace})
		if (err == nil) != tt.ok {
			t.Fatalf("replace %v: error %v", tt.replace, err)
		}
		if err == nil {
			if _, err := j.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}
