//go:build linux && cgo

package amdsmi

import (
	"time"

	"agentwatt/shared/clock"
)

// retryLost is how long after the first loss of a GPU the library is started again, which is how it comes to know GPUs that were
// bound again; it doubles up to mostBackOff while GPUs stay lost.
const (
	retryLost   = 5 * time.Second
	mostBackOff = 5 * time.Minute
)

// reviveLost starts the library again if GPUs are lost and it is time. Handles of before are stale then, of all GPUs.
func (s *Source) reviveLost(now clock.Stamp) {
	lost := false
	for _, d := range s.devices {
		lost = lost || d.lost
	}
	switch {
	case !lost:
		s.revived, s.backOff = now, retryLost
		return
	case now.Sub(s.revived) < s.backOff:
		return
	}
	s.revived, s.backOff = now, min(2*s.backOff, mostBackOff)
	for _, d := range s.devices {
		d.handle = nil
	}
	s.lib.shutDown() // fails where the last start did
	if s.lib.init() != success {
		return
	}
	s.note("", "library", "started again")
	sockets, _, _ := s.sockets() // none if it fails
	for _, d := range s.devices {
		for _, k := range sockets {
			if k.pci == d.pci {
				d.handle = k.processors[0]
			}
		}
	}
}
