package rollup

import (
	"time"

	"agentwatt/shared/clock"
	"agentwatt/shared/power"
)

// Message is what is stored of roll-ups: rows of one resolution, of one source in one run of meterd. wire.EncodeRollup writes it.
type Message struct {
	Host, Boot, Run, Source string        // as in the batches that it is made from
	Number                  uint64        // from 1, without a gap within (Host, Source, Resolution)
	Resolution              time.Duration // one of Resolutions
	Series                  []Series      // one per meter
	State                   []int64       // for meterd itself, with Series.State: how to go on from here. Rows of a second only
}

// Series is a meter and its rows, in order and without a hole between them. The first row begins where the last one of the
// message before ended, if that was of the same run.
type Series struct {
	Meter power.Meter
	Rows  []Row
	State *State // see Message.State; nil: none
}

// State is what a meter needs to go on. Only this package knows what it means.
type State struct {
	Numbers []int64
	Rows    []Row
}

// Rows counts the rows of m.
func (m *Message) Rows() int {
	n := 0
	for i := range m.Series {
		n += len(m.Series[i].Rows)
	}
	return n
}

// End returns the end of the last row; 0: there are none.
func (m *Message) End() (end clock.Stamp) {
	for i := range m.Series {
		if n := len(m.Series[i].Rows); n > 0 {
			end = max(end, m.Series[i].Rows[n-1].End())
		}
	}
	return end
}
