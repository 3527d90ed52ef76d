package rollup

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"agentwatt/shared/bus"
	"agentwatt/shared/clock"
	"agentwatt/shared/power"
	"agentwatt/shared/rollup"
)

// fill stores the batches of a run of some seconds: 400 W by a counter, 10 times a second.
func fill(t *testing.T, s *bus.Server, run string, begin clock.Stamp, seconds int) {
	t.Helper()
	p, err := s.Publisher()
	if err != nil {
		t.Fatal(err)
	}
	for n := range seconds {
		b := &power.Batch{Host: "h", Run: run, Source: "nvml", Seq: uint64(n + 1), Meters: []power.Meter{
			{ID: "c", Device: "d", Scope: power.Accelerator, Quantity: power.Counter, Scale: power.Scale{Num: 1000, Den: 1}, Period: 100 * time.Millisecond},
		}}
		for i := range 10 {
			b.Samples = append(b.Samples, power.Sample{Time: begin.Add(time.Duration(n)*time.Second + time.Duration(i)*100*time.Millisecond), Raw: int64(n*10+i+1) * 40_000})
		}
		if err := p.Publish(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
}

// rolled returns the stored rows of one resolution, in order.
func rolled(t *testing.T, s *bus.Server, resolution int) (rows []rollup.Row) {
	t.Helper()
	conn, err := s.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	err = conn.ReadStream(t.Context(), streams[resolution], 0, clock.At(time.Now().Add(time.Hour)), func(m bus.Message) error {
		message, err := rollup.Decode(m.Payload)
		if err != nil {
			return err
		}
		for _, x := range message.Series {
			rows = append(rows, x.Rows...)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// run rolls up until there are so many rows of a second.
func run(t *testing.T, s *bus.Server, want int) {
	t.Helper()
	r, err := New(t.Context(), s, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	r.every = 50 * time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	for end := time.Now().Add(30 * time.Second); len(rolled(t, s, 0)) < want; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d rows, want %d", len(rolled(t, s, 0)), want)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// Interrupted and begun again, rows are stored once each, without a hole, and are those of whoever was never interrupted.
func TestRowsAreStoredOnce(t *testing.T) {
	begin := clock.At(time.Now().Add(-time.Hour).Truncate(time.Minute))
	s, err := bus.Serve(t.Context(), bus.ServerOptions{Dir: t.TempDir(), Host: "h"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	fill(t, s, "A", begin, 400)
	run(t, s, 200)
	run(t, s, 380)
	fill(t, s, "B", begin.Add(500*time.Second), 400)
	run(t, s, 750)
	for resolution, length := range rollup.Resolutions {
		rows := rolled(t, s, resolution)
		for i, r := range rows {
			if i > 0 && rows[i-1].End() != r.Begin {
				t.Errorf("%v: row %d begins at %v, the one before ends at %v", length, i, r.Begin, rows[i-1].End())
			}
			if full := r.Length == length && r.Measured == length; full && (r.Mean() < 399*power.Watt || r.Mean() > 401*power.Watt) {
				t.Errorf("%v: row of %v", length, r.Mean())
			}
		}
		if length == time.Minute && len(rows) < 12 {
			t.Errorf("%d rows of a minute", len(rows))
		}
	}
	gap := 0
	for _, r := range rolled(t, s, 0) {
		if r.Measured == 0 {
			gap += int(r.Length / time.Second)
		}
	}
	if gap < 90 || gap > 105 {
		t.Errorf("%d s of nothing, want about 100: between the runs nobody measured", gap)
	}
}
