package redfish

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestEvents(t *testing.T) {
	long := strings.Repeat("x", 10_000)
	for _, c := range []struct {
		stream string
		want   []string
		err    error
	}{
		{"", nil, io.EOF},
		{"data: a\n\n", []string{"a"}, io.EOF},
		{"data:a\r\n\r\ndata: b\r\n\r\n", []string{"a", "b"}, io.EOF},
		{": hello\n\nid: 7\nevent: x\ndata: a\ndata:\ndata:  b\nretry: 5\n\n\n\n", []string{"a\n\n b"}, io.EOF},
		{"data\n\n", []string{""}, io.EOF},
		{"dataset: a\n\ndata: b\n\ndata: cut off", []string{"b"}, io.EOF},
		{"data: " + long + "\n\n", []string{long}, io.EOF},
		{"data: " + strings.Repeat("x", mostEvent) + "\n\n", nil, errLong},
		{strings.Repeat("data: x\n", mostEvent/8+1), nil, errLong},
		{strings.Repeat(": ping\n\n", mostEvent/4) + "data: a\n\n", []string{"a"}, io.EOF},
	} {
		e := newEvents(strings.NewReader(c.stream))
		var got []string
		var err error
		for err == nil {
			var data []byte
			if data, err = e.next(func() {}); err == nil {
				got = append(got, string(data))
			}
		}
		if diff := cmp.Diff(c.want, got); diff != "" || !errors.Is(err, c.err) {
			t.Errorf("%.40q: %v %s", c.stream, err, diff)
		}
	}
}

// However a stream is cut into pieces, the same events come out of it, within bounds.
func FuzzEvents(f *testing.F) {
	f.Add([]byte("data: a\n\n"), uint8(1))
	f.Add([]byte(": x\r\n\r\nid: 1\r\ndata: {\"a\":\r\ndata: 1}\r\n\r\n"), uint8(3))
	f.Add([]byte("data\ndata\n\n\n\ndata:b"), uint8(7))
	f.Fuzz(func(t *testing.T, stream []byte, piece uint8) {
		all := func(r io.Reader) (list []string) {
			e := newEvents(r)
			for {
				began := false
				data, err := e.next(func() { began = true })
				if err != nil {
					return list
				}
				if !began {
					t.Fatal("an event without a beginning")
				}
				list = append(list, string(data))
			}
		}
		want, got := all(bytes.NewReader(stream)), all(&pieces{stream, int(piece)%8 + 1})
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
		if total := len(strings.Join(got, "")); total > len(stream) {
			t.Fatalf("%d bytes out of %d", total, len(stream))
		}
	})
}

// pieces gives a few bytes per read.
type pieces struct {
	left []byte
	n    int
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.left) == 0 {
		return 0, io.EOF
	}
	n := copy(b, p.left[:min(p.n, len(p.left))])
	p.left = p.left[n:]
	return n, nil
}
