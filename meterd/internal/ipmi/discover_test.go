package ipmi

import (
	"context"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// store answers requests for sensor records and FRU data as a BMC does.
type store struct {
	records [][]byte
	fru     []byte
	most    int // bytes in one answer
	cancel  int // reservations that are cancelled while in use
	held    uint16
	asked   int
}

func (s *store) ask(_ context.Context, r request) (frame, error) {
	s.asked++
	switch {
	case r.cmd == cmdReserveSDR:
		s.held++
		return frame(binary.LittleEndian.AppendUint16([]byte{0}, s.held)), nil
	case r.cmd == cmdGetSDR && int(r.data[5]) > s.most, r.cmd == cmdReadFRU && int(r.data[3]) > s.most:
		return frame{byte(codeBytes)}, nil
	case r.cmd == cmdGetSDR:
		if s.cancel > 0 && r.data[4] > 0 {
			s.cancel--
			s.held++
		}
		if binary.LittleEndian.Uint16(r.data) != s.held {
			return frame{byte(codeCancelled)}, nil
		}
		return s.record(int(binary.LittleEndian.Uint16(r.data[2:])), int(r.data[4]), int(r.data[5])), nil
	case r.cmd == cmdReadFRU:
		at := int(binary.LittleEndian.Uint16(r.data[1:]))
		if at >= len(s.fru) {
			return frame{byte(codeRange)}, nil
		}
		part := s.fru[at:min(at+int(r.data[3]), len(s.fru))]
		return append(frame{0, byte(len(part))}, part...), nil
	}
	return frame{byte(codeInvalid)}, nil
}

func (s *store) record(i, at, n int) frame {
	if i >= len(s.records) {
		return frame{byte(codeAbsent)}
	}
	next := uint16(i + 1)
	if i+1 == len(s.records) {
		next = lastRecord
	}
	r := s.records[i]
	return append(frame(binary.LittleEndian.AppendUint16([]byte{0}, next)), r[min(at, len(r)):min(at+n, len(r))]...)
}

func TestWalk(t *testing.T) {
	compact := record(7, "Power", factors{m: 1}, func(b []byte) { b[3] = 2 })
	records := [][]byte{record(1, "Temp", factors{m: 1}, func(b []byte) { b[21] = 1 }), record(2, "Sys Power", factors{m: 4}), compact,
		record(3, "P", factors{m: 1}, func(b []byte) { b[5] = 0x2c }), record(4, "PSU1 Input Power", factors{m: 8})}
	for _, c := range []struct {
		name string
		s    store
		want []string
		err  string
	}{
		{"all", store{records: records, most: 255}, []string{"Sys Power", "PSU1 Input Power"}, ""},
		{"in small parts", store{records: records, most: 6}, []string{"Sys Power", "PSU1 Input Power"}, ""},
		{"reservation cancelled", store{records: records, most: 16, cancel: 3}, []string{"Sys Power", "PSU1 Input Power"}, ""},
		{"cancelled for ever", store{records: records, most: 16, cancel: 1 << 30}, nil, "c5"},
		{"none", store{most: 16}, nil, ""},
		{"record is cut off", store{records: [][]byte{records[1][:30]}, most: 16}, nil, "no part of the record"},
	} {
		list, absent, err := sensors(t.Context(), c.s.ask)
		var got []string
		for _, s := range list {
			got = append(got, s.name)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: sensors (-want +got):\n%s", c.name, diff)
		}
		if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.err)
		}
		if len(c.want) > 0 && (len(absent) != 1 || !strings.Contains(absent[0], `"P"`)) {
			t.Errorf("%s: absent %q, want the sensor of the other controller", c.name, absent)
		}
	}
}

// A repository that leads in circles ends all the same.
func TestWalkEnds(t *testing.T) {
	s := &store{records: [][]byte{record(1, "Sys Power", factors{m: 4}), record(2, "P", factors{m: 4})}, most: 255}
	circle := func(ctx context.Context, r request) (frame, error) {
		f, err := s.ask(ctx, r)
		if r.cmd == cmdGetSDR {
			binary.LittleEndian.PutUint16(f[1:], 1-uint16(r.data[2])) // 0 leads to 1, 1 to 0
		}
		return f, err
	}
	if _, _, err := sensors(t.Context(), circle); err == nil || s.asked > 10*mostRecords {
		t.Errorf("error %v after %d requests", err, s.asked)
	}
	gone := errors.New("gone")
	if _, _, err := sensors(t.Context(), func(context.Context, request) (frame, error) { return nil, gone }); !errors.Is(err, gone) {
		t.Errorf("a BMC that is gone: %v", err)
	}
}

func TestModel(t *testing.T) {
	area := func(head int, texts string) []byte {
		b := append(make([]byte, head), texts...)
		return append(b, make([]byte, 64-len(b))...)
	}
	board, product := area(boardTexts, "\xc4ACME\xc3B-1\xc1"), area(productTexts, "\xc4ACME\xc8DGX-9000\xc1")
	for _, c := range []struct {
		name string
		fru  []byte
		want string
	}{
		{"product", append(append([]byte{1, 0, 0, 1, 9, 0, 0, 0}, board...), product...), "ACME DGX-9000"},
		{"board alone", append([]byte{1, 0, 0, 1, 0, 0, 0, 0}, board...), "ACME B-1"},
		{"maker alone", append([]byte{1, 0, 0, 1, 0, 0, 0, 0}, area(boardTexts, "\xc4ACME\xc1junk")...), "ACME"},
		{"area beyond the end", []byte{1, 0, 0, 90, 0, 0, 0, 0}, ""},
		{"cut off", []byte{1, 0, 0}, ""},
		{"none", nil, ""},
	} {
		s := &store{fru: c.fru, most: 16}
		if got := model(t.Context(), s.ask); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
	if got := (identity{manufacturer: 99999, product: 5}).name(); got != "manufacturer 99999, product 5" {
		t.Errorf("a stranger's name: %q", got)
	}
	if got := uuid([16]byte{}); got != "" {
		t.Errorf("a GUID of zeros: %q", got)
	}
}
