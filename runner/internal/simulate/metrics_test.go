package simulate

import (
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"agentwatt/runner/internal/bench"
	"agentwatt/runner/internal/servermetrics"
)

// scrape reads /metrics as the runner does.
func (s *server) scrape() bench.ServerSample {
	s.t.Helper()
	resp, err := s.client.Get("http://simulated/metrics")
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	got, err := servermetrics.Parse(text)
	if err != nil {
		s.t.Fatalf("%v in\n%s", err, text)
	}
	return got
}

// TestMetricsAreTheTruth: a batch that is full with others waiting, and then an engine that has nothing to do.
func TestMetricsAreTheTruth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := plain()
		p.MaxBatch, p.Draft, p.Acceptance = 2, 3, 0.5
		s := start(t, p, Options{Model: "simulated/test"})
		defer s.stop()
		done := make(chan reply)
		for i := range 3 {
			q := ofTokens(1000, string(rune('a'+i)))
			q.max = 200
			go func() { done <- s.ask(t.Context(), q) }()
		}
		time.Sleep(PrefillTime(p, 2000) + 10*p.StepBase)
		busy, truth := s.scrape(), s.Truth().Totals
		if !busy.Simulated || busy.Server != "vllm" {
			t.Errorf("simulated %v, server %q", busy.Simulated, busy.Server)
		}
		// Two of three fit; each holds the blocks of its prompt and of all it may say.
		held := 2 * float64(p.blocks(1200)) / float64(p.capacity())
		if r, w, kv := busy.Values[bench.ServerRunning], busy.Values[bench.ServerWaiting], busy.Values[bench.ServerKV]; r != 2 || w != 1 || kv != held {
			t.Errorf("busy: %v running, %v waiting, %v of the cache, want 2, 1, %v", r, w, kv, held)
		}
		if got := int(busy.Values[bench.ServerGenerated]); got != truth.Tokens || got == 0 {
			t.Errorf("busy: %d tokens, want %d", got, truth.Tokens)
		}
		for range 3 {
			<-done
		}
		time.Sleep(time.Second)
		idle := s.scrape()
		truth = s.Truth().Totals
		want := map[bench.ServerQuantity]float64{
			bench.ServerRunning: 0, bench.ServerWaiting: 0, bench.ServerKV: 0, bench.ServerPreemptions: 0, bench.ServerGenerated: 600,
			bench.ServerPrompted: 3000, bench.ServerQueries: 3000, bench.ServerHits: float64(truth.Reused),
			bench.ServerDrafted: float64(truth.Drafted), bench.ServerAccepted: float64(truth.Accepted),
		}
		if d := cmp.Diff(want, idle.Values); d != "" {
			t.Errorf("idle (-want +got):\n%s", d)
		}
		// Of three proposed with 0.5 each, 0.875 become output on the average.
		if rate := idle.Values[bench.ServerAccepted] / idle.Values[bench.ServerDrafted]; rate < 0.2 || rate > 0.4 {
			t.Errorf("%v of the proposed tokens were accepted, want about 0.29", rate)
		}
	})
}
