package calibrate

import (
	"bufio"
	"container/heap"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"agentwatt/shared/clock"
)

// Emit serves streams of tokens on the listener until ctx ends. Every request is answered at once with a first token and then
// with max_tokens of them in all, rate per second and stream, on an absolute schedule. The text of a token is the wall-clock
// stamp (CLOCK_REALTIME, ns since the epoch) taken just before it was given to the kernel, so a client can tell what its own stamps are worth.
//
// It runs in a process of its own, so that its work is not the client's.
func Emit(ctx context.Context, l net.Listener, rate float64) error {
	e := &emitter{period: time.Duration(float64(time.Second) / rate), clock: clock.New(), woken: make(chan struct{}, 1)}
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { e.run(ctx) })
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	for {
		c, err := l.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return nil
		case err != nil:
			return fmt.Errorf("accept a calibration stream: %w", err)
		}
		wg.Go(func() { e.serve(ctx, c) })
	}
}

// emitter writes the tokens of all streams from one goroutine.
type emitter struct {
	period time.Duration
	clock  *clock.Clock
	woken  chan struct{}

	mu      sync.Mutex
	started []*stream
	ordinal uint64
	waiting streams
}

// stream is one answer under way.
type stream struct {
	c    net.Conn
	due  clock.Stamp
	left int
	all  int
	done chan bool // whether the connection is still good
}

// serve reads requests from a connection and hands them to the emitter, one after the other.
func (e *emitter) serve(ctx context.Context, c net.Conn) {
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer stop()
	in := bufio.NewReader(c)
	for good := true; good; {
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
		if err != nil {
			return
		}
		var asked struct {
			MaxTokens int `json:"max_tokens"`
		}
		if json.Unmarshal(body, &asked) != nil || asked.MaxTokens < 1 {
			return
		}
		s := &stream{c: c, all: asked.MaxTokens, left: asked.MaxTokens - 1, done: make(chan bool, 1)}
		e.start(s)
		select {
		case good = <-s.done:
		case <-ctx.Done():
			return
		}
	}
}

// start begins a stream: phases are spread by the golden ratio, so that streams asked for together do not tick together.
func (e *emitter) start(s *stream) {
	if _, err := s.c.Write(append([]byte(header), token()...)); err != nil {
		s.done <- false
		return
	}
	s.due = e.clock.Now()
	e.mu.Lock()
	e.ordinal += 0x9e3779b97f4a7c15
	phase := time.Duration(float64(e.ordinal>>11) / (1 << 53) * float64(e.period))
	s.due = s.due.Add(e.period + phase)
	e.started = append(e.started, s)
	e.mu.Unlock()
	select {
	case e.woken <- struct{}{}:
	default:
	}
}

// run writes what is due until ctx ends.
func (e *emitter) run(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	for {
		e.mu.Lock()
		for _, s := range e.started {
			heap.Push(&e.waiting, s)
		}
		e.started = e.started[:0]
		e.mu.Unlock()
		for now := e.clock.Now(); len(e.waiting) > 0 && e.waiting[0].due <= now; now = e.clock.Now() {
			e.step()
		}
		wait := time.Hour
		if len(e.waiting) > 0 {
			wait = e.waiting[0].due.Sub(e.clock.Now())
		}
		timer.Reset(wait)
		select {
		case <-timer.C:
		case <-e.woken:
		case <-ctx.Done():
			return
		}
	}
}

// step writes the next token of the stream whose turn it is, or its end.
func (e *emitter) step() {
	s := e.waiting[0]
	if s.left > 0 {
		s.left--
		if _, err := s.c.Write(token()); err == nil {
			s.due = s.due.Add(e.period)
			heap.Fix(&e.waiting, 0)
			return
		}
	}
	_, err := s.c.Write(end(s.all))
	heap.Pop(&e.waiting)
	s.done <- err == nil
}

const (
	header = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
	// common is what a server of today sends with every token.
	common = `{"id":"chatcmpl-5f2c7c3be2ab4c5d9d0a8b1c2d3e4f50","object":"chat.completion.chunk","created":1764180000,"model":"` + model + `","choices":[`
	model  = "calibration"
)

// token carries the wall clock and not an anchored one: the client's is another process's, and the kernel's stamps are of the wall clock too.
func token() []byte {
	return chunk(`data: ` + common + `{"index":0,"delta":{"content":"` + strconv.FormatInt(time.Now().UnixNano(), 10) + `"},"logprobs":null,"finish_reason":null,"token_ids":null}]}` + "\n\n")
}

func end(tokens int) []byte {
	return append(chunk(`data: `+common+`{"index":0,"delta":{},"finish_reason":"length"}]}`+"\n\n"+
		`data: `+common+`],"usage":{"prompt_tokens":1,"completion_tokens":`+strconv.Itoa(tokens)+`}}`+"\n\ndata: [DONE]\n\n"), "0\r\n\r\n"...)
}

// chunk frames bytes as one HTTP chunk.
func chunk(s string) []byte {
	b := append(strconv.AppendInt(make([]byte, 0, len(s)+12), int64(len(s)), 16), "\r\n"...)
	return append(append(b, s...), "\r\n"...)
}

// streams is a heap by due time.
type streams []*stream

func (s streams) Len() int           { return len(s) }
func (s streams) Less(i, j int) bool { return s[i].due < s[j].due }
func (s streams) Swap(i, j int)      { s[i], s[j] = s[j], s[i] }
func (s *streams) Push(x any)        { *s = append(*s, x.(*stream)) }
func (s *streams) Pop() any {
	last := len(*s) - 1
	x := (*s)[last]
	*s = (*s)[:last]
	return x
}
