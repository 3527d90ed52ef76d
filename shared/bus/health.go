package bus

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sys/unix"
)

// health is whether the store takes messages.
type health struct {
	mu      sync.Mutex
	why     string
	changed notice
}

// reason says why the store takes nothing in; empty: it does, as far as is known.
func (h *health) reason() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.why
}

// ready returns the reason as an error.
func (h *health) ready() error {
	if why := h.reason(); why != "" {
		return fmt.Errorf("the store takes nothing in: %s", why)
	}
	return nil
}

// set takes note of a reason, and tells those who wait if it is the first one, or the end of all.
func (h *health) set(why string) {
	h.mu.Lock()
	changed := (h.why == "") != (why == "")
	h.why = why
	h.mu.Unlock()
	if changed {
		h.changed.tell()
	}
}

// storeFailed is the code of the server's answer when a stream could not write a message.
const storeFailed = 10077

// judge finds out what an error of storing in a stream says about the store: that the stream has reached its limit, which
// the keeper has to know, or that nothing can be written any more.
func (s *Server) judge(stream string, err error) {
	var api *jetstream.APIError
	switch {
	case errors.As(err, &api) && api.ErrorCode == storeFailed && strings.Contains(api.Description, "maximum"):
		s.sealers[stream].refused.tell()
	case errors.As(err, &api) && api.ErrorCode == storeFailed:
		s.health.set(api.Description)
	case errors.Is(err, jetstream.ErrNoStreamResponse), errors.Is(err, nats.ErrNoResponders), !s.nats.JetStreamEnabled():
		s.health.set("the server has closed the store")
	}
}

const (
	healEvery  = time.Second
	healRoom   = 16 << 20 // bytes free before it is tried: what a block of each stream takes, about
	closeLimit = 10 * time.Second
)

// bringBack opens the store again after it has failed, once there is room on the disk. The NATS server writes nothing into a
// stream any more that it once could not write into, until the store is opened anew; what is stored is read back then. Until
// there is room everything stays as it is, so that what is stored can be read.
func (s *Server) bringBack(ctx context.Context) {
	if free, err := freeBytes(s.options.Dir); err != nil || free < healRoom {
		pause(ctx, healEvery)
		return
	}
	err := s.reopen(ctx)
	if err == nil {
		err = s.tryStore(ctx)
	}
	if err == nil {
		s.options.Log.Info("the store takes batches again")
		s.health.set("")
		return
	}
	if ctx.Err() == nil {
		s.health.set(err.Error())
		pause(ctx, healEvery)
	}
}

// reopen closes the store, which the server itself may be about to do, and opens it.
func (s *Server) reopen(ctx context.Context) error {
	if err := s.nats.ShutdownJetStream(); err != nil {
		return fmt.Errorf("close the store: %w", err)
	}
	for end := time.Now().Add(closeLimit); s.nats.JetStreamConfig() != nil; {
		if time.Now().After(end) || ctx.Err() != nil {
			return errors.New("the store does not close")
		}
		pause(ctx, 10*time.Millisecond)
	}
	config := s.config
	if err := s.nats.EnableJetStream(&config); err != nil {
		return fmt.Errorf("open the store: %w", err)
	}
	return makeStreams(ctx, s.js, s.options)
}

// tryStore writes something that nobody needs.
func (s *Server) tryStore(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	if _, err := s.js.Publish(ctx, cursorRoot+".try", nil); err != nil {
		return fmt.Errorf("write to the store: %w", err)
	}
	return nil
}

// freeBytes is what an unprivileged process may still write to the disk of a directory.
func freeBytes(dir string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, fmt.Errorf("find the room on the disk of %s: %w", dir, err)
	}
	return int64(st.Bavail) * st.Bsize, nil
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
