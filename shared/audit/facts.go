package audit

import (
	"strconv"
	"time"

	"agentwatt/shared/clock"
	"agentwatt/shared/power"
	"agentwatt/shared/wire"
)

// The batches in which meterd says what happens to itself, and two notes in them.
const (
	journal   = "meterd"
	noteStart = "start"
	noteStop  = "stop"
	noteStep  = "clock_step_seconds"
)

// facts is what an audit needs of a message's payload.
type facts struct {
	host, run, source string
	seq               uint64
	oldest, newest    clock.Stamp // of the samples; zero: there are none
	losses            []power.Loss
	start, stop       bool
	step              time.Duration // of the host's clock, noticed just before
	place             Place
}

// at ties the facts to their place, which gets the name of the batch.
func (f facts) at(p *Place) *facts {
	if f.run == "" && f.host == "" {
		return nil
	}
	p.Host, p.Run, p.Source, p.Seq = f.host, f.run, f.source, f.seq
	f.place = *p
	return &f
}

// opaque is for payloads that are nothing but bytes here.
func opaque([]byte) (facts, error) { return facts{}, nil }

// batchFacts returns a reader of power batches.
func batchFacts() func([]byte) (facts, error) {
	var decoder wire.Decoder
	var b power.Batch
	return func(message []byte) (facts, error) {
		if err := decoder.Decode(&b, message); err != nil {
			return facts{}, err
		}
		f := facts{host: b.Host, run: b.Run, source: b.Source, seq: b.Seq}
		f.losses = append(f.losses, b.Losses...)
		for _, s := range b.Samples {
			if f.oldest == 0 || s.Time < f.oldest {
				f.oldest = s.Time
			}
			f.newest = max(f.newest, s.Time)
		}
		if b.Source != journal {
			return f, nil
		}
		for _, n := range b.Notes {
			switch n.Key {
			case noteStart:
				f.start = true
			case noteStop:
				f.stop = true
			case noteStep:
				if seconds, err := strconv.ParseFloat(n.Value, 64); err == nil {
					f.step = time.Duration(seconds * float64(time.Second))
				}
			}
		}
		return f, nil
	}
}
