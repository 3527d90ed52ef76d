package ipmi

import (
	"encoding/hex"
	"errors"
	"math"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"agentwatt/shared/power"
)

func bytesOf(t testing.TB, text string) frame {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Frames of real BMCs, built from what ipmitool printed of them: lovoo/ipmi_exporter issue 18, openbmc issue 3257.
const (
	frameNormal  = "00 dc d7 00 a2 00 14 01 b0 00 6f 4e a4 58 10 cd 70 43 40"
	frameOpenBMC = "00 dc 3f 01 3f 01 3f 01 3f 01 00 00 00 00 00 00 00 00 00"
)

func TestPowerFrames(t *testing.T) {
	for _, c := range []struct {
		name, frame string
		want        statistics
		code        code   // that the error must be
		err         string // that it must speak of
	}{
		{"normal", frameNormal, statistics{watts: 215, period: 1_131_466_000 * time.Millisecond, active: true}, 0, ""},
		{"valid although deactivated", frameOpenBMC, statistics{watts: 319}, 0, ""},
		{"longer than it should be", frameOpenBMC + "00 00", statistics{watts: 319}, 0, ""},
		{"one byte short", frameNormal[:len(frameNormal)-3], statistics{}, 0, "17 bytes, want 18"},
		{"empty", "", statistics{}, 0, "empty"},
		{"completion code only", "00", statistics{}, 0, "0 bytes, want 18"},
		{"no DCMI", "c1", statistics{}, codeInvalid, "invalid"},
		{"busy", "c0", statistics{}, codeBusy, "busy"},
		{"no privilege", "d4", statistics{}, codePrivilege, "privilege"},
		{"another group", strings.Replace(frameNormal, "dc", "00", 1), statistics{}, 0, "not one of the DCMI group"},
		{"all bits set", strings.Replace(frameNormal, "d7 00", "ff ff", 1), statistics{}, 0, errNoValue.Error()},
	} {
		got, err := parsePower(bytesOf(t, c.frame))
		if err == nil {
			if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(statistics{})); diff != "" || c.err != "" {
				t.Errorf("%s: want error %q\n%s", c.name, c.err, diff)
			}
			continue
		}
		if c.err == "" || !strings.Contains(strings.ToLower(err.Error()), strings.ToLower(c.err)) || c.code != 0 && !errors.Is(err, c.code) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.err)
		}
	}
}

func TestCapabilities(t *testing.T) {
	version, has, err := parseCapabilities(bytesOf(t, "00 dc 01 05 02 00 01 07"))
	if version != "1.5" || !has || err != nil {
		t.Errorf("got %q, %v, %v", version, has, err)
	}
	if _, has, _ := parseCapabilities(bytesOf(t, "00 dc 01 05 02 01 00 07")); has {
		t.Error("power management where the bit is clear")
	}
	for _, c := range []struct{ frame, want string }{
		{"00 dc 01 05 02 03 05 5e 82", "5,1800,7200"},
		{"00 dc 01 05 02 01 c1", "86400"},
		{"00 dc 01 05 02 09 05", "5"}, // counts more than there are
		{"00 dc 01 05 02 00", ""},
	} {
		if got, err := parsePeriods(bytesOf(t, c.frame)); got != c.want || err != nil {
			t.Errorf("%s: got %q, %v, want %q", c.frame, got, err, c.want)
		}
	}
}

func TestSensorRecords(t *testing.T) {
	unsigned := factors{m: 4}
	for _, c := range []struct {
		name   string
		record []byte
		err    string
	}{
		{"power", record(9, "Sys Power", unsigned), ""},
		{"degrees", record(9, "Temp", unsigned, func(b []byte) { b[21] = 1 }), errOther.Error()},
		{"compact", record(9, "Power", unsigned, func(b []byte) { b[3] = 2 }), errOther.Error()},
		{"discrete", record(9, "Power", unsigned, func(b []byte) { b[13] = 0x6f }), errOther.Error()},
		{"short", record(9, "", unsigned)[:47], errOther.Error()},
		{"name is cut off", record(9, "Sys Power", unsigned)[:52], ""},
		{"watts per second", record(9, "P", unsigned, func(b []byte) { b[20] = 3 << 3 }), "unit made from watts"},
		{"percent", record(9, "P", unsigned, func(b []byte) { b[20] = 1 }), "unit made from watts"},
		{"logarithmic", record(9, "P", unsigned, func(b []byte) { b[23] = 1 }), "not linear"},
		{"nonlinear", record(9, "P", unsigned, func(b []byte) { b[23] = 0x70 }), "not linear"},
		{"satellite", record(9, "P", unsigned, func(b []byte) { b[5] = 0x2c }), "another controller"},
		{"no analogue reading", record(9, "P", factors{m: 1, format: 3}), "no analogue"},
		{"no slope", record(9, "P", factors{m: 0}), "factor is 0"},
		{"falling", record(9, "P", factors{m: -3}), "factor is -3"},
		{"megawatts", record(9, "P", factors{m: 500, result: 7}), "no power of a computer"},
	} {
		got, err := parseSensor(c.record)
		if err == nil && (c.err != "" || got.number != 9 || !strings.HasPrefix("Sys Power", got.name)) {
			t.Errorf("%s: got %+v, want error %q", c.name, got, c.err)
		}
		if err != nil && (c.err == "" || !strings.Contains(err.Error(), c.err)) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.err)
		}
	}
}

// microwatts is a count in exact arithmetic.
func microwatts(l line, count int64) *big.Rat {
	return new(big.Rat).Mul(big.NewRat(count, 1), big.NewRat(l.scale.Num, l.scale.Den))
}

// wanted is the formula of IPMI 2.0, 36.3, in exact arithmetic.
func wanted(f factors, x int64) *big.Rat {
	ten := func(n int) *big.Rat {
		if n < 0 {
			return big.NewRat(1, pow10(-n))
		}
		return big.NewRat(pow10(n), 1)
	}
	v := new(big.Rat).Mul(big.NewRat(f.b, 1), ten(f.offset))
	v.Add(v, new(big.Rat).Mul(big.NewRat(f.m, 1), big.NewRat(x, 1)))
	return v.Mul(v, ten(f.result+6))
}

// Every factor that a record can hold gives exact counts, and a count is the sensor's step where one is possible.
func TestLineIsExact(t *testing.T) {
	checked := 0
	for _, m := range []int64{1, 3, 4, 8, 10, 511} {
		for _, b := range []int64{-512, -1, 0, 4, 24, 500} {
			for result := -8; result <= 7; result++ {
				for offset := -8; offset <= 7; offset++ {
					f := factors{m: m, b: b, result: result, offset: offset}
					l, err := newLine(f)
					if err != nil {
						continue
					}
					checked++
					for _, x := range []byte{0, 1, 77, 128, 255} {
						if got, want := microwatts(l, l.count(x)), wanted(f, int64(x)); got.Cmp(want) != 0 {
							t.Fatalf("%+v of %d: got %v uW, want %v", f, x, got, want)
						}
					}
					if step := l.step * 1e6 * float64(l.scale.Den) / float64(l.scale.Num); b == 0 && math.Abs(step-1) > 1e-9 {
						t.Fatalf("%+v: a step is %v counts, want 1", f, step)
					}
					if b%m == 0 && offset >= 0 && l.mul != 1 {
						t.Fatalf("%+v: the offset is a number of steps, yet a step is %d counts", f, l.mul)
					}
				}
			}
		}
	}
	if checked < 2000 {
		t.Errorf("%d factors checked, want at least 2000", checked)
	}
}

func TestReadings(t *testing.T) {
	for _, c := range []struct {
		name, frame string
		f           factors
		raw         int64
		status      power.Status
	}{
		{"unsigned", "00 c8 40", factors{m: 4}, 200, power.OK},
		{"all events enabled", "00 c8 c0 00 00", factors{m: 4}, 200, power.OK},
		{"two's complement", "00 ff c0", factors{m: 1, format: 2}, -1, power.OK},
		{"one's complement", "00 fe c0", factors{m: 1, format: 1}, -1, power.OK},
		{"offset of whole steps", "00 64 c0", factors{m: 8, b: 24}, 103, power.OK},
		{"offset of half a step", "00 64 c0", factors{m: 8, b: 4}, 201, power.OK},
		{"scanning disabled", "00 c8 80", factors{m: 4}, 0, power.Unsupported},
		{"unavailable", "00 c8 e0", factors{m: 4}, 0, power.Unsupported},
		{"not present", "cb", factors{m: 4}, 0, power.Unsupported},
		{"no privilege", "d4", factors{m: 4}, 0, power.Denied},
		{"still busy", "c0", factors{m: 4}, 0, power.Failed},
		{"short", "00 c8", factors{m: 4}, 0, power.Failed},
	} {
		l, err := newLine(c.f)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := l.parseReading(bytesOf(t, c.frame))
		if raw != c.raw || status(err) != c.status {
			t.Errorf("%s: got %d, %v, want %d, %v", c.name, raw, status(err), c.raw, c.status)
		}
	}
}

func TestText(t *testing.T) {
	for _, c := range []struct {
		kind byte
		b    []byte
		want string
	}{
		{3, []byte("Sys Power\x00"), "Sys Power"},
		{3, []byte("a\x1b[2J\xffb"), "a?[2J?b"},
		{2, []byte{0x29, 0xdc, 0xa6}, "IPMI"}, // the example of FRU Storage Definition 1.0, chapter 15
		{1, []byte{0x12, 0xb4}, "12-4"},
		{3, nil, ""},
	} {
		if got := text(c.kind, c.b); got != c.want {
			t.Errorf("kind %d, % x: got %q, want %q", c.kind, c.b, got, c.want)
		}
	}
	board := append([]byte{1, 5, 0, 0, 0, 0}, "\xc4ACME\xc7Board 1\xc1"...)
	if got, want := parseArea(board, boardTexts), "ACME Board 1"; got != want {
		t.Errorf("board: got %q, want %q", got, want)
	}
}
