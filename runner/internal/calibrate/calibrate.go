// Package calibrate measures the load generator itself before it measures a system (METHOD 3): a server of our own, in a process
// of its own, sends streams at rising rates and says in every token when it sent it. What the client makes of them is its floor:
// no time that it reports later is better known, and no phase may ask more of it than it has been seen to do.
package calibrate

import (
	"context"
	"crypto/tls"
	"fmt"
	"strconv"
	"sync"
	"syscall"
	"time"

	"agentwatt/runner/internal/bench"
	"agentwatt/runner/internal/endpoint"
	"agentwatt/runner/internal/trajectory"
	"agentwatt/shared/clock"
)

const (
	// Rate is how many tokens per second a stream has.
	Rate = 60
	// lasts is how long the streams of a step last.
	lasts = 1500 * time.Millisecond
	// tries is how often a step is tried: other work on the machine may spoil one.
	tries = 3
)

// steps are the chunks per second that are tried, in order.
var steps = []float64{2000, 8000, 24000, 48000}

// The client has kept up with a step if its stamps are that good and its requests were that late at most.
const (
	cleanStamp = time.Millisecond     // P99 of the error of a token's stamp
	cleanLag   = 5 * time.Millisecond // P99 of the time from when a request was due to its first byte
)

// Server is where Emit serves.
type Server struct {
	URL string
	TLS *tls.Config // for https
}

// Run measures against an Emit server, up to the first step that the client does not keep up with, or to most chunks per second; 0:
// all steps.
func Run(ctx context.Context, at Server, most float64, clk *clock.Clock) (bench.Calibration, error) {
	c := bench.Calibration{StreamRate: Rate}
	for _, rate := range steps {
		if most > 0 && len(c.Steps) > 0 && c.Proven >= most {
			break
		}
		s, err := best(ctx, at, rate, clk)
		if err != nil {
			return c, fmt.Errorf("calibrate the client at %.0f chunks per second: %w", rate, err)
		}
		if c.Steps = append(c.Steps, s); !s.Clean {
			break
		}
		c.Proven = s.PerSecond
	}
	return c, nil
}

// best tries a step until it is clean.
func best(ctx context.Context, at Server, rate float64, clk *clock.Clock) (s bench.CalibrationStep, err error) {
	for range tries {
		if s, err = step(ctx, at, int(rate/Rate), clk); err != nil || s.Clean {
			break
		}
	}
	return s, err
}

// tokens gathers how far the client's stamps are from the server's.
type tokens struct {
	clock *clock.Clock

	mu  sync.Mutex
	off []float64 // seconds
}

// seen is told of tokens by the client's loops.
func (t *tokens) seen(at clock.Stamp, text []byte) {
	sent, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil {
		return
	}
	t.mu.Lock()
	t.off = append(t.off, at.Sub(t.clock.FromWall(clock.Stamp(sent))).Abs().Seconds())
	t.mu.Unlock()
}

// step plays one step.
func step(ctx context.Context, at Server, streams int, clk *clock.Clock) (bench.CalibrationStep, error) {
	off := tokens{clock: clk}
	each := int(Rate * lasts.Seconds())
	client, err := endpoint.New(endpoint.Options{URL: at.URL, TLS: at.TLS, Model: model, Cap: each, Clock: clk, Seen: off.seen,
		Timeouts: endpoint.Timeouts{Connect: 5 * time.Second, FirstByte: 5 * time.Second, Idle: 5 * time.Second, Total: 20 * time.Second}})
	if err != nil {
		return bench.CalibrationStep{}, err
	}
	engine, err := client.Engine(0)
	if err != nil {
		return bench.CalibrationStep{}, err
	}
	defer engine.Close()
	stop := context.AfterFunc(ctx, engine.Close)
	defer stop()
	began := cpu()
	records := play(engine, clk, streams)
	if ctx.Err() != nil {
		return bench.CalibrationStep{}, context.Cause(ctx)
	}
	return judge(records, off.off, each, cpu()-began)
}

// play asks for all streams within a tenth of a second and waits for their ends.
func play(e *endpoint.Engine, clk *clock.Clock, streams int) []bench.Record {
	records := make([]bench.Record, streams)
	var wg sync.WaitGroup
	wg.Add(streams)
	begin := clk.Now().Add(300 * time.Millisecond)
	for i := range records {
		n := e.Caller()
		due := begin.Add(100 * time.Millisecond * time.Duration(i) / time.Duration(streams))
		n.Send(due, request(), 0, func(r bench.Reply) {
			records[i] = bench.Record{Sched: due, Reply: r}
			wg.Done()
		})
	}
	wg.Wait()
	return records
}

// judge says what the step has shown.
func judge(records []bench.Record, off []float64, each int, used time.Duration) (bench.CalibrationStep, error) {
	s := bench.CalibrationStep{Streams: len(records)}
	var first, lag []float64
	begin, end, merged := records[0].FirstOutput, clock.Stamp(0), 0
	for _, r := range records {
		if r.Failure != "" || r.Chunks != each {
			return s, fmt.Errorf("a stream failed: %d of %d tokens, %s %s", r.Chunks, each, r.Failure, r.Detail)
		}
		begin, end = min(begin, r.FirstOutput), max(end, r.LastOutput)
		ttft, _ := r.TTFT()
		first, lag = append(first, ttft.Seconds()), append(lag, r.Lag().Seconds())
		merged += r.MergedReads
		s.Chunks += r.Chunks
	}
	s.PerSecond = float64(s.Chunks) / end.Sub(begin).Seconds()
	s.Stamp, s.TTFT, s.Lag = bench.Summarise(off), bench.Summarise(first), bench.Summarise(lag)
	s.Merged = float64(merged) / float64(s.Chunks)
	s.CPU = used / time.Duration(s.Chunks)
	s.Clean = s.Stamp.N > 0 && s.Stamp.P99 <= cleanStamp.Seconds() && s.Lag.P99 <= cleanLag.Seconds()
	return s, nil
}

// request is a small one.
func request() trajectory.Play {
	messages := []byte(`{"role":"user","content":"count"}`)
	return trajectory.Play{Trajectory: &trajectory.Trajectory{ID: "calibration", Messages: messages, Turns: []trajectory.Turn{{End: len(messages)}}}}
}

// cpu returns the process's user and system time.
func cpu() time.Duration {
	var r syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &r) != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
