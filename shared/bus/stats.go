package bus

import (
	"context"

	"agentwatt/shared/clock"
)

// Stats says how the store is.
type Stats struct {
	Streams []StreamStats // Power first, then the roll-ups
	Hub     HubStats
	Free    int64  // bytes on the disk of the store that may still be written
	Down    string // why the store takes nothing in; empty: it does
}

// StreamStats says how one stream is.
type StreamStats struct {
	Name        string
	Bytes       int64 // on the disk
	Limit       int64 // of Bytes
	Messages    uint64
	First, Last uint64      // sequences; First is Last+1 if there is no message
	FirstTime   clock.Stamp // when those were stored; 0: there is no message
	LastTime    clock.Stamp
}

// HubStats says how things stand with the hub.
type HubStats struct {
	Configured bool
	Connected  bool
	Known      bool   // whether the hub is reading, so that Behind is known
	Behind     uint64 // messages of the stream Power that were not sent to the hub yet
}

// Stats asks every stream how it is.
func (s *Server) Stats(ctx context.Context) (Stats, error) {
	out := Stats{Hub: s.hubStats(ctx), Down: s.health.reason()}
	var err error
	if out.Free, err = freeBytes(s.options.Dir); err != nil {
		return Stats{}, err
	}
	for _, name := range sealed {
		info, err := streamState(ctx, s.js, name)
		if err != nil {
			return Stats{}, err
		}
		st := StreamStats{
			Name: name, Bytes: int64(info.State.Bytes), Limit: info.Config.MaxBytes, Messages: info.State.Msgs,
			First: info.State.FirstSeq, Last: info.State.LastSeq,
		}
		if st.Messages > 0 {
			st.FirstTime, st.LastTime = clock.At(info.State.FirstTime), clock.At(info.State.LastTime)
		}
		out.Streams = append(out.Streams, st)
	}
	return out, nil
}

// Last returns the last batch of each source in the stream Power, by the order of their subjects.
func (s *Server) Last(ctx context.Context) ([]Message, error) { return s.LastIn(ctx, Power) }

// LastIn returns the last message of each source in a stream, by the order of their subjects.
func (s *Server) LastIn(ctx context.Context, stream string) ([]Message, error) {
	f, err := newFetcher(s.js.Conn(), directGet(stream))
	if err != nil {
		return nil, err
	}
	defer f.close()
	var out []Message
	_, err = f.fetch(ctx, getRequest{MultiLast: []string{">"}}, func(m Message) error {
		out = append(out, m)
		return nil
	})
	return out, err
}
