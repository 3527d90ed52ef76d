package wire

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"google.golang.org/protobuf/encoding/protowire"

	"agentwatt/shared/power"
)

// head is the least that a batch with one meter needs before its series.
func head() []byte {
	b := appendUint(nil, batchVersion, 1)
	b = appendMessage(b, batchDevices, nil)
	return appendMessage(b, batchKinds, nil)
}

// withSeries returns a batch of one series with these columns, by field number.
func withSeries(columns map[protowire.Number][]byte) []byte {
	var s []byte
	for _, n := range []protowire.Number{seriesTime, seriesWithin, seriesRaw, seriesDeviceTime, seriesStatus} {
		if col, ok := columns[n]; ok {
			s = appendMessage(s, n, col)
		}
	}
	return appendMessage(head(), batchSeries, s)
}

func TestDecodeRefuses(t *testing.T) {
	whole := mustEncode(t, host(1, 3, 1e6))
	long := protowire.AppendVarint(nil, zigzag(maxMicros+1))
	for _, c := range []struct {
		want string
		data []byte
	}{
		{"no version: not a batch", nil},
		{"version 2 is newer than 1", appendUint(nil, batchVersion, 2)},
		{"unexpected EOF", whole[:len(whole)-1]},
		{"field 2: wire type 0", appendUint(head(), batchHost, 1)},
		{"host: 4097 bytes", appendText(head(), batchHost, strings.Repeat("x", 4097))},
		{"host: 4097 bytes", appendText(head(), batchHost, strings.Repeat("x", 1<<20))},
		{"host: not UTF-8", appendText(head(), batchHost, "\xff")},
		{"0 meters, 4097 devices, 0 kinds: limit 4096 each", manyDevices()},
		{"kind: quantity 5: not known", appendMessage(head(), batchKinds, appendUint(nil, kindQuantity, 5))},
		{"kind: delay_from 256: not known", appendMessage(head(), batchKinds, appendUint(nil, kindDelayFrom, 256))},
		{"device 1 of 1", appendMessage(head(), batchSeries, appendUint(nil, seriesDevice, 1))},
		{"kind 1 of 1", appendMessage(head(), batchSeries, appendUint(nil, seriesKind, 1))},
		{"same_times: 1 samples after 0", appendMessage(head(), batchSeries,
			appendMessage(appendUint(nil, seriesSameTimes, 1), seriesRaw, []byte{2}))},
		{"column time: more entries than column raw", withSeries(map[protowire.Number][]byte{seriesTime: {2, 2}, seriesRaw: {2}})},
		{"column within: more entries", withSeries(map[protowire.Number][]byte{seriesWithin: {2}})},
		{"column device_time: more entries", withSeries(map[protowire.Number][]byte{seriesDeviceTime: {2}})},
		{"column status: more entries", withSeries(map[protowire.Number][]byte{seriesStatus: {2}})},
		{"column raw: broken varint", withSeries(map[protowire.Number][]byte{seriesRaw: {2, 0x80}})},
		{"column raw: broken varint", withSeries(map[protowire.Number][]byte{seriesRaw: []byte(strings.Repeat("\xff", 10) + "\x01")})},
		{"column within: value out of range", withSeries(map[protowire.Number][]byte{seriesWithin: {1}, seriesRaw: {2}})},
		{"column time: value out of range", withSeries(map[protowire.Number][]byte{seriesTime: long, seriesRaw: {2}})},
		{"column within: value out of range", withSeries(map[protowire.Number][]byte{seriesWithin: long, seriesRaw: {2}})},
		{"column device_time: value out of range", withSeries(map[protowire.Number][]byte{seriesDeviceTime: long, seriesRaw: {2}})},
		{"column status: value out of range", withSeries(map[protowire.Number][]byte{seriesStatus: {10}, seriesRaw: {2}})},
		{"column status: value out of range", withSeries(map[protowire.Number][]byte{seriesStatus: {1}, seriesRaw: {2}})},
		{"1048577 samples, limit 1048576", withSeries(map[protowire.Number][]byte{seriesRaw: make([]byte, MaxSamples+1)})},
		{"id made from kind and device: 257 bytes", appendMessage(appendMessage(appendText(appendUint(nil, batchVersion, 1),
			batchDevices, strings.Repeat("d", 257)), batchKinds, nil), batchSeries, nil)},
	} {
		_, err := Decode(c.data)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %q", err, c.want)
		}
	}
}

// A Decoder that is used again decodes as a new one does, whatever came before.
func TestDecoderForgetsTheLastBatch(t *testing.T) {
	var d Decoder
	var got power.Batch
	whole := mustEncode(t, host(8, 40, time.Second))
	for i, data := range [][]byte{
		mustEncode(t, oddities()), whole, whole[:len(whole)-3], mustEncode(t, host(2, 3, 1e6)), mustEncode(t, &power.Batch{}), whole,
		withSeries(map[protowire.Number][]byte{seriesRaw: {2, 4}}), nil, mustEncode(t, oddities()),
	} {
		want, wantErr := Decode(data)
		err := d.Decode(&got, data)
		if fmt.Sprint(err) != fmt.Sprint(wantErr) {
			t.Errorf("batch %d: got %v, want %v", i, err, wantErr)
		}
		if err != nil {
			continue
		}
		if diff := cmp.Diff(want, &got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("batch %d (-new +used again):\n%s", i, diff)
		}
	}
}

func TestDecoderAllocatesNothing(t *testing.T) {
	var d Decoder
	var b power.Batch
	data := mustEncode(t, host(8, 10, 100*time.Millisecond))
	decode := func() {
		if err := d.Decode(&b, data); err != nil {
			t.Fatal(err)
		}
	}
	decode() // AllocsPerRun warms up once more, by when texts are kept
	if got := testing.AllocsPerRun(100, decode); got != 0 {
		t.Errorf("got %v allocations per batch, want 0", got)
	}
}

// Texts that never come again must not pile up.
func TestDecoderKeepsABoundedNumberOfTexts(t *testing.T) {
	var d Decoder
	var b power.Batch
	for i := range 3 * maxTexts {
		data := mustEncode(t, &power.Batch{Host: fmt.Sprint(i)})
		if err := d.Decode(&b, data); err != nil || b.Host != fmt.Sprint(i) {
			t.Fatalf("got host %q, %v; want %d", b.Host, err, i)
		}
		if len(d.texts) > maxTexts+1 {
			t.Fatalf("%d texts are kept", len(d.texts))
		}
	}
}

func manyDevices() []byte {
	b := appendUint(nil, batchVersion, 1)
	for range MaxMeters + 1 {
		b = appendMessage(b, batchDevices, nil)
	}
	return b
}

// Every truncation is an error or a batch, never a panic.
func TestDecodeTruncated(t *testing.T) {
	whole := mustEncode(t, oddities())
	for n := range whole {
		if b, err := Decode(whole[:n]); err == nil && len(b.Samples) == len(oddities().Samples) && len(b.Notes) == len(oddities().Notes) && len(b.Losses) == len(oddities().Losses) {
			t.Errorf("%d of %d bytes decode to all samples and notes", n, len(whole))
		}
	}
}

func TestDecodeSkipsUnknownFields(t *testing.T) {
	data := mustEncode(t, host(1, 3, 1e6))
	data = protowire.AppendTag(data, 1000, protowire.Fixed32Type)
	data = protowire.AppendFixed32(data, 7)
	data = protowire.AppendTag(data, 1001, protowire.StartGroupType)
	data = appendText(data, 1, "inside a group")
	data = protowire.AppendTag(data, 1001, protowire.EndGroupType)
	data = appendText(data, 1002, "later")
	b, err := Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := len(b.Samples), 9; got != want {
		t.Errorf("got %d samples, want %d", got, want)
	}
}

// What a batch costs must follow from its size, not from what it claims.
func TestHostileInputCostsInProportion(t *testing.T) {
	var twoBytes, ids, kinds []byte
	twoBytes = head()
	for range MaxMeters {
		twoBytes = appendMessage(twoBytes, batchSeries, nil)
	}
	ids = appendText(appendMessage(appendUint(nil, batchVersion, 1), batchKinds, nil), batchDevices, strings.Repeat("d", maxMadeID))
	kinds = head()
	for range MaxMeters {
		ids = appendMessage(ids, batchSeries, nil)
		kinds = appendMessage(kinds, batchKinds, nil)
	}
	for name, data := range map[string][]byte{
		"series of two bytes": twoBytes, "ids made for nothing": ids, "kinds of two bytes": kinds,
		"samples of one byte":    withSeries(map[protowire.Number][]byte{seriesRaw: make([]byte, MaxSamples)}),
		"a length without bytes": append(head(), 0x62, 0xff, 0xff, 0xff, 0xff, 0x07),
	} {
		const most = 350 // bytes per byte
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, _ = Decode(data)
		runtime.ReadMemStats(&after)
		if got := after.TotalAlloc - before.TotalAlloc; got > most*uint64(len(data)) {
			t.Errorf("%s: %d bytes of input cost %d", name, len(data), got)
		}
	}
}

// A stock protobuf writer may order, split and unpack fields as it likes.
func TestDecodeAcceptsAnyOrderAndPacking(t *testing.T) {
	var s []byte
	s = protowire.AppendTag(s, seriesRaw, protowire.VarintType)
	s = protowire.AppendVarint(s, zigzag(5))
	s = appendMessage(s, seriesRaw, []byte{2, 2})
	s = appendUint(s, seriesKind, 0)
	s = protowire.AppendTag(s, seriesRaw, protowire.VarintType)
	s = protowire.AppendVarint(s, zigzag(-1))
	data := appendMessage(nil, batchSeries, s)
	data = append(data, head()...)
	b, err := Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	var got []int64
	for _, s := range b.Samples {
		got = append(got, s.Raw)
	}
	if want := "[5 6 7 6]"; fmt.Sprint(got) != want {
		t.Errorf("got raw %v, want %v", got, want)
	}
	if b.Samples[0].Status != power.OK {
		t.Errorf("got status %v", b.Samples[0].Status)
	}
}
