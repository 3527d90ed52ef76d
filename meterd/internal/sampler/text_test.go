package sampler

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"agentwatt/shared/power"
	"agentwatt/shared/wire"
)

// chatty is a source whose firmware writes Latin-1 and novels, and that has five thousand things to say at once.
type chatty struct {
	fake
	said bool
}

func (c *chatty) Notes(dst []power.Note) []power.Note {
	if c.said {
		return dst
	}
	c.said = true
	for i := range 5000 {
		dst = append(dst, power.Note{Time: stampNow(), Device: "r\xe9gal", Key: fmt.Sprint("k", i), Value: strings.Repeat("\xff-", 5000)})
	}
	return dst
}

// What a device says of itself must not cost the samples that travel with it, and none of it is lost.
func TestForeignTextsCostNoSamples(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src, bus := &chatty{fake: *newFake(0)}, &tape{}
		src.meters[0].Name, src.meters[0].Device = strings.Repeat("é", 4000), "r\xe9gal"
		s := newSampler(src, bus)
		if _, err := runFor(t, s, 20*time.Second); err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		for i, b := range bus.batches {
			if _, err := wire.Encode(nil, &b); err != nil {
				t.Fatalf("batch %d cannot be encoded: %v", i, err)
			}
			for _, n := range b.Notes {
				if n.Device == b.Meters[0].Device {
					seen[n.Key] = true
				}
			}
		}
		if len(seen) != 5000 || bus.samples() != int(2*s.Stats().Ticks) {
			t.Errorf("%d of 5000 notes about their device, %d samples of %d reads", len(seen), bus.samples(), s.Stats().Ticks)
		}
	})
}
