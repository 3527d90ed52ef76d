package endpoint

import "agentwatt/runner/internal/bench"

// usage is a server's token account. Unknown (-1) where it says nothing; zero is a count.
type usage struct {
	prompt, output, reasoning, cached int
}

func unknownUsage() usage {
	return usage{bench.Unknown, bench.Unknown, bench.Unknown, bench.Unknown}
}

// chunk is what one event of the stream says, as far as METHOD 3 asks.
type chunk struct {
	answer    bool // non-empty content, or a tool call with a non-empty name or arguments
	reasoning bool // non-empty reasoning
	bytes     int  // text of content, reasoning and arguments
	finish    string
	model     text
	usage     usage
	hasUsage  bool
	failed    bool   // an error object
	message   string // of the error

	// For templates: the strings of text that are not empty, and where the last of them stands.
	texts    int
	textAt   int  // offset behind its opening quote
	textLen  int  // bytes to its closing quote
	textSize int  // bytes once decoded
	named    bool // a tool call has a name
}

func (c *chunk) output() bool { return c.answer || c.reasoning }

// toolCalls counts the calls of one answer. Their deltas carry an index; calls may interleave.
type toolCalls struct {
	seen map[int]bool // indices
	last int          // calls without an index
}

func (t *toolCalls) count() int { return len(t.seen) + t.last }

// delta takes one delta of a call; named says that it has a function name, which begins a call where no index is given.
func (t *toolCalls) delta(index int, indexed, named bool) {
	if !indexed {
		if named || t.last == 0 {
			t.last++
		}
		return
	}
	if t.seen == nil {
		t.seen = map[int]bool{}
	}
	t.seen[index] = true
}

// parseChunk reads the JSON of one event. It reports false if that is not one JSON object.
func parseChunk(data []byte, tools *toolCalls) (chunk, bool) {
	k := chunk{usage: unknownUsage()}
	c := cursor{b: data}
	if c.peek() != '{' {
		return k, false
	}
	var object, message text // older servers flag an error by the type of the whole object
	for open := c.enter('{'); open && c.next('}'); {
		switch string(c.key()) {
		case "choices":
			k.choices(&c, tools)
		case "usage":
			if !c.null() {
				k.readUsage(&c)
			}
		case "model":
			k.model = optionalText(&c)
		case "error":
			if !c.null() {
				k.failed, k.message = true, errorMessage(&c)
			}
		case "object":
			object = optionalText(&c)
		case "message":
			message = optionalText(&c)
		default:
			c.skip()
		}
	}
	if string(object.raw) == "error" && !k.failed {
		k.failed, k.message = true, message.decode()
	}
	return k, c.whole()
}

// optionalText reads a string; of anything else it makes none.
func optionalText(c *cursor) text {
	if c.peek() != '"' {
		c.skip()
		return text{}
	}
	return c.str()
}

// errorMessage reads an error value: an object with a message, a string, or anything else as it stands.
func errorMessage(c *cursor) string {
	begin := c.i
	switch c.peek() {
	case '"':
		return c.str().decode()
	case '{':
		var message string
		for open := c.enter('{'); open && c.next('}'); {
			if string(c.key()) == "message" {
				message = optionalText(c).decode()
			} else {
				c.skip()
			}
		}
		if message != "" {
			return message
		}
	default:
		c.skip()
	}
	return string(c.b[begin:c.i])
}

func (k *chunk) choices(c *cursor, tools *toolCalls) {
	for open := c.enter('['); open && c.next(']'); {
		for open := c.enter('{'); open && c.next('}'); {
			switch string(c.key()) {
			case "delta":
				k.delta(c, tools)
			case "finish_reason":
				if s := optionalText(c); s.size > 0 {
					k.finish = s.decode()
				}
			default:
				c.skip()
			}
		}
	}
}

func (k *chunk) delta(c *cursor, tools *toolCalls) {
	reasoning := 0
	for open := c.enter('{'); open && c.next('}'); {
		switch string(c.key()) {
		case "content":
			n := k.text(c)
			k.answer = k.answer || n > 0
			k.bytes += n
		case "reasoning", "reasoning_content": // some servers send the same text under both names
			reasoning = max(reasoning, k.text(c))
		case "tool_calls":
			for open := c.enter('['); open && c.next(']'); {
				k.toolCall(c, tools)
			}
		default:
			c.skip()
		}
	}
	k.reasoning = k.reasoning || reasoning > 0
	k.bytes += reasoning
}

// text returns the bytes of a string value. Content may also be a list of parts: then the bytes of their text.
func (k *chunk) text(c *cursor) (n int) {
	switch c.peek() {
	case '"':
		s := c.str()
		if s.size > 0 {
			k.texts++
			k.textAt, k.textLen, k.textSize = c.i-1-len(s.raw), len(s.raw), s.size
		}
		return s.size
	case '[':
		for open := c.enter('['); open && c.next(']'); {
			n += k.part(c)
		}
	default:
		c.skip()
	}
	return n
}

func (k *chunk) part(c *cursor) (n int) {
	for open := c.enter('{'); open && c.next('}'); {
		if string(c.key()) == "text" {
			n += k.text(c)
		} else {
			c.skip()
		}
	}
	return n
}

func (k *chunk) toolCall(c *cursor, tools *toolCalls) {
	index, indexed, name, args := 0, false, 0, 0
	for open := c.enter('{'); open && c.next('}'); {
		switch string(c.key()) {
		case "index":
			index, indexed = c.count()
		case "function":
			for open := c.enter('{'); open && c.next('}'); {
				switch string(c.key()) {
				case "name":
					name = k.text(c)
				case "arguments":
					args = k.text(c)
				default:
					c.skip()
				}
			}
		default:
			c.skip()
		}
	}
	if name == 0 && args == 0 {
		return // an id alone is no output
	}
	k.answer, k.named = true, k.named || name > 0
	k.bytes += args
	tools.delta(index, indexed, name > 0)
}

// readUsage reads a usage object. The last one of a stream counts.
func (k *chunk) readUsage(c *cursor) {
	if c.peek() != '{' {
		c.skip()
		return
	}
	u, hit := unknownUsage(), bench.Unknown
	for open := c.enter('{'); open && c.next('}'); {
		switch string(c.key()) {
		case "prompt_tokens":
			u.prompt = tokens(c)
		case "completion_tokens":
			u.output = tokens(c)
		case "completion_tokens_details":
			u.reasoning = detail(c, "reasoning_tokens")
		case "prompt_tokens_details":
			u.cached = detail(c, "cached_tokens")
		case "prompt_cache_hit_tokens": // DeepSeek's name
			hit = tokens(c)
		default:
			c.skip()
		}
	}
	if u.cached == bench.Unknown {
		u.cached = hit
	}
	k.usage, k.hasUsage = u, true
}

func tokens(c *cursor) int {
	if n, ok := c.count(); ok {
		return n
	}
	return bench.Unknown
}

// detail returns one member of a nested object of counts.
func detail(c *cursor, name string) int {
	n := bench.Unknown
	for open := c.enter('{'); open && c.next('}'); {
		if string(c.key()) == name {
			n = tokens(c)
		} else {
			c.skip()
		}
	}
	return n
}
