package wire

import (
	"bytes"
	"encoding/binary"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"agentwatt/shared/clock"
	"agentwatt/shared/power"
)

// Whatever Decode accepts, Encode writes, and what that decodes to is the same batch and the same bytes again.
func FuzzDecode(f *testing.F) {
	f.Add(mustEncode(f, host(1, 2, time.Second)))
	f.Add(mustEncode(f, oddities()))
	f.Add(head())
	f.Fuzz(func(t *testing.T, data []byte) {
		first, err := Decode(data)
		if err != nil {
			return
		}
		var d Decoder
		used := *oddities()
		for range 2 { // the second time it has kept texts
			if err := d.Decode(&used, data); err != nil {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff(first, &used, cmpopts.EquateNaNs(), cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("decoded into used memory it differs (-new +used):\n%s", diff)
		}
		again := mustEncode(t, first)
		second := decoded(t, first)
		if diff := cmp.Diff(first, second, cmpopts.EquateNaNs(), cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("decoded batch changed by encoding it (-before +after):\n%s", diff)
		}
		if !bytes.Equal(mustEncode(t, second), again) {
			t.Fatal("encoding is not stable")
		}
	})
}

// FuzzRoundTrip makes a batch from bytes: whatever values it has, a canonical batch comes back as it was.
func FuzzRoundTrip(f *testing.F) {
	f.Add([]byte("some bytes to make numbers of, and then a few more"), "host", uint8(3))
	f.Add(bytes.Repeat([]byte{0xff, 0, 1}, 60), "", uint8(1))
	f.Fuzz(func(t *testing.T, data []byte, text string, meters uint8) {
		n := numbers(data)
		text = strings.ToValidUTF8(text, "")
		text = text[:min(len(text), 300)]
		b := &power.Batch{Host: text, Seq: uint64(n.next()), Missed: uint64(n.next())}
		b.Clock = clock.State{Read: clock.Stamp(n.next()), MaxError: time.Duration(n.next()), Synchronised: n.next()&1 == 1}
		for range meters {
			b.Meters = append(b.Meters, n.meter(strings.ToValidUTF8(text, "")))
		}
		for m := range b.Meters {
			for range n.next() & 7 {
				s := n.sample()
				s.Meter = m
				b.Samples = append(b.Samples, s)
			}
		}
		for range n.next() & 3 {
			b.Losses = append(b.Losses, power.Loss{Run: text, Source: text, First: uint64(n.next()), Last: uint64(n.next()), Reason: "r"})
			b.Notes = append(b.Notes, power.Note{Time: clock.Stamp(n.next() % maxMicros * 1000), Device: text, Key: text, Value: "v"})
		}
		if diff := cmp.Diff(b, decoded(t, b), cmpopts.EquateNaNs()); diff != "" {
			t.Fatalf("(-encoded +decoded):\n%s", diff)
		}
	})
}

// numbers deals out the bytes of a fuzz input as integers, and zeros when they are used up.
type numbers []byte

func (n *numbers) next() int64 {
	if len(*n) == 0 {
		return 0
	}
	size := 1 + int((*n)[0]&7)
	var b [8]byte
	used := copy(b[:size], *n)
	*n = (*n)[used:]
	return int64(binary.LittleEndian.Uint64(b[:]))
}

func (n *numbers) meter(text string) power.Meter {
	m := power.Meter{
		Device: text, ID: "x" + text + "y", Scope: power.Scope(text), Quantity: power.Quantity(n.next() & 3),
		Scale: power.Scale{Num: n.next(), Den: n.next()}, Wrap: n.next(), Period: time.Duration(n.next()),
		Accuracy: math.Float64frombits(uint64(n.next())), PeriodFrom: power.Origin(n.next() & 3),
	}
	if n.next()&1 == 1 {
		m.ID = "other"
	}
	return m
}

func (n *numbers) sample() power.Sample {
	s := power.Sample{
		Time:   clock.Stamp(n.next() % maxMicros * 1000),
		Within: time.Duration(max(0, n.next()%(maxMicros-1)) * 1000),
		Device: clock.Stamp(n.next() % maxMicros * 1000),
		Status: power.Status(n.next() & 3),
	}
	if s.Status == power.OK {
		s.Raw = n.next()
	}
	return s
}
