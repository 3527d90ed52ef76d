package endpoint

import "bytes"

// template is an output event seen before, as what stands around its text. An event with the same bytes around another
// text, not empty, says the same but for the text.
type template struct {
	before, text, after, end int // offsets into kept: [before, text) and [after, end) surround the text; end 0: none
	answer                   bool
	bytes                    int // of text that is not the one that differs
}

// match tells whether b begins with a whole event like the template, and returns its length and its text.
func (t *template) match(kept, b []byte) (int, text) {
	head, tail := kept[t.before:t.text], kept[t.after:t.end]
	if t.end == 0 || !bytes.HasPrefix(b, head) {
		return 0, text{}
	}
	c := cursor{b: b, i: t.text - t.before - 1} // at the opening quote
	s := c.str()
	if s.size == 0 || !bytes.HasPrefix(b[c.i:], tail[1:]) {
		return 0, text{}
	}
	return c.i + len(tail) - 1, s
}

// learn makes a template of the event kept[begin:], if it is one that others can be like. Else the template stays what it
// was: comments come between tokens.
func (t *template) learn(kept []byte, begin int) {
	const field = "data: "
	event := kept[begin:]
	if len(event) > maxLearn || !bytes.HasPrefix(event, []byte(field)) {
		return
	}
	line := bytes.IndexByte(event, '\n')
	if rest := event[line+1:]; len(rest) > len("\r\n") { // more than one line before the empty one
		return
	}
	data := bytes.TrimSuffix(event[len(field):line], []byte("\r"))
	var tools toolCalls
	k, ok := parseChunk(data, &tools)
	if !ok || !k.output() || k.texts != 1 || k.named || k.failed || k.hasUsage || k.finish != "" {
		return
	}
	at := begin + len(field) + k.textAt
	*t = template{
		before: begin, text: at, after: at + k.textLen, end: len(kept),
		answer: k.answer, bytes: k.bytes - k.textSize,
	}
}
