package trajectory

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"
)

// importWeka reads Weka's traces of coding sessions: {id, block_size, hash_id_scope, tool_tokens, system_tokens, requests}, one
// session per file, line or element. Prompts are hashes of blocks.
func (l Limits) importWeka(in io.Reader, file string) (*Dataset, *Report, error) {
	g := l.newGather(in, file, Weka)
	global := framing{}
	return g.each(func(ms []member) error {
		w := weka{g: g, size: 64, f: framing{}}
		id := g.id(ms, "id")
		switch scope, _ := text(find(ms, "hash_id_scope")); scope {
		case "global":
			w.f = global
		case "", "local":
			w.scope = id
		default:
			return fmt.Errorf("hash_id_scope is %q, want local or global", scope)
		}
		o, err := w.conversation(id, ms)
		if err != nil {
			return err
		}
		t, err := g.outlined(o, w.f)
		if err == nil {
			err = t.checkTree(l.trajectory())
		}
		if err != nil {
			return err
		}
		g.add(t)
		return nil
	})
}

func isWeka(ms []member) bool { return has("requests", "block_size")(ms) }

// weka is the state of importing one session.
type weka struct {
	g     *gather
	scope string
	size  int // tokens of a block
	f     framing
}

// wekaItem is a request, or a sub-agent.
type wekaItem struct {
	t, took time.Duration // took: from the request to the end of its answer; of a sub-agent, as long as it ran
	hashed  hashed
	request outlined
	sub     []member // nil: it is a request
}

// conversation reads the session, or a sub-agent of it.
func (w weka) conversation(id string, ms []member) (outline, error) {
	o := outline{id: id, about: without(ms, "requests", "id")}
	for _, field := range []struct {
		key string
		add *int
	}{{"tool_tokens", &o.system}, {"system_tokens", &o.system}, {"block_size", nil}} {
		value := find(ms, field.key)
		if value == nil {
			continue
		}
		n, err := count(value)
		switch {
		case err != nil:
			return o, fmt.Errorf("%s %w", field.key, err)
		case field.add != nil:
			*field.add += n
		case n == 0:
			return o, errors.New("block_size is 0")
		default:
			w.size = n
		}
	}
	list, err := elements(find(ms, "requests"))
	if err != nil {
		return o, fmt.Errorf("requests %w", err)
	}
	items := make([]wekaItem, len(list))
	for i, raw := range list {
		if items[i], err = w.item(raw); err != nil {
			return o, fmt.Errorf("requests[%d] %w", i, err)
		}
	}
	return o, w.fill(&o, items)
}

// item reads one entry of requests.
func (w weka) item(raw []byte) (it wekaItem, err error) {
	ms, err := members(raw)
	if err != nil {
		return it, err
	}
	if it.t, err = optional(ms, "t", 1); err != nil {
		return it, err
	}
	if s, _ := text(find(ms, "type")); s == "subagent" {
		it.sub = ms
		it.took, err = optional(ms, "duration_ms", 1e-3)
		return it, err
	}
	if it.took, err = optional(ms, "api_time", 1); err != nil {
		return it, err
	}
	think, err := optional(ms, "think_time", 1)
	if err != nil {
		return it, err
	}
	if find(ms, "think_time") != nil {
		it.request.before = []Call{{Duration: w.g.pause(think)}}
	}
	in, err := count(find(ms, "in"))
	if err != nil || in == 0 {
		return it, fmt.Errorf("in is %s, not a number of tokens", find(ms, "in"))
	}
	if it.hashed, err = w.g.hashed(in, find(ms, "hash_ids"), w.size); err != nil {
		return it, err
	}
	if out := find(ms, "out"); out != nil {
		if it.request.output, err = count(out); err != nil {
			return it, fmt.Errorf("out %w", err)
		}
	}
	it.request.extra = object(clone(without(ms, "in", "out", "hash_ids")))
	return it, nil
}

// optional reads a number of seconds, or of another unit; 0: it is not there.
func optional(ms []member, key string, unit float64) (time.Duration, error) {
	value := find(ms, key)
	if value == nil {
		return 0, nil
	}
	f, err := strconv.ParseFloat(string(value), 64)
	if f *= unit; err != nil || f < 0 || f > maxUnix {
		return 0, fmt.Errorf("%s is %.40s, not a time", key, value)
	}
	return time.Duration(min(f, maxSeconds*1e3) * 1e9), nil
}

// fill puts the requests into the outline, with their text, and the sub-agents where they belong.
func (w weka) fill(o *outline, items []wekaItem) error {
	var list []hashed
	for _, it := range items {
		if it.sub == nil {
			o.requests = append(o.requests, it.request)
			list = append(list, it.hashed)
		}
	}
	if len(list) == 0 {
		return errors.New("it has no requests")
	}
	for k, text := range prompts(w.scope, o.id, w.size, list) {
		o.requests[k].prompt = text
	}
	return w.place(o, items)
}

// place puts the sub-agents where they began, after the answer before them. The next request waits for them: it has their answers.
func (w weka) place(o *outline, items []wekaItem) error {
	ends := timesAreEnds(items)
	k := -1                // the request before the item
	var free time.Duration // when its answer was there
	for i, it := range items {
		if it.sub == nil {
			k, free = k+1, it.t+it.took
			continue
		}
		sub, err := w.subagent(o, i, it)
		if err != nil {
			return err
		}
		began := it.t
		if ends {
			w.g.report.note("the time of a sub-agent is that of its end, as others would not be over before the request that has their answer")
			began -= it.took
		}
		sub.fork, sub.delay, sub.join = k, clamp(began-free), k+1
		o.subagents = append(o.subagents, sub)
	}
	return nil
}

// timesAreEnds reports whether the times of sub-agents are those of their ends. By the format's description they are those of
// their beginnings; but then, in some files, a request would have an answer that was not there yet.
func timesAreEnds(items []wekaItem) bool {
	const rounded = time.Second // times of requests are given to the second
	var free time.Duration
	late := false
	for i, it := range items {
		if it.sub == nil {
			free = it.t + it.took
			continue
		}
		next := nextRequest(items[i:])
		late = late || next > 0 && it.t+it.took > next+rounded
		if it.t-it.took < free-rounded {
			return false
		}
	}
	return late
}

// nextRequest returns when the first request of items was sent; 0: there is none.
func nextRequest(items []wekaItem) time.Duration {
	for _, it := range items {
		if it.sub == nil {
			return it.t
		}
	}
	return 0
}

func (w weka) subagent(o *outline, i int, it wekaItem) (outlinedSub, error) {
	id, _ := text(find(it.sub, "agent_id"))
	if id == "" {
		id = strconv.Itoa(i)
	}
	part, err := w.conversation(o.id+"/"+id, it.sub)
	if err != nil {
		return outlinedSub{}, fmt.Errorf("sub-agent %q: %w", id, err)
	}
	return outlinedSub{outline: part}, nil
}
