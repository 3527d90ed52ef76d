package bus

import (
	"context"
	"slices"
	"strings"
	"time"

	"agentwatt/shared/evidence"
)

// Mirror is how a mirror at the hub is.
type Mirror struct {
	Name, Stream, Host string
	First, Last        uint64 // sequences
	Bytes              uint64
	LastTime           time.Time            // when its last message was stored, at the host; zero: there is none
	Connected          bool                 // it heard of the host within the last half minute
	Behind             uint64               // messages that the host has and the mirror has not, where Connected
	Checkpoint         *evidence.Checkpoint // the last one; nil: none
}

// heard is how long a mirror may hear nothing: its host sends a heartbeat at least that often.
const heard = 30 * time.Second

// Mirrors lists the mirrors of the hub by name, those that have ended included.
func (w *Warden) Mirrors(ctx context.Context) ([]Mirror, error) {
	var out []Mirror
	names := w.js.StreamNames(ctx)
	for name := range names.Name() {
		stream, host, ok := parseMirror(name)
		if !ok {
			continue
		}
		info, err := streamState(ctx, w.js, name)
		if err != nil {
			return nil, err
		}
		m := Mirror{Name: name, Stream: stream, Host: host, First: info.State.FirstSeq, Last: info.State.LastSeq, Bytes: info.State.Bytes}
		if info.State.Msgs > 0 {
			m.LastTime = info.State.LastTime
		}
		if info.Mirror != nil && info.Mirror.Active >= 0 && info.Mirror.Active < heard {
			m.Connected, m.Behind = true, info.Mirror.Lag
		}
		last, err := lastMessage(ctx, w.nc, Witness, witnessSubject(host, name))
		if err != nil {
			return nil, err
		}
		if last.data != nil {
			c, err := evidence.OpenCheckpoint(last.data)
			if err != nil {
				return nil, err
			}
			m.Checkpoint = &c
		}
		out = append(out, m)
	}
	slices.SortFunc(out, func(a, b Mirror) int { return strings.Compare(a.Name, b.Name) })
	return out, names.Err()
}
