package search

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"testing"
	"time"

	"agentwatt/runner/internal/simulate"
	"agentwatt/shared/bus"
	"agentwatt/shared/clock"
	"agentwatt/shared/power"
	"agentwatt/shared/wire"
)

// The devices are read once per change of their counters, at times that are not those of the changes.
const (
	meterPeriod = 100 * time.Millisecond
	meterPhase  = 13 * time.Millisecond
	perBatch    = 10
)

// meter reads the engine's device counters as a host's meterd would and hands over encoded batches, until stop is called.
func meter(t *testing.T, s *system, p simulate.Params, take func(bus.Message) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	transport := &http.Transport{DialContext: s.pipe.DialContext}
	devices := &http.Client{Transport: transport}
	batch := power.Batch{Host: "here", Boot: "one", Run: "1", Source: "simulated", Clock: clock.State{Read: s.start, Synchronised: true, Epoch: s.start}}
	send := func() error {
		batch.Seq++
		payload, err := wire.Encode(nil, &batch)
		if err != nil {
			return err
		}
		batch.Samples = batch.Samples[:0]
		return take(bus.Message{Subject: "power.here.simulated", Host: "here", Source: "simulated", Sequence: batch.Seq, Stored: s.clock.Now(), Payload: payload})
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		defer transport.CloseIdleConnections()
		for k := 1; ; k++ {
			time.Sleep(s.start.Add(time.Duration(k)*meterPeriod + meterPhase).Sub(s.clock.Now()))
			if ctx.Err() != nil {
				return
			}
			shown, err := readDevices(devices)
			if err != nil {
				t.Error(err)
				return
			}
			for i, d := range shown {
				if len(batch.Meters) <= i {
					batch.Meters = append(batch.Meters, declared(d, p))
				}
				batch.Samples = append(batch.Samples, power.Sample{Meter: i, Time: s.clock.Now(), Raw: d.Energy})
			}
			if k%perBatch == 0 {
				if err := send(); err != nil {
					t.Error(err)
					return
				}
			}
		}
	})
	return func() { cancel(); wg.Wait() }
}

// device is what GET /power says of one.
type device struct {
	ID     string `json:"id"`
	Energy int64  `json:"energy_microjoules"`
	Limit  int64  `json:"limit_microwatts"`
}

// declared describes a device's counter: exact, and its own period known.
func declared(d device, p simulate.Params) power.Meter {
	return power.Meter{
		ID: "simulated/" + d.ID + "/energy", Device: d.ID, Scope: power.Accelerator, Quantity: power.Counter, Scale: power.Scale{Num: 1, Den: 1},
		Period: p.CounterPeriod, Limit: power.Power(d.Limit), Simulated: true, PeriodFrom: power.Specification, AccuracyFrom: power.Specification,
	}
}

func readDevices(c *http.Client) ([]device, error) {
	res, err := c.Get("http://simulated/power")
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	var shown struct{ Devices []device }
	err = json.NewDecoder(res.Body).Decode(&shown)
	return shown.Devices, err
}
