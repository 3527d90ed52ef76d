package snmp

import (
	"time"

	"agentwatt/shared/clock"
)

// Back-off for a PDU that does not answer: it is asked again after a second, then less and less often.
const (
	firstPause   = time.Second
	longestPause = 30 * time.Second
)

// retry remembers whether a PDU answers and when to ask again.
type retry struct {
	failed int         // polls without an answer, in a row
	next   clock.Stamp // when to ask again
}

// waits reports whether it is too early to ask again.
func (r *retry) waits(now clock.Stamp) bool { return r.failed > 1 && now < r.next }

// lost reports whether the PDU counts as gone: one lost datagram with its repetitions is not enough.
func (r *retry) lost() bool { return r.failed > 1 }

// silent notes that there was no answer.
func (r *retry) silent(now clock.Stamp) {
	r.failed++
	pause := longestPause
	if n := r.failed - 2; n < 5 {
		pause = min(longestPause, firstPause<<max(n, 0))
	}
	r.next = now.Add(pause)
}

// answered notes that there was one.
func (r *retry) answered() { *r = retry{} }
