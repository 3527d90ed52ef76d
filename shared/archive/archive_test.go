package archive

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"agentwatt/shared/clock"
)

func records() []Record {
	return []Record{
		{1, 1_700_000_000_000_000_000, []byte("first")},
		{2, 1_700_000_001_000_000_000, []byte{}},
		{1 << 63, -1, bytes.Repeat([]byte("long"), 3000)},
	}
}

// written writes records, each in a frame of its own, and returns the file and its size after each.
func written(t testing.TB, list []Record) (path string, edges []int) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "x"+Suffix)
	w, err := Append(path)
	for _, r := range list {
		if err == nil {
			err = errors.Join(w.Add(r), w.Flush())
		}
		if info, _ := os.Stat(path); info != nil {
			edges = append(edges, int(info.Size()))
		}
	}
	if err = errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return path, edges
}

func read(data io.Reader) (list []Record, err error) {
	a, err := NewReader(data)
	if err != nil {
		return nil, err
	}
	defer a.Close()
	for {
		r, err := a.Next()
		if err == io.EOF {
			return list, nil
		}
		if err != nil {
			return list, err
		}
		list = append(list, r)
	}
}

func TestRecordsComeBack(t *testing.T) {
	want := records()
	path, _ := written(t, want)
	var got []Record
	if err := Read(path, func(r Record) error { got = append(got, r); return nil }); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-written +read):\n%s", diff)
	}
	more, err := Append(path)
	if err == nil {
		err = errors.Join(more.Add(want[0]), more.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	got = nil
	if err := Read(path, func(r Record) error { got = append(got, r); return nil }); err != nil || len(got) != len(want)+1 {
		t.Errorf("%d records after adding one to %d: %v", len(got), len(want), err)
	}
}

// Run directories were written before there was this package: the bytes of one that must stay readable.
func TestTheFormatIsThatOfRunDirectories(t *testing.T) {
	enc, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	frame := enc.EncodeAll([]byte("\x07\x80\xd0\xac\xf3\x0e\x03abc\x08\x00\x00"), nil)
	got, err := read(bytes.NewReader(frame))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]Record{{7, clock.Stamp(4_000_000_000), []byte("abc")}, {8, 0, []byte{}}}, got); diff != "" {
		t.Error(diff)
	}
}

func TestTornAnywhere(t *testing.T) {
	path, edges := written(t, records())
	all, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for n := range len(all) + 1 {
		whole, edge := 0, n == 0
		for i, e := range edges {
			if e <= n {
				whole, edge = i+1, e == n
			}
		}
		got, err := read(bytes.NewReader(all[:n]))
		if edge && err != nil || !edge && !errors.Is(err, ErrTorn) || len(got) != whole {
			t.Errorf("cut to %d of %d bytes: %d records, %v; want %d", n, len(all), len(got), err, whole)
		}
	}
}

func TestADiskThatFailsIsNoTornArchive(t *testing.T) {
	path, edges := written(t, records())
	all, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	broken := errors.New("input/output error")
	_, err = read(io.MultiReader(bytes.NewReader(all[:edges[1]]), iotest.ErrReader(broken)))
	if !errors.Is(err, broken) || errors.Is(err, ErrTorn) {
		t.Errorf("got %v, want the error of the disk", err)
	}
}

// What is added without a flush does not pile up in memory.
func TestFramesAreBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x"+Suffix)
	w, err := Append(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 6 {
		if err := w.Add(Record{Sequence: uint64(i), Payload: make([]byte, 1<<20)}); err != nil {
			t.Fatal(err)
		}
		if w.pending.Len() > enough {
			t.Fatalf("%d bytes are pending", w.pending.Len())
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	n := 0
	if err := Read(path, func(Record) error { n++; return nil }); err != nil || n != 6 {
		t.Errorf("%d records, %v, want 6", n, err)
	}
}

func TestHostileFilesAreBounded(t *testing.T) {
	pack := func(data []byte, options ...zstd.EOption) []byte {
		enc, err := zstd.NewWriter(nil, options...)
		if err != nil {
			t.Fatal(err)
		}
		return enc.EncodeAll(data, nil)
	}
	for name, data := range map[string][]byte{
		"claims 2^60 bytes":       pack([]byte{1, 1, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10}),
		"claims more than it has": pack([]byte{1, 1, 0xff, 0xff, 0xff, 0x01, 'x'}),
		"a window of 512 MiB":     pack(make([]byte, 1<<20), zstd.WithWindowSize(512<<20), zstd.WithSingleSegment(false)),
		"a number without an end": pack(bytes.Repeat([]byte{0xff}, 100)),
		"no archive":              []byte("no archive at all"),
		"a frame, then something": append(pack([]byte{1, 1, 0}), "behind it"...),
	} {
		if _, err := read(bytes.NewReader(data)); !errors.Is(err, ErrTorn) {
			t.Errorf("%s: %v, want a torn archive", name, err)
		}
	}
}

func TestFileName(t *testing.T) {
	for in, want := range map[string]string{
		"gpu-1.example": "gpu-1.example", "../../etc/passwd": "_._.._etc_passwd", "": "_", ".hidden": "_hidden", "a/b\x00c": "a_b_c",
	} {
		if got := FileName(in); got != want+Suffix || strings.ContainsAny(got, "/\x00") {
			t.Errorf("FileName(%q) = %q, want %q", in, got, want+Suffix)
		}
	}
	if got := FileName(strings.Repeat("x", 5000)); len(got) > 220 {
		t.Errorf("a host name of 5000 bytes makes a file name of %d", len(got))
	}
}

func FuzzRead(f *testing.F) {
	path, _ := written(f, records())
	all, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(all)
	f.Add(all[:len(all)-3])
	f.Add([]byte{0x28, 0xb5, 0x2f, 0xfd, 0x04, 0x00, 0x19, 0x00, 0x00, 0x01, 0x02, 0x03})
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, err := read(bytes.NewReader(data)); err != nil && !errors.Is(err, ErrTorn) {
			t.Errorf("bytes that are no archive: %v, want a torn one", err)
		}
	})
}
