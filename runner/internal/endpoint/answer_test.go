package endpoint

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"agentwatt/runner/internal/bench"
	. "agentwatt/runner/internal/endpoint/endpointtest"
	"agentwatt/shared/clock"
)

// counts is the part of a reply that does not depend on time or on how the bytes were split.
type counts struct {
	Status                                   int
	Failure                                  bench.Failure
	Detail, Finish, Model                    string
	Events, Chunks                           int
	Prompt, Cached, Output, Reasoning, First int
	Known                                    bool
	Tools, Bytes                             int
}

func countsOf(r bench.Reply) counts {
	return counts{r.Status, r.Failure, r.Detail, r.Finish, r.Model, r.Events, r.Chunks, r.Prompt, r.Cached, r.Output,
		r.Reasoning, r.FirstChunk, r.FirstKnown, r.ToolCalls, r.OutputBytes}
}

// good returns the counts of an ordinary answer, for a case to change.
func good(change func(*counts)) counts {
	c := counts{Status: 200, Finish: "stop", Model: "scripted-model", Prompt: 9, Cached: -1, Output: 4, Reasoning: -1, First: 1}
	change(&c)
	return c
}

// failed returns the counts of an answer that failed before any event.
func failed(status int, kind bench.Failure, detail string) counts {
	return counts{Status: status, Failure: kind, Detail: detail, Prompt: -1, Cached: -1, Output: -1, Reasoning: -1}
}

type answerCase struct {
	name  string
	steps []Step
	want  counts
}

const plainHeader = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"

func answerCases() []answerCase {
	return append(append(eventCases(), failureCases()...), httpCases()...)
}

func eventCases() []answerCase {
	end := []Step{Finish("stop"), Usage(9, 4, -1, -1), Done(), End()}
	with := func(steps ...Step) []Step { return append(append([]Step{Header()}, steps...), end...) }
	const a = `{"model":"scripted-model","choices":[{"delta":{"content":"héllo"}}]}`
	const fin = `{"model":"scripted-model","choices":[{"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":4}}`
	return []answerCase{
		{"ordinary", Stream(3, 1, 0, 0), good(func(c *counts) {
			c.Events, c.Chunks, c.Prompt, c.Cached, c.Output, c.Reasoning, c.Bytes = 6, 3, 1000, 0, 3, 0, 18
		})},
		{"eight tokens per chunk", Stream(3, 8, 0, 0), good(func(c *counts) {
			c.Events, c.Chunks, c.Prompt, c.Cached, c.Output, c.Reasoning, c.Bytes = 6, 3, 1000, 0, 24, 0, 3*8*6
		})},
		{"one write for everything", []Step{Together(Stream(3, 1, 0, 0)...)}, good(func(c *counts) {
			c.Events, c.Chunks, c.Prompt, c.Cached, c.Output, c.Reasoning, c.Bytes = 6, 3, 1000, 0, 3, 0, 18
		})},
		{"role, empty, comment, null and id-only are no output", with(Role(), Comment("ping"), Delta(`"content":null,"reasoning":""`, 0),
			Delta(`"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"","arguments":""}}]`, 0), Content("a", 4)),
			good(func(c *counts) { c.Events, c.Chunks, c.Bytes = 6, 1, 1 })},
		{"reasoning by both names counts once", with(Reasoning("ab", 1), Delta(`"reasoning":"cd","reasoning_content":"cd"`, 1), Delta(`"reasoning":"e"`, 1), Content("f", 1)),
			good(func(c *counts) { c.Events, c.Chunks, c.Bytes = 6, 4, 6 })},
		{"interleaved tool calls", with(ToolCall(0, "c0", "grep", "", 1), ToolCall(1, "c1", "ls", "", 1), ToolCall(0, "", "", `{"q":`, 1), ToolCall(1, "", "", "{}", 1), ToolCall(0, "", "", `"x"}`, 1)),
			good(func(c *counts) { c.Events, c.Chunks, c.Tools, c.Bytes = 7, 5, 2, 11 })},
		{"tool calls without an index", with(Delta(`"tool_calls":[{"function":{"name":"a","arguments":"{}"}},{"function":{"name":"b"}}]`, 2), Delta(`"tool_calls":[{"function":{"arguments":"{}"}}]`, 2)),
			good(func(c *counts) { c.Events, c.Chunks, c.Tools, c.Bytes = 4, 2, 2, 4 })},
		{"content in parts", with(Delta(`"content":[{"type":"text","text":"ab"},{"type":"text","text":""}]`, 4), Delta(`"content":[]`, 0)),
			good(func(c *counts) { c.Events, c.Chunks, c.Bytes = 4, 1, 2 })},
		{"escapes count as what they stand for", with(Delta(`"content":"\n\"\u00e9\ud83d\ude00\u003c"`, 4)),
			good(func(c *counts) { c.Events, c.Chunks, c.Bytes = 3, 1, 9 })},
		{"continuous usage", with(Event(`{"choices":[{"delta":{"content":"abc"}}],"usage":{"prompt_tokens":9,"completion_tokens":3}}`), Content("d", 1)),
			good(func(c *counts) { c.Events, c.Chunks, c.Bytes, c.First, c.Known = 4, 2, 4, 3, true })},
		{"last usage that is not null counts, zero is a count", []Step{Header(), Content("a", 4),
			Event(`{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":7}}}`),
			Event(`{"choices":[],"usage":{"prompt_tokens":0,"completion_tokens":4,"completion_tokens_details":{"reasoning_tokens":0},"prompt_cache_hit_tokens":5}}`),
			Event(`{"choices":[],"usage":null}`), Finish("stop"), Done(), End()},
			good(func(c *counts) {
				c.Events, c.Chunks, c.Bytes, c.Prompt, c.Cached, c.Reasoning = 5, 1, 1, 0, 5, 0
			})},
		{"no usage", []Step{Header(), Content("a", 1), Finish("stop"), Done(), End()},
			good(func(c *counts) { c.Events, c.Chunks, c.Bytes, c.Prompt, c.Output = 2, 1, 1, -1, -1 })},
		{"finish without [DONE]", []Step{Header(), Content("a", 4), Finish("stop"), Usage(9, 4, -1, -1), End()},
			good(func(c *counts) { c.Events, c.Chunks, c.Bytes = 3, 1, 1 })},
		{"[DONE] without finish", []Step{Header(), Content("a", 4), Usage(9, 4, -1, -1), Done(), End()},
			good(func(c *counts) { c.Events, c.Chunks, c.Bytes, c.Finish = 2, 1, 1, "" })},
		{"CRLF", []Step{Header(), Chunk("data: " + a + "\r\n\r\ndata: " + fin + "\r\n\r\ndata: [DONE]\r\n\r\n"), End()},
			good(func(c *counts) { c.Events, c.Chunks, c.Bytes = 2, 1, 6 })},
		{"CR", []Step{Header(), Chunk("data: " + a + "\r\rdata: " + fin + "\r\rdata: [DONE]\r\r"), End()},
			good(func(c *counts) { c.Events, c.Chunks, c.Bytes = 2, 1, 6 })},
		{"BOM, event and id lines, no space, unknown fields", []Step{Header(), Chunk("\ufeffevent: message\nid: 1\nretry: 5\ndata:" + a + "\n\nfoo\n\ndata\n\ndata:" + fin + "\n\n"), End()},
			good(func(c *counts) { c.Events, c.Chunks, c.Bytes = 2, 1, 6 })},
		{"data over several lines", []Step{Header(), Chunk("data: {\"model\":\"scripted-model\",\ndata: \"choices\":\ndata: [{\"delta\":{\"content\":\"abc\"}}]}\n\ndata: " + fin + "\n\n"), End()},
			good(func(c *counts) { c.Events, c.Chunks, c.Bytes = 2, 1, 3 })},
		{"data over several lines that end in CRLF", []Step{Header(), Chunk("data: {\"model\":\"scripted-model\",\r\ndata: \"choices\":\r\n: ping\r\ndata: [{\"delta\":{\"content\":\"abc\"}}]}\r\n\r\ndata: " + fin + "\r\n\r\n"), End()},
			good(func(c *counts) { c.Events, c.Chunks, c.Bytes = 2, 1, 3 })},
		{"last event without its empty line", []Step{Header(), Chunk("data: " + a + "\n\ndata: " + fin), End()},
			good(func(c *counts) { c.Events, c.Chunks, c.Bytes = 2, 1, 6 })},
		{"every byte a chunk of its own", []Step{Header(), Together(bytewise("data: " + a + "\n\ndata: " + fin + "\n\ndata: [DONE]\n\n")...), End()},
			good(func(c *counts) { c.Events, c.Chunks, c.Bytes = 2, 1, 6 })},
		{"a line of 300 KB", with(Content(strings.Repeat("long ", 60<<10), 4)),
			good(func(c *counts) { c.Events, c.Chunks, c.Bytes = 3, 1, 5*60<<10 })},
		{"duplicate members: the last wins", with(Event(`{"model":"x","model":"scripted-model","choices":[{"delta":{"content":"ab"}}]}`)),
			good(func(c *counts) { c.Events, c.Chunks, c.Bytes = 3, 1, 2 })},
	}
}

func bytewise(s string) (steps []Step) {
	for i := range len(s) {
		steps = append(steps, Chunk(s[i:i+1]))
	}
	return steps
}

func failureCases() []answerCase {
	one := good(func(c *counts) {
		c.Events, c.Chunks, c.Bytes, c.Prompt, c.Output, c.Finish = 1, 1, 1, -1, -1, ""
	})
	but := func(c counts, kind bench.Failure, detail string) counts {
		c.Failure, c.Detail = kind, detail
		return c
	}
	more := func(c counts) counts { c.Events++; return c }
	return []answerCase{
		{"error in the stream", []Step{Header(), Content("a", 1), Event(`{"error":{"message":"KV cache\nis full","code":500}}`), Done(), End()},
			more(but(one, bench.FailStream, "KV cache is full"))},
		{"error as a string", []Step{Header(), Content("a", 1), Event(`{"error":"overloaded"}`), End()},
			more(but(one, bench.FailStream, "overloaded"))},
		{"error by event name", []Step{Header(), Content("a", 1), Chunk("event: error\ndata: engine died\n\n"), Close()},
			more(but(one, bench.FailStream, "engine died"))},
		{"error by object type", []Step{Header(), Content("a", 1), Event(`{"object":"error","message":"bad","error":null}`), Done(), End()},
			more(but(one, bench.FailStream, "bad"))},
		{"ends without its end", []Step{Header(), Content("a", 1), End()},
			but(one, bench.FailTruncated, "the stream ended without finish_reason or [DONE]")},
		{"closed inside the response", []Step{Header(), Content("a", 1), Close()},
			but(one, bench.FailTruncated, "the connection was closed inside the response")},
		{"half closed inside the response", []Step{Header(), Content("a", 1), HalfClose()},
			but(one, bench.FailTruncated, "the connection was closed inside the response")},
		{"closed inside an event", []Step{Header(), Content("a", 1), Raw("20\r\ndata: {\"choices\":[{\"del"), Close()},
			but(one, bench.FailTruncated, "the connection was closed inside the response")},
		{"closed behind [DONE] without the last chunk", []Step{Header(), Content("a", 4), Finish("stop"), Usage(9, 4, -1, -1), Done(), Close()},
			good(func(c *counts) { c.Events, c.Chunks, c.Bytes = 3, 1, 1 })},
		{"no output", []Step{Header(), Role(), Finish("stop"), Usage(9, 0, -1, -1), Done(), End()},
			good(func(c *counts) {
				c.Events, c.Output, c.First, c.Failure, c.Detail = 3, 0, 0, bench.FailEmpty, "the stream held no output"
			})},
		{"usage of zero tokens", []Step{Header(), Content("a", 1), Finish("stop"), Usage(9, 0, -1, -1), Done(), End()},
			good(func(c *counts) {
				c.Events, c.Chunks, c.Bytes, c.Output = 3, 1, 1, 0
				c.Failure, c.Detail = bench.FailEmpty, "usage says 0 output tokens although 1 events held output"
			})},
		{"nothing at all", []Step{Header(), End()}, failed(200, bench.FailTruncated, "the stream ended without finish_reason or [DONE]")},
		{"not JSON", []Step{Header(), Content("a", 1), Event(`{"choices":[`), Done(), End()},
			but(one, bench.FailProtocol, `event 2 is not a JSON object: {"choices":[`)},
		{"not streamed", []Step{Plain(200, "application/json", `{"choices":[{"message":{"content":"hi"}}]}`)},
			failed(200, bench.FailProtocol, "answered without streaming")},
		{"error with status 200", []Step{Plain(200, "application/json", `{"error":{"message":"no such model"}}`)},
			failed(200, bench.FailStream, "no such model")},
		{"a page", []Step{Plain(200, "text/html", `<html>login</html>`)},
			failed(200, bench.FailProtocol, `answered "text/html", not an event stream`)},
	}
}

func httpCases() []answerCase {
	ok := good(func(c *counts) { c.Events, c.Chunks, c.Bytes = 3, 1, 1 })
	body := string(Together(Content("a", 4), Finish("stop"), Usage(9, 4, -1, -1), Done()).Bytes)
	events := "data: {\"model\":\"scripted-model\",\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n" +
		"data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n" +
		"data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":4}}\n\ndata: [DONE]\n\n"
	return []answerCase{
		{"interim responses", []Step{Raw("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"), Header(), Raw(body), End()}, ok},
		{"delimited by close", []Step{Raw(plainHeader + events), Close()}, ok},
		{"delimited by length", []Step{Plain(200, "text/event-stream; charset=utf-8", events)}, ok},
		{"no content type", []Step{Raw("HTTP/1.1 200 OK\r\n\r\n" + events), Close()}, ok},
		{"chunk extensions, upper case sizes and trailers", []Step{Header(), Raw("0B;a=b\r\n: comment\n\n\r\n"), Raw(body), Raw("000;x\r\nX-Trailer: 1\r\nY: 2\r\n\r\n")}, ok},
		{"lines of the header end with LF", []Step{Raw("HTTP/1.1 200 OK\ntransfer-encoding: Chunked\ncontent-type: text/event-stream\n\n" + body), End()}, ok},
		{"status 429", []Step{Plain(429, "application/json", `{"error":{"message":"slow down"}}`)}, failed(429, bench.FailStatus, "slow down")},
		{"status 500 with a page", []Step{Plain(500, "text/html", "<h1>\x01Oops</h1>\r\n\r\n  there")}, failed(500, bench.FailStatus, "<h1>\uFFFDOops</h1> there")},
		{"a redirect", []Step{Plain(307, "text/plain", "", "Location: http://elsewhere/v1")}, failed(307, bench.FailStatus, "redirected to http://elsewhere/v1, which is not followed")},
		{"a long error", []Step{Plain(400, "text/plain", strings.Repeat("é", 1000))}, failed(400, bench.FailStatus, strings.Repeat("é", 149))},
		{"compressed", []Step{Plain(200, "text/event-stream", events, "Content-Encoding: gzip")},
			failed(200, bench.FailProtocol, `protocol: content is encoded as "gzip" although identity was asked for`)},
		{"not HTTP", []Step{Raw("SSH-2.0-OpenSSH\r\n\r\n"), Close()},
			failed(0, bench.FailProtocol, `protocol: not an HTTP/1.1 response: it begins "SSH-2.0-OpenSSH"`)},
		{"bad chunk size", []Step{Header(), Raw("zz\r\n"), Close()},
			failed(200, bench.FailProtocol, `protocol: chunked encoding: 'z' where a size should be`)},
		{"closed without an answer", []Step{Close()}, failed(0, bench.FailConnect, "the connection was closed before an answer")},
		{"closed inside the header", []Step{Raw("HTTP/1.1 200 OK\r\nConte"), Close()}, failed(0, bench.FailTruncated, "read response header: the connection was closed inside the response")},
	}
}

// TestAnswers plays every case over TCP, TLS and memory, in one write per step and byte by byte: what is counted must not depend on it.
func TestAnswers(t *testing.T) {
	clk := clock.New()
	for _, tc := range answerCases() {
		t.Run(tc.name, func(t *testing.T) {
			for _, way := range []Script{{}, {TLS: true}} {
				way.Answer, way.Clock = always(tc.steps...), clk
				got := ask(t, newClient(t, Start(t, way), clk, nil))
				if diff := cmp.Diff(tc.want, countsOf(got)); diff != "" {
					t.Errorf("tls %v: (-want +got)\n%s", way.TLS, diff)
				}
				checkStamps(t, got)
			}
		})
	}
}

// TestAnswersInMemory is TestAnswers in virtual time, in pieces of a few bytes with pauses between them.
func TestAnswersInMemory(t *testing.T) {
	for _, tc := range answerCases() {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var steps []Step
				for _, s := range tc.steps {
					if len(s.Bytes) == 0 || len(s.Bytes) > 10<<10 {
						steps = append(steps, s)
						continue
					}
					steps = append(steps, Split(s, 7, time.Millisecond)...)
					steps[len(steps)-1].Ending = s.Ending
				}
				clk := clock.New()
				s, err := Serve(Script{Answer: always(steps...), Memory: true, Clock: clk})
				if err != nil {
					t.Fatal(err)
				}
				defer s.Close()
				got := ask(t, newClient(t, s, clk, nil))
				if diff := cmp.Diff(tc.want, countsOf(got)); diff != "" {
					t.Errorf("(-want +got)\n%s", diff)
				}
				checkStamps(t, got)
			})
		})
	}
}

// checkStamps checks what holds for every reply: the stamps that happened are in order.
func checkStamps(t *testing.T, r bench.Reply) {
	t.Helper()
	last := r.WriteBegin
	for _, s := range []struct {
		name string
		at   clock.Stamp
	}{{"headers", r.Headers}, {"first byte", r.FirstByte}, {"first output", r.FirstOutput}, {"last output", r.LastOutput}, {"done", r.Done}} {
		if s.at == 0 {
			continue
		}
		if s.at < last {
			t.Errorf("%s at %v is before the stamp before it, %v", s.name, s.at, last)
		}
		last = s.at
	}
	if r.WriteBegin == 0 || r.Done == 0 {
		t.Errorf("write begin %v, done %v: want both", r.WriteBegin, r.Done)
	}
	if (r.Chunks > 0) != (r.FirstOutput != 0) || (r.Chunks > 0) != (r.LastOutput != 0) {
		t.Errorf("%d output events but first output %v, last %v", r.Chunks, r.FirstOutput, r.LastOutput)
	}
}
