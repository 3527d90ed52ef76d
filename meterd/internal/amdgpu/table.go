package amdgpu

import (
	"errors"
	"fmt"
	"io"
	"syscall"
)

// table is a card's gpu_metrics file. Reading it again does not allocate.
type table struct {
	path string
	fd   int // valid while open
	open bool
	buf  [8192]byte // an attribute of sysfs has at most one page
}

// errContent is wrapped by errors that are about what is in the table: the card is there.
var errContent = errors.New("not usable")

// read reads and parses the table. It is one system call: the driver asks the firmware at each, and at a second one for the
// rest of the file it would ask again.
func (t *table) read() (metrics, error) {
	if !t.open {
		fd, err := syscall.Open(t.path, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
		if err != nil {
			return metrics{}, fmt.Errorf("open %s: %w", t.path, err)
		}
		t.fd, t.open = fd, true
	}
	n, err := t.pread()
	if err == nil && n == 0 {
		err = io.EOF // the file of a card that is there is never empty
	}
	if err != nil {
		return metrics{}, fmt.Errorf("read %s: %w", t.path, err)
	}
	m, err := parse(t.buf[:n])
	if err != nil {
		err = fmt.Errorf("read %s: %w: %w", t.path, err, errContent)
	}
	return m, err
}

func (t *table) pread() (n int, err error) {
	for {
		if n, err = syscall.Pread(t.fd, t.buf[:], 0); err != syscall.EINTR {
			return n, err
		}
	}
}

func (t *table) close() {
	if t.open {
		syscall.Close(t.fd) // nothing was written, so nothing can be lost by it
		t.open = false
	}
}
