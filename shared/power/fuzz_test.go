package power

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"testing"
	"time"

	"agentwatt/shared/clock"
)

// FuzzBetween asks about arbitrary samples of an arbitrary meter: no panic, and no claim that cannot be.
func FuzzBetween(f *testing.F) {
	f.Add([]byte{}, uint8(1), int64(1000), int64(1), int64(0), int64(0), int64(0), int64(0), int64(0), int64(1000))
	f.Add([]byte("0123456789abcdef"), uint8(2), int64(1), int64(3), int64(0), int64(1e8), int64(0), int64(5e7), int64(1), int64(5e9))
	f.Add([]byte("\x00\x00\x00\x10\x00\x00\x00\x10\x00\x00\x00\x20\x00\x00\x00\x20\x00\x00\x00\x30\x00\x00\x00\x05"), uint8(1), int64(15625), int64(1024),
		int64(1<<32), int64(0), int64(0), int64(0), int64(1), int64(300_000_000))
	f.Fuzz(func(t *testing.T, data []byte, quantity uint8, num, den, wrap, period, averaging, delay, begin, length int64) {
		m := Meter{Quantity: Quantity(quantity % 6), Scale: Scale{num, den}, Wrap: wrap, Period: time.Duration(period),
			Averaging: time.Duration(averaging), Delay: time.Duration(delay), Accuracy: float64(int8(quantity)) / 100}
		samples := fuzzed(data)
		u := Between(m, samples, clock.Stamp(begin), clock.Stamp(begin+length))
		switch {
		case !(u.Coverage >= 0 && u.Coverage <= 1):
			t.Errorf("coverage %v", u.Coverage)
		case u.Energy < 0 || u.Mean < 0 || u.Measured < 0 || u.LongestGap < 0 || u.Fresh < 0:
			t.Errorf("negative: %+v", u)
		case u.Valid && (u.Measured <= 0 || u.Measured > u.End.Sub(u.Begin)):
			t.Errorf("valid, and measured over %v of %v", u.Measured, u.End.Sub(u.Begin))
		case u.Valid && !(u.Uncertainty.Expanded() >= 0 && u.Uncertainty.Expanded() < math.Inf(1)):
			t.Errorf("uncertainty %+v", u.Uncertainty)
		}
		if _, err := json.Marshal(u); err != nil && m.Quantity <= Held {
			t.Error(err)
		}
		if c := NewSeries(m, samples).ClockTerm(u.Begin, u.End, time.Second); !(c >= 0) {
			t.Errorf("clock term %v", c)
		}
	})
}

// fuzzed makes samples of bytes: small steps of time and value mostly, wild ones now and then.
func fuzzed(data []byte) []Sample {
	var out []Sample
	at := clock.Stamp(1)
	for len(data) >= 4 {
		x := Sample{Raw: int64(data[0]) << (data[1] % 64), Status: Status(data[2] / 60), Within: time.Duration(data[3])}
		at += clock.Stamp(data[2]) << (data[3] % 48)
		if x.Time = at; data[3] == 0xff && len(data) >= 12 {
			x.Time = clock.Stamp(binary.LittleEndian.Uint64(data[4:]))
			data = data[8:]
		}
		out, data = append(out, x), data[4:]
	}
	return out
}
