// Package sysfs reads the small attribute files of /sys: one number or one line each, opened once and read again and again.
// The root of the tree is always the caller's, so a directory of files is a host in tests.
package sysfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"agentwatt/shared/power"
)

// Attr is an attribute that holds one integer. Reading it again does not allocate. It is used by one goroutine at a time.
type Attr struct {
	path string
	file *os.File // nil while the attribute is away
	buf  [32]byte // the longest int64 has 20 characters
}

// Open opens the attribute at path. On error the Attr is usable too: its Int then tries again to open it.
func Open(path string) (*Attr, error) {
	a := &Attr{path: path}
	return a, a.open()
}

func (a *Attr) open() (err error) {
	a.file, err = os.Open(a.path)
	return err
}

// Int reads the attribute. One whose device has gone is opened again by later calls, so that it comes back with the device.
func (a *Attr) Int() (int64, error) {
	if a.file == nil {
		if err := a.open(); err != nil {
			return 0, err
		}
	}
	n, err := a.file.ReadAt(a.buf[:], 0)
	switch {
	case n > 0 && (err == nil || err == io.EOF):
		if n == len(a.buf) {
			return 0, fmt.Errorf("read %s: longer than a number", a.path)
		}
		v, ok := parse(a.buf[:n])
		if !ok {
			return 0, fmt.Errorf("read %s: %q is not a number", a.path, a.buf[:n])
		}
		return v, nil
	case err == nil:
		err = io.EOF
	}
	if Status(err) == power.Lost {
		a.Close()
	}
	return 0, fmt.Errorf("read %s: %w", a.path, err)
}

// Close releases the file; a later Int opens it again.
func (a *Attr) Close() error {
	if a.file == nil {
		return nil
	}
	err := a.file.Close()
	a.file = nil
	return err
}

// Status says what an error of this package means for a sample; a nil error is power.OK.
func Status(err error) power.Status {
	switch {
	case err == nil:
		return power.OK
	case errors.Is(err, fs.ErrPermission):
		return power.Denied
	case errors.Is(err, syscall.ENODATA), errors.Is(err, syscall.EOPNOTSUPP):
		return power.Unsupported
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENODEV), errors.Is(err, syscall.ENXIO),
		errors.Is(err, io.EOF): // an attribute is never empty while its device is there
		return power.Lost
	}
	return power.Failed
}

// Int reads the integer in the file at path.
func Int(path string) (int64, error) {
	line, err := Line(path)
	if err != nil {
		return 0, err
	}
	v, ok := parse([]byte(line))
	if !ok {
		return 0, fmt.Errorf("read %s: %q is not a number", path, line)
	}
	return v, nil
}

// mostLine is the longest text of an attribute: the kernel gives a page at most, and pages have up to 64 KiB.
const mostLine = 64 << 10

// Line reads the file at path without blanks around its text.
func Line(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, mostLine+1))
	switch {
	case err != nil:
		return "", fmt.Errorf("read %s: %w", path, err)
	case len(text) > mostLine:
		return "", fmt.Errorf("read %s: longer than an attribute", path)
	}
	return strings.TrimSpace(string(text)), nil
}

// Target returns the last element of what the symbolic link at path points to, such as the PCI address in a device link;
// empty if there is no link.
func Target(path string) string {
	to, err := os.Readlink(path)
	if err != nil {
		return ""
	}
	return filepath.Base(to)
}

// parse reads a decimal integer with optional blanks after it.
func parse(text []byte) (int64, bool) {
	end := len(text)
	for end > 0 && (text[end-1] == '\n' || text[end-1] == ' ' || text[end-1] == 0) {
		end--
	}
	v, err := strconv.ParseInt(string(text[:end]), 10, 64) // the compiler keeps this string on the stack
	return v, err == nil
}
