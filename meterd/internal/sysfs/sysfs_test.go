package sysfs

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"agentwatt/shared/power"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestInt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "energy_uj")
	for text, want := range map[string]int64{
		"0\n": 0, "42\n": 42, "42": 42, "-7 \n": -7, "9223372036854775807\n": math.MaxInt64, "5\x00": 5,
	} {
		write(t, path, text)
		a, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if got, err := a.Int(); got != want || err != nil {
				t.Errorf("Attr %q: got %d, %v; want %d", text, got, err, want)
			}
		}
		if got, err := Int(path); got != want || err != nil {
			t.Errorf("Int %q: got %d, %v; want %d", text, got, err, want)
		}
		a.Close()
	}
	for _, text := range []string{"x\n", "1 2\n", "9223372036854775808\n", "1.5\n", "\n", "12345678901234567890123456789012345\n"} {
		write(t, path, text)
		a, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := a.Int(); err == nil || got != 0 {
			t.Errorf("%q: got %d, %v; want an error", text, got, err)
		}
		a.Close()
	}
}

func TestAttrComesBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "power1_input")
	a, err := Open(path)
	if Status(err) != power.Lost {
		t.Fatalf("open without a file: %v", err)
	}
	write(t, path, "1\n")
	if got, err := a.Int(); got != 1 || err != nil {
		t.Errorf("after it appeared: %d, %v", got, err)
	}
	write(t, path, "")
	if _, err := a.Int(); Status(err) != power.Lost {
		t.Errorf("emptied: %v, want lost", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Int(); Status(err) != power.Lost {
		t.Errorf("removed: %v, want lost", err)
	}
	write(t, path, "2\n")
	if got, err := a.Int(); got != 2 || err != nil {
		t.Errorf("after it came back: %d, %v", got, err)
	}
	if first, second := a.Close(), a.Close(); first != nil || second != nil {
		t.Error("Close is not idempotent")
	}
}

func TestStatus(t *testing.T) {
	for _, c := range []struct {
		err  error
		want power.Status
	}{
		{nil, power.OK},
		{syscall.EACCES, power.Denied}, {syscall.EPERM, power.Denied}, {fs.ErrPermission, power.Denied},
		{syscall.ENODATA, power.Unsupported}, {syscall.EOPNOTSUPP, power.Unsupported},
		{syscall.ENODEV, power.Lost}, {syscall.ENXIO, power.Lost}, {syscall.ENOENT, power.Lost}, {io.EOF, power.Lost},
		{syscall.EIO, power.Failed}, {syscall.EAGAIN, power.Failed}, {strconv.ErrSyntax, power.Failed},
	} {
		if got := Status(c.err); got != c.want {
			t.Errorf("Status(%v) = %d, want %d", c.err, got, c.want)
		}
		if c.err != nil {
			if got := Status(fmt.Errorf("read x: %w", &fs.PathError{Op: "read", Path: "x", Err: c.err})); got != c.want {
				t.Errorf("Status(wrapped %v) = %d, want %d", c.err, got, c.want)
			}
		}
	}
}

func TestAttrDoesNotAllocate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "energy_uj")
	write(t, path, "123456789012\n")
	a, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if got := testing.AllocsPerRun(100, func() {
		if _, err := a.Int(); err != nil {
			t.Fatal(err)
		}
	}); got != 0 {
		t.Errorf("%v allocations per read, want 0", got)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"1\n", "-1", "", "9223372036854775808", "0x1", "1_0", "+1"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		v, ok := parse(text)
		if back, again := parse(strconv.AppendInt(nil, v, 10)); ok && (back != v || !again) {
			t.Errorf("%q reads as %d, which reads as %d", text, v, back)
		}
	})
}

func TestLineIsBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "label")
	for size, ok := range map[int]bool{0: true, 10: true, mostLine: true, mostLine + 1: false} {
		if err := os.WriteFile(path, bytes.Repeat([]byte("x"), size), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := Line(path); (err == nil) != ok || ok && len(got) != size {
			t.Errorf("%d bytes: read %d, %v", size, len(got), err)
		}
	}
}
