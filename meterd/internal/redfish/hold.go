package redfish

import (
	"errors"
	"net/http"
	"strconv"
	"sync"
	"time"

	"agentwatt/shared/clock"
)

// Bounds on how long a service may ask to be left alone, and what is taken where it does not say.
const (
	holdDefault = 2 * time.Second
	holdMost    = 2 * time.Minute
)

var errHeld = errors.New("the service asked to be left alone for a while")

// hold keeps requests back while the service is too busy (429 and 503 with Retry-After).
type hold struct {
	now func() clock.Stamp
	mu  sync.Mutex
	end clock.Stamp
}

func (h *hold) wait() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.now() < h.end {
		return errHeld
	}
	return nil
}

// until notes a Retry-After, in seconds or as a date.
func (h *hold) until(retryAfter string) {
	d := holdDefault
	if s, err := strconv.ParseUint(retryAfter, 10, 31); err == nil {
		d = time.Duration(s) * time.Second
	} else if at, err := http.ParseTime(retryAfter); err == nil {
		d = clock.At(at).Sub(h.now())
	}
	h.mu.Lock()
	h.end = h.now().Add(min(max(d, 0), holdMost))
	h.mu.Unlock()
}
