package rollup

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"agentwatt/shared/power"
)

func someMessage() *Message {
	m := &Message{Host: "h", Source: "nvml", Resolution: time.Minute}
	m.Series = []Series{{Run: "R", Meter: power.Meter{ID: "c", Device: "d", Name: "n", Scope: power.Accelerator, Quantity: power.Counter, Simulated: true}}}
	random := rand.New(rand.NewPCG(3, 4))
	for range 20 {
		var r Row
		for _, n := range r.numbers() {
			*n = random.Int64N(1 << 60)
		}
		m.Series[0].Rows = append(m.Series[0].Rows, r)
	}
	return m
}

func TestMessageRoundTrip(t *testing.T) {
	m := someMessage()
	got, err := Decode(m.Encode(nil))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(m, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Foreign bytes are an error or a message, never more than they are worth, and what is read is written the same.
func FuzzDecode(f *testing.F) {
	f.Add(someMessage().Encode(nil))
	f.Add([]byte{0x22, 2, 0x42, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := Decode(data)
		if err != nil {
			return
		}
		again, err := Decode(m.Encode(nil))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(m, again); diff != "" {
			t.Errorf("(-first +second):\n%s", diff)
		}
	})
}
