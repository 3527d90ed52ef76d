package snmp

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"
)

// Twenty PDUs, each with a goroutine of its own as the sampler has it, and one of them dies: nobody else misses a read,
// although the one waits for an answer all the time.
func TestOneDeadPDUOfTwenty(t *testing.T) {
	const pdus, reads, dead = 20, 10, 7
	sources := make([]*Source, pdus)
	for i := range sources {
		r := pdu(t)
		sources[i] = open(t, r, func(o *Options) {
			if o.Name = fmt.Sprintf("pdu-%d", i); i == dead {
				o.Timeout = time.Hour
			}
		})
		if i == dead {
			r.change(func() { r.silent = true })
		}
	}
	waiting, giveUp := context.WithCancel(t.Context())
	var others, last sync.WaitGroup
	last.Go(func() {
		if _, err := sources[dead].Read(waiting, nil); !errors.Is(err, context.Canceled) {
			t.Errorf("the dead PDU: %v, want to have waited until cancelled", err)
		}
	})
	for i, s := range sources {
		if i == dead {
			continue
		}
		others.Go(func() {
			for n := range reads {
				samples, err := s.Read(t.Context(), nil)
				if err != nil || !slices.Equal(statuses(samples), []string{"ok", "ok"}) {
					t.Errorf("PDU %d, read %d: %q, %v", i, n, statuses(samples), err)
				}
			}
		})
	}
	others.Wait()
	giveUp()
	last.Wait()
}

// One inlet has one Device, whoever names the PDU how, and its two meters share it.
func TestDeviceIsTheInletOfTheSerialNumber(t *testing.T) {
	r := pdu(t)
	devices := map[string]bool{}
	for _, name := range []string{"rack 7 left", "b"} {
		for _, m := range open(t, r, func(o *Options) { o.Name = name }).Meters() {
			devices[m.Device] = true
		}
	}
	if len(devices) != 1 || !devices["PKE0000001/inlet-1"] {
		t.Errorf("got %v, want PKE0000001/inlet-1", devices)
	}
	r.set(t, pxSerial+"|4|000000")
	if got := open(t, r).Meters()[0].Device; got != "pdu-a/inlet-1" {
		t.Errorf("without a serial number: got %q", got)
	}
}

func TestLevels(t *testing.T) {
	r := serve(t, read(t, "testdata/rnx.snmprec"))
	for _, c := range []struct {
		levels []string
		want   int // meters, two per row
	}{{nil, 2 * (2 + 3)}, {[]string{"outlet"}, 2 * (1 + 2)}, {levelNames, 2 * (2 + 3 + 2)}} {
		if got := len(open(t, r, func(o *Options) { o.Levels = c.levels }).Meters()); got != c.want {
			t.Errorf("levels %q: %d meters, want %d", c.levels, got, c.want)
		}
	}
}
