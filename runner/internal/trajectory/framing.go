package trajectory

// mark is where a message begins.
type mark struct {
	at   int // tokens of the prompt before it
	role string
}

// framing marks prompts into messages so that prompts that begin alike are cut alike as far as they do: else the first
// difference of their bytes would be a message that begins, not the text. It knows the prompts of one scope of hashes.
type framing map[uint64][]mark // by the digest of whole fills

// frame marks requests, each of which begins with the one before, into messages. It also returns where the requests end.
func (f framing) frame(requests []outlined, system int) (marks []mark, ends []int) {
	for i, r := range requests {
		n := r.prompt.tokens()
		if i == 0 {
			marks = f.begin(r.prompt, system)
		} else {
			marks = grow(marks, ends[i-1], requests[i-1].output, n)
		}
		ends = append(ends, n)
	}
	return marks, ends
}

// grow adds the messages between a prompt of from tokens and the next, of to tokens: the answer, and at least one token of
// what was added after it.
func grow(marks []mark, from, output, to int) []mark {
	return append(marks, mark{from, "assistant"}, mark{min(from+output, to-1), "user"})
}

// begin marks a prompt with no history before it.
func (f framing) begin(prompt fills, system int) []mark {
	n := prompt.tokens()
	known, shared := f.longest(prompt)
	var marks []mark
	for _, c := range known {
		if c.at < shared {
			marks = append(marks, c)
		}
	}
	if marks == nil {
		marks = []mark{{0, "user"}}
		if system > 0 && system < n {
			marks = []mark{{0, "system"}}
		}
	}
	switch last := &marks[len(marks)-1]; {
	case last.role == "system" && system < n:
		marks = append(marks, mark{system, "user"})
	case last.role == "assistant" && last.at <= shared && shared < n:
		marks = append(marks, mark{shared, "user"})
	case last.role != "user":
		last.role = "user" // the whole prompt is the beginning of one known, up to where that had something else: something must be asked
	}
	return marks
}

// longest returns the marks of the prompt that begins with the most whole fills of this one, and how many tokens these are.
func (f framing) longest(prompt fills) (marks []mark, shared int) {
	at, h := 0, uint64(0)
	for _, part := range prompt {
		h = part.digest(h)
		at += part.n
		if c, ok := f[h]; ok {
			marks, shared = c, at
		}
	}
	return marks, shared
}

// keep remembers how a prompt was cut.
func (f framing) keep(prompt fills, marks []mark) {
	h := uint64(0)
	for _, part := range prompt {
		h = part.digest(h)
		if _, ok := f[h]; !ok {
			f[h] = marks
		}
	}
}

// digest continues the digest of the fills before this one.
func (p fill) digest(before uint64) uint64 {
	return mix(mix(before+uint64(p.id)) + uint64(p.n) + 1)
}
