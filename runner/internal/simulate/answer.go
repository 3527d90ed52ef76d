package simulate

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"
)

// answer puts the tokens of a sequence into words: reasoning first, then a tool call or content.
type answer struct {
	digest    uint64
	prompt    int
	length    int
	reasoning int    // the first of the tokens
	tool      string // JSON string: name of the function called; empty: the answer is content
	finish    string // finish_reason
}

// newAnswer decides what a request is told. Two fifths of the tokens are reasoning. Where there are tools, seven of eight
// answers call one.
func newAnswer(r *chatRequest, q *sequence) answer {
	a := answer{digest: q.digest, prompt: q.prompt, length: q.length, reasoning: q.length * 2 / 5, finish: "stop"}
	if n := uint64(len(r.toolNames)); n > 0 && q.digest%8 != 0 {
		name, _ := json.Marshal(r.toolNames[q.digest/8%n]) // a string always marshals
		a.tool, a.finish = string(name), "tool_calls"
	}
	if q.length == q.limit {
		a.finish = "length"
	}
	return a
}

// appendArguments appends the part of a tool call's arguments that output tokens [from, to) carry, escaped for a JSON
// string. The whole is a JSON object.
func (a answer) appendArguments(dst []byte, from, to int) []byte {
	if a.length-a.reasoning == 1 {
		return append(dst, "{}"...)
	}
	if from == a.reasoning {
		dst = append(dst, `{\"input\":\"`...)
		from++
	}
	last := to == a.length
	if last {
		to--
	}
	dst = appendText(dst, a.digest, from, max(from, to))
	if last {
		dst = append(dst, `\"}`...)
	}
	return dst
}

// appendDelta appends the members of the delta of output tokens [from, to).
func (a answer) appendDelta(dst []byte, from, to int) []byte {
	if from < a.reasoning {
		dst = append(dst, `"reasoning_content":"`...)
		dst = appendText(dst, a.digest, from, min(to, a.reasoning))
		dst = append(dst, '"')
		if from = a.reasoning; from >= to {
			return dst
		}
		dst = append(dst, ',')
	}
	if a.tool == "" {
		dst = append(dst, `"content":"`...)
		dst = appendText(dst, a.digest, from, to)
		return append(dst, '"')
	}
	dst = append(dst, `"tool_calls":[{"index":0,`...)
	if from == a.reasoning {
		dst = append(dst, `"id":"call_`...)
		dst = strconv.AppendUint(dst, a.digest, 16)
		dst = append(dst, `","type":"function","function":{"name":`...)
		dst = append(dst, a.tool...)
		dst = append(dst, `,"arguments":"`...)
	} else {
		dst = append(dst, `"function":{"arguments":"`...)
	}
	dst = a.appendArguments(dst, from, to)
	return append(dst, `"}}]`...)
}

// appendUsage appends the usage object after the first emitted output tokens.
func (a answer) appendUsage(dst []byte, emitted, reused int) []byte {
	dst = append(dst, `{"prompt_tokens":`...)
	dst = strconv.AppendInt(dst, int64(a.prompt), 10)
	dst = append(dst, `,"completion_tokens":`...)
	dst = strconv.AppendInt(dst, int64(emitted), 10)
	dst = append(dst, `,"total_tokens":`...)
	dst = strconv.AppendInt(dst, int64(a.prompt+emitted), 10)
	dst = append(dst, `,"prompt_tokens_details":{"cached_tokens":`...)
	dst = strconv.AppendInt(dst, int64(reused), 10)
	dst = append(dst, `},"completion_tokens_details":{"reasoning_tokens":`...)
	dst = strconv.AppendInt(dst, int64(min(emitted, a.reasoning)), 10)
	return append(dst, "}}"...)
}

// stream writes an answer as server-sent events. What does not change between events is built once.
type stream struct {
	answer
	head       string // of every event, up to the choices
	usage      bool   // a last event with the usage
	continuous bool   // usage in every event
	reused     int
	emitted    int
}

func newStream(a answer, r *chatRequest, model, id string, now time.Time) *stream {
	name, _ := json.Marshal(model)
	return &stream{
		answer: a,
		head: fmt.Sprintf(`data: {"id":"%s","object":"chat.completion.chunk","created":%d,"model":%s,"system_fingerprint":"simulated","choices":[`,
			id, now.Unix(), name),
		usage:      r.StreamOptions.IncludeUsage,
		continuous: r.StreamOptions.IncludeUsage && r.StreamOptions.ContinuousUsageStats,
	}
}

// appendRole appends the event that opens the answer. It has no output in it.
func (s *stream) appendRole(dst []byte) []byte {
	dst = append(dst, s.head...)
	dst = append(dst, `{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]`...)
	return s.appendEnd(dst)
}

// appendStep appends the event of the next n tokens.
func (s *stream) appendStep(dst []byte, n int) []byte {
	dst = append(dst, s.head...)
	dst = append(dst, `{"index":0,"delta":{`...)
	dst = s.appendDelta(dst, s.emitted, s.emitted+n)
	dst = append(dst, `},"finish_reason":null}]`...)
	s.emitted += n
	return s.appendEnd(dst)
}

// appendFinish appends what follows the last token: the finish reason, the usage, the end mark.
func (s *stream) appendFinish(dst []byte) []byte {
	dst = append(dst, s.head...)
	dst = append(dst, `{"index":0,"delta":{},"finish_reason":"`...)
	dst = append(dst, s.finish...)
	dst = append(dst, `"}]`...)
	dst = s.appendEnd(dst)
	if s.usage {
		dst = append(dst, s.head...)
		dst = append(dst, `],"usage":`...)
		dst = s.appendUsage(dst, s.emitted, s.reused)
		dst = append(dst, "}\n\n"...)
	}
	return append(dst, "data: [DONE]\n\n"...)
}

// appendEnd closes an event.
func (s *stream) appendEnd(dst []byte) []byte {
	if s.continuous {
		dst = append(dst, `,"usage":`...)
		dst = s.appendUsage(dst, s.emitted, s.reused)
	}
	return append(dst, "}\n\n"...)
}

// appendWhole appends the answer to a request that did not ask for a stream.
func (a answer) appendWhole(dst []byte, model, id string, now time.Time, reused int, usage bool) []byte {
	name, _ := json.Marshal(model)
	dst = fmt.Appendf(dst, `{"id":"%s","object":"chat.completion","created":%d,"model":%s,"system_fingerprint":"simulated","choices":[`,
		id, now.Unix(), name)
	dst = append(dst, `{"index":0,"message":{"role":"assistant",`...)
	if a.tool != "" {
		dst = append(dst, `"content":null,`...)
	}
	dst = a.appendDelta(dst, 0, a.length)
	dst = append(dst, `},"finish_reason":"`...)
	dst = append(dst, a.finish...)
	dst = append(dst, `"}]`...)
	if usage {
		dst = append(dst, `,"usage":`...)
		dst = a.appendUsage(dst, a.length, reused)
	}
	return append(dst, "}\n"...)
}
