package trajectory

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"time"
)

// importMooncake reads Mooncake's traces: one request per row, {timestamp, input_length, output_length, hash_ids}, blocks of 512
// tokens, times in milliseconds. Hash ids mean the same in all rows of a file.
//
// The format has no sessions. A request that has all whole blocks of an earlier one, the last of which no other session has, is
// taken for the next turn of its session.
//
// Alibaba's Bailian traces are alike, with blocks of 16 tokens, times in seconds, and sessions: {chat_id, parent_chat_id}.
func (l Limits) importMooncake(in io.Reader, file string) (*Dataset, *Report, error) {
	m := &mooncake{g: l.newGather(in, file, Mooncake), owner: map[uint64]*mooncakeSession{}, chats: map[string]*mooncakeSession{}}
	return m.g.each(m.row, m.finish)
}

func isMooncake(ms []member) bool {
	return has("input_length", "output_length", "hash_ids")(ms)
}

// The sizes of blocks in tokens.
const (
	mooncakeBlock = 512
	bailianBlock  = 16
)

// mooncake is the state of importing one file.
type mooncake struct {
	g        *gather
	sessions []*mooncakeSession
	owner    map[uint64]*mooncakeSession // by block; shared: more than one session has it
	chats    map[string]*mooncakeSession // Bailian: by the last chat_id
}

type mooncakeSession struct {
	list     []hashed
	requests []outlined
	at       []time.Duration
	size     int
}

// shared is the owner of blocks that more than one session has.
var shared = &mooncakeSession{}

// row takes one request.
func (m *mooncake) row(ms []member) error {
	size, unit := mooncakeBlock, 1e-3
	chat := find(ms, "chat_id")
	if chat != nil {
		size, unit = bailianBlock, 1
	}
	at, err := optional(ms, "timestamp", unit)
	if err != nil {
		return err
	}
	tokens, err := count(find(ms, "input_length"))
	if err != nil || tokens == 0 {
		return fmt.Errorf("input_length is %.40s, not a number of tokens", find(ms, "input_length"))
	}
	h, err := m.g.hashed(tokens, find(ms, "hash_ids"), size)
	if err != nil {
		return err
	}
	r := outlined{extra: object(clone(without(ms, "input_length", "output_length", "hash_ids")))}
	if r.output, err = count(find(ms, "output_length")); err != nil {
		return fmt.Errorf("output_length %w", err)
	}
	var s *mooncakeSession
	if chat != nil {
		s = m.chat(string(chat), string(find(ms, "parent_chat_id")))
	} else {
		s = m.session(h)
	}
	s.size = size
	s.add(m.g, h, r, at)
	return nil
}

// add adds a request to the session.
func (s *mooncakeSession) add(g *gather, h hashed, r outlined, at time.Duration) {
	if n := len(s.at); n > 0 {
		r.before = []Call{{Duration: g.pause(max(at-s.at[n-1], 0))}}
	}
	s.list, s.requests, s.at = append(s.list, h), append(s.requests, r), append(s.at, at)
}

// chat finds the session of a request that names its predecessor, or begins one. Two that name the same are two sessions.
func (m *mooncake) chat(id, parent string) *mooncakeSession {
	s := m.chats[parent]
	if s == nil {
		s = &mooncakeSession{}
		m.sessions = append(m.sessions, s)
	}
	delete(m.chats, parent)
	m.chats[id] = s
	return s
}

// session finds the session that a request continues by its blocks, or begins one.
func (m *mooncake) session(h hashed) *mooncakeSession {
	s := m.continued(h)
	if s == nil {
		s = &mooncakeSession{}
		m.sessions = append(m.sessions, s)
	}
	for _, block := range h.blocks {
		if owner := m.owner[block]; owner == nil {
			m.owner[block] = s
		} else if owner != s {
			m.owner[block] = shared
		}
	}
	return s
}

func (m *mooncake) continued(h hashed) *mooncakeSession {
	for i := len(h.blocks) - 1; i >= 0; i-- {
		s := m.owner[h.blocks[i]]
		if s == nil || s == shared {
			continue
		}
		if last := s.list[len(s.list)-1]; len(last.blocks) == i+1 && last.goesOn(h) {
			return s
		}
	}
	return nil
}

// finish makes the trajectories.
func (m *mooncake) finish() error {
	if len(m.chats) == 0 {
		m.g.report.note("sessions are not recorded: a request that goes on from all blocks of one session continues it")
	}
	m.g.report.note("the times of answers are not recorded: a pause is the time between the requests, answer included")
	f := framing{}
	slices.SortStableFunc(m.sessions, func(a, b *mooncakeSession) int { return cmp.Compare(a.at[0], b.at[0]) })
	for i, s := range m.sessions {
		id := fmt.Sprintf("%s-%d", stem(m.g.in.file), i+1)
		for k, text := range prompts("", id, s.size, s.list) {
			s.requests[k].prompt = text
		}
		t, err := m.g.outlined(outline{id: id, requests: s.requests}, f)
		if err != nil {
			m.g.leave(fmt.Errorf("trajectory %q: %w", id, err))
			continue
		}
		m.g.add(t)
	}
	return nil
}
