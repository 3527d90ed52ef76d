package endpointtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"
)

// Step is one thing that the server does: wait, write once, end the connection.
type Step struct {
	Wait   time.Duration // after the step before was due
	Bytes  []byte        // written with one write
	Tokens int           // output tokens in Bytes
	Ending Ending
}

// Ending is what a step does to the connection after its write.
type Ending uint8

// The endings of a step.
const (
	Open       Ending = iota // nothing
	Closing                  // close it
	HalfClosed               // no more is sent; the server still reads
	Resetting                // drop it with a TCP reset
)

func (s Step) end(c net.Conn) bool {
	switch s.Ending {
	case Open:
		return true
	case HalfClosed:
		if h, ok := c.(interface{ CloseWrite() error }); ok {
			h.CloseWrite()
		}
		c.SetReadDeadline(time.Now().Add(time.Second))
		c.Read(make([]byte, 1)) // until the client has drawn its conclusion
	case Resetting:
		if t, ok := c.(*net.TCPConn); ok {
			t.SetLinger(0)
		}
	}
	c.Close()
	return false
}

// Raw writes bytes as they are.
func Raw(b string) Step { return Step{Bytes: []byte(b)} }

// Close, HalfClose and Reset end the connection.
func Close() Step { return Step{Ending: Closing} }

// HalfClose ends the server's side of the connection only.
func HalfClose() Step { return Step{Ending: HalfClosed} }

// Reset drops the connection with a TCP reset.
func Reset() Step { return Step{Ending: Resetting} }

// After makes the step wait for d first.
func After(d time.Duration, s Step) Step {
	s.Wait += d
	return s
}

// Plain is a whole response with a length.
func Plain(status int, contentType, body string, headers ...string) Step {
	var b bytes.Buffer
	fmt.Fprintf(&b, "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n", status, http.StatusText(status), contentType, len(body))
	for _, h := range headers {
		b.WriteString(h + "\r\n")
	}
	b.WriteString("\r\n" + body)
	return Step{Bytes: b.Bytes()}
}

// Header begins a chunked event stream. Further header lines come without line ends.
func Header(lines ...string) Step {
	b := "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n"
	for _, h := range lines {
		b += h + "\r\n"
	}
	return Raw(b + "\r\n")
}

// Chunk is one HTTP chunk around bytes that need not be whole events.
func Chunk(b string) Step {
	return Raw(strconv.FormatInt(int64(len(b)), 16) + "\r\n" + b + "\r\n")
}

// Event is one server-sent event in one HTTP chunk.
func Event(data string) Step { return Chunk("data: " + data + "\n\n") }

// Comment is a keep-alive comment.
func Comment(text string) Step { return Chunk(": " + text + "\n\n") }

// Done is the event that ends a stream; End ends the chunked response.
func Done() Step { return Event("[DONE]") }

// End ends the chunked response: the server's final write.
func End() Step { return Raw("0\r\n\r\n") }

const eventHead = `{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"scripted-model",`

// Delta is an event with one choice whose delta has the given members, and that many output tokens.
func Delta(members string, tokens int) Step {
	s := Event(eventHead + `"choices":[{"index":0,"delta":{` + members + `},"logprobs":null,"finish_reason":null}]}`)
	s.Tokens = tokens
	return s
}

// Role is the first chunk of most servers: no output.
func Role() Step { return Delta(`"role":"assistant","content":""`, 0) }

// Content is answer text of that many tokens in one event.
func Content(text string, tokens int) Step { return Delta(`"content":`+quote(text), tokens) }

// Reasoning is reasoning text of that many tokens in one event.
func Reasoning(text string, tokens int) Step {
	return Delta(`"reasoning_content":`+quote(text), tokens)
}

// ToolCall is a piece of a tool call. Id and name may be empty: they come once.
func ToolCall(index int, id, name, arguments string, tokens int) Step {
	call := `"index":` + strconv.Itoa(index)
	if id != "" {
		call += `,"id":` + quote(id) + `,"type":"function"`
	}
	function := `"arguments":` + quote(arguments)
	if name != "" {
		function = `"name":` + quote(name) + `,` + function
	}
	return Delta(`"tool_calls":[{`+call+`,"function":{`+function+`}}]`, tokens)
}

// Finish is the event with the finish reason: no output.
func Finish(reason string) Step {
	return Event(eventHead + `"choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":` + quote(reason) + `}]}`)
}

// Usage is the final event with the token account. A negative detail is left out.
func Usage(prompt, output, cached, reasoning int) Step {
	u := fmt.Sprintf(`"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d`, prompt, output, prompt+output)
	if cached >= 0 {
		u += fmt.Sprintf(`,"prompt_tokens_details":{"cached_tokens":%d}`, cached)
	}
	if reasoning >= 0 {
		u += fmt.Sprintf(`,"completion_tokens_details":{"reasoning_tokens":%d}`, reasoning)
	}
	return Event(eventHead + `"choices":[],"usage":{` + u + `}}`)
}

// Together writes several steps with one write, as a coalescing proxy does. The waits add up before it.
func Together(steps ...Step) Step {
	var one Step
	for _, s := range steps {
		one.Wait += s.Wait
		one.Bytes = append(one.Bytes, s.Bytes...)
		one.Tokens += s.Tokens
	}
	return one
}

// Split writes a step's bytes in pieces of n bytes, gap apart. The tokens count with the last piece.
func Split(s Step, n int, gap time.Duration) []Step {
	var out []Step
	for b := s.Bytes; len(b) > 0; {
		k := min(n, len(b))
		out = append(out, Step{Wait: gap, Bytes: b[:k]})
		b = b[k:]
	}
	out[0].Wait = s.Wait
	out[len(out)-1].Tokens = s.Tokens
	return out
}

// Stream is a whole, ordinary answer: header and role at once, then chunks with per tokens each, the first after first and
// the others gap apart, then finish, usage and the end.
func Stream(chunks, per int, first, gap time.Duration) []Step {
	steps := []Step{Header(), Role()}
	for i := range chunks {
		wait := gap
		if i == 0 {
			wait = first
		}
		steps = append(steps, After(wait, Content(words(per), per)))
	}
	return append(steps, Finish("stop"), Usage(1000, chunks*per, 0, 0), Done(), End())
}

// words returns text of about n tokens.
func words(n int) string {
	return string(bytes.Repeat([]byte(" token"), n))
}

func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err) // a string always has a JSON form
	}
	return string(b)
}
