package simulate

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Options say how an engine is served.
type Options struct {
	Model   string   // id it answers to; empty: "simulated/engine"
	Key     string   // bearer key that /v1/ asks for; empty: none
	Faults  Faults   // misbehaviour, for tests of clients
	History *History // filled with every step; nil: not kept
}

// Faults make the server misbehave as real ones do, so that clients can be tested. The zero value behaves.
type Faults struct {
	Unauthorized bool // every request under /v1/ is answered with 401
	NoStream     bool // streaming is ignored: the answer comes whole
	NoUsage      bool // usage is never reported
	BreakAfter   int  // a stream sends an error event instead of more once this many tokens were sent; 0: never
}

// Server serves one engine over HTTP. Make it with New; serve it once.
type Server struct {
	p       Params
	options Options
	engine  *engine
	served  atomic.Uint64 // requests so far, for their ids
}

// New returns a server of an engine that nobody uses yet. Its energy account starts now. The error says which parameters
// make no engine.
func New(p Params, o Options) (*Server, error) {
	if err := p.Validate(); err != nil {
		return nil, fmt.Errorf("checking the engine's parameters: %w", err)
	}
	if o.Model == "" {
		o.Model = "simulated/engine"
	}
	return &Server{p: p, options: o, engine: newEngine(p, o.History)}, nil
}

// Truth returns what the engine really did.
func (s *Server) Truth() Truth { return s.engine.truth() }

// Serve runs the engine and answers requests on ln until ctx ends; it closes ln. Requests in flight are then cut off.
// It returns nil if ctx ended, and only when everything it started has ended.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var connections sync.WaitGroup
	hs := &http.Server{
		Handler:           s.handler(),
		ReadHeaderTimeout: 30 * time.Second,
		ConnState: func(_ net.Conn, state http.ConnState) {
			switch state {
			case http.StateNew: // called by hs.Serve itself, so none is added after it returned
				connections.Add(1)
			case http.StateClosed, http.StateHijacked:
				connections.Done()
			}
		},
	}
	var running sync.WaitGroup
	running.Go(func() { s.engine.run(ctx) })
	ended := make(chan error, 1)
	go func() { ended <- hs.Serve(ln) }()

	var err error
	select {
	case <-ctx.Done():
		hs.Close()
		err = <-ended
	case err = <-ended: // the listener broke
		cancel()
		hs.Close()
	}
	running.Wait()
	connections.Wait()
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serving on %s: %w", ln.Addr(), err)
}

// handler routes requests. Every response says that it is simulated.
func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/chat/completions", s.guard(s.chat))
	mux.HandleFunc("GET /v1/models", s.guard(s.models))
	mux.HandleFunc("GET /health", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /power", s.power)
	mux.HandleFunc("GET /truth", s.truth)
	mux.HandleFunc("GET /metrics", s.metrics)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-AgentWatt-Simulated", "1")
		mux.ServeHTTP(w, r)
	})
}

// guard asks for the key.
func (s *Server) guard(next http.HandlerFunc) http.HandlerFunc {
	want := "Bearer " + s.options.Key
	return func(w http.ResponseWriter, r *http.Request) {
		got := r.Header.Get("Authorization")
		wrong := s.options.Key != "" && subtle.ConstantTimeCompare([]byte(got), []byte(want)) != 1
		if wrong || s.options.Faults.Unauthorized {
			writeRefusal(w, &refusal{
				Status: http.StatusUnauthorized, Type: "authentication_error", Code: "invalid_api_key",
				Message: "incorrect API key provided",
			})
			return
		}
		next(w, r)
	}
}
