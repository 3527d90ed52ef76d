package trajectory

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
)

// importJournal reads what runner record writes down: a header, then one exchange per line with the request's body as it was
// sent, its times and its answer (docs/record.md). Requests of other APIs are put into the form of chat completions first.
// Sessions are found as in a log of requests.
func (l Limits) importJournal(in io.Reader, file string) (*Dataset, *Report, error) {
	j := &journal{openAI: newOpenAI(l.newGather(in, file, Journal)), answered: map[string][][]byte{}}
	return j.g.each(j.row, j.finish)
}

// journal is the state of importing one recording.
type journal struct {
	*openAI
	answered map[string][][]byte // by the id of a response: the messages that led to it, and itself
}

// journalVersion is that of the format.
const journalVersion = "1"

// row takes one line.
func (j *journal) row(ms []member) error {
	if version := find(ms, "agentwatt_journal"); version != nil {
		j.g.report.Rows-- // the header is no exchange
		if string(version) != journalVersion {
			return fmt.Errorf("agentwatt_journal is %.40s, want %s", version, journalVersion)
		}
		return nil
	}
	status, err := count(find(ms, "status"))
	if err != nil {
		return fmt.Errorf("status %w", err)
	}
	if status == 0 {
		j.g.report.note("a request without an answer is not replayed")
		return nil
	}
	if status < 200 || status > 299 {
		j.g.report.note("a request that was answered with HTTP " + strconv.Itoa(status) + " is not replayed")
		return nil
	}
	problem, _ := text(find(ms, "problem"))
	if problem != "" {
		j.g.report.note("an exchange is not complete: " + problem)
	}
	body, err := members(find(ms, "body"))
	if err != nil {
		return fmt.Errorf("body %w", err)
	}
	tr, err := j.translate(ms, body)
	if err != nil {
		return err
	}
	beside := without(ms, "body", "answer")
	r := logRow{
		messages: tr.messages, aside: tr.aside,
		arrived: clock(find(ms, "arrived")), ended: clock(find(ms, "ended")), answer: find(ms, "answer"),
	}
	if r.turn, err = j.turn(tr.request, beside); err != nil {
		return err
	}
	if problem != "" {
		r.turn.Output = 0 // what was counted is not all that would have come
	}
	cached, err := cacheUsage(find(ms, "usage"))
	if err != nil {
		return err
	}
	r.turn.Prompt += cached
	return j.take(r)
}

// translate returns the request of an exchange in the form of chat completions.
func (j *journal) translate(ms, body []member) (tr *translation, err error) {
	switch api, _ := text(find(ms, "api")); api {
	case "chat":
		tr = &translation{request: body}
		if tr.messages, err = elements(find(body, "messages")); err != nil {
			err = fmt.Errorf("messages %w", err)
		}
	case "messages":
		tr, err = fromMessages(body)
	case "responses":
		tr, err = j.fromResponses(ms, body)
	default:
		err = fmt.Errorf("its api is %.40q, want chat, messages or responses", api)
	}
	if err == nil && len(tr.messages) == 0 {
		err = errors.New("the request has no messages")
	}
	return tr, err
}

// cacheUsage returns the prompt tokens that the messages API counts apart from its input tokens.
func cacheUsage(value []byte) (sum int, err error) {
	if value == nil {
		return 0, nil
	}
	ms, err := members(value)
	if err != nil {
		return 0, fmt.Errorf("usage %w", err)
	}
	for _, key := range []string{"cache_creation_input_tokens", "cache_read_input_tokens"} {
		if n := find(ms, key); n != nil {
			more, err := count(n)
			if err != nil {
				return 0, fmt.Errorf("%s %w", key, err)
			}
			sum += more
		}
	}
	return sum, nil
}

// translation is a request that is being put into the form of chat completions.
type translation struct {
	messages [][]byte
	aside    []aside
	request  []member // what else the request has, tools included; a key "messages" in it is not looked at
}

// add appends a message.
func (tr *translation) add(ms ...member) { tr.messages = append(tr.messages, object(ms)) }

// note reports a deviation of the message that comes next.
func (tr *translation) note(what string) {
	tr.aside = append(tr.aside, aside{at: len(tr.messages), note: what})
}

// keep keeps what the message that comes next has and chat completions do not.
func (tr *translation) keep(note string, rest []member) {
	if len(rest) > 0 {
		tr.aside = append(tr.aside, aside{at: len(tr.messages), note: note, rest: object(rest)})
	}
}

// roled begins a message.
func roled(role string) member { return member{key: "role", value: appendText(nil, role)} }

// textPart is a content part of type text; value is a JSON string.
func textPart(value []byte) []byte {
	return object([]member{{key: "type", value: []byte(`"text"`)}, {key: "text", value: value}})
}

// imagePart is a content part with an image at a URL, a JSON string.
func imagePart(url []byte) []byte {
	image := object([]member{{key: "url", value: url}})
	return object([]member{{key: "type", value: []byte(`"image_url"`)}, {key: "image_url", value: image}})
}

// contentOf makes a message's content of parts. One part of text alone becomes a string: agents send the same message in both
// forms, and it must stay the same.
func contentOf(parts [][]byte) member {
	m := member{key: "content"}
	if len(parts) == 1 {
		if ms := known(parts[0]); string(find(ms, "type")) == `"text"` {
			m.value = find(ms, "text")
			return m
		}
	}
	m.value = []byte("[")
	for i, p := range parts {
		if i > 0 {
			m.value = append(m.value, ',')
		}
		m.value = append(m.value, p...)
	}
	m.value = append(m.value, ']')
	return m
}

// toolCall makes a tool call; id and name are JSON strings, arguments a compact JSON value of any type or a string already.
func toolCall(id, name, arguments []byte) []byte {
	if len(arguments) == 0 || arguments[0] != '"' {
		arguments = appendText(nil, string(arguments))
	}
	function := object([]member{{key: "name", value: said(name)}, {key: "arguments", value: arguments}})
	return object([]member{{key: "id", value: said(id)}, {key: "type", value: []byte(`"function"`)}, {key: "function", value: function}})
}

// functionTool makes a tool definition; each value may be nil.
func functionTool(name, description, parameters []byte, more ...member) []byte {
	var function []member
	for _, m := range append([]member{{key: "name", value: name}, {key: "description", value: description}, {key: "parameters", value: parameters}}, more...) {
		if !absent(m.value) {
			function = append(function, m)
		}
	}
	return object([]member{{key: "type", value: []byte(`"function"`)}, {key: "function", value: object(function)}})
}

// joined makes a JSON array.
func joined(values [][]byte) []byte {
	out := []byte("[")
	for i, v := range values {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, v...)
	}
	return append(out, ']')
}

// said returns a value, or an empty text where there is none: the rules for messages say what is wrong with that.
func said(value []byte) []byte {
	if value == nil {
		return []byte(`""`)
	}
	return value
}

// isString reports whether a value is a JSON string.
func isString(value []byte) bool { return len(value) > 0 && value[0] == '"' }

// isType tells a member "type" by its value.
func isType(ms []member, names ...string) bool {
	name, _ := text(find(ms, "type"))
	return slices.Contains(names, name)
}
