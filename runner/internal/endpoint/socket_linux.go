//go:build linux && (amd64 || arm64 || riscv64 || ppc64le || loong64)

package endpoint

import (
	"encoding/binary"
	"io"
	"net"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"agentwatt/shared/clock"
)

// receiver reads with recvmsg, which hands out the time at which the kernel received the bytes (SO_TIMESTAMPING). What is
// handed to the kernel is in the struct, since it must not be on a stack that moves.
type receiver struct {
	msg unix.Msghdr
	iov unix.Iovec
	oob [128]byte
}

// recv tries one read into p, which is not empty. It returns how many bytes came and when the last of them reached the kernel
// by the wall clock; 0: not known. The call is raw: on a non-blocking descriptor it returns at once, and a call that the
// scheduler need not hear of costs a third less per event (reference/perf.md 1).
func (r *receiver) recv(fd uintptr, p []byte) (n int, wall clock.Stamp, errno syscall.Errno) {
	r.iov.Base = &p[0]
	r.iov.SetLen(len(p))
	r.msg.Iov, r.msg.Control = &r.iov, &r.oob[0]
	r.msg.SetIovlen(1)
	for {
		r.msg.SetControllen(len(r.oob))
		got, _, errno := unix.RawSyscall(unix.SYS_RECVMSG, fd, uintptr(unsafe.Pointer(&r.msg)), unix.MSG_DONTWAIT)
		switch errno {
		case syscall.EINTR:
			continue
		case 0:
			return int(got), rxStamp(r.oob[:r.msg.Controllen]), 0
		}
		return 0, 0, errno
	}
}

// gatherer writes with one writev.
type gatherer struct{ iov []unix.Iovec }

// writev gives the kernel what it takes of bufs at once and returns how much that was.
func (g *gatherer) writev(fd uintptr, bufs [][]byte) (int, syscall.Errno) {
	g.iov = g.iov[:0]
	for _, b := range bufs {
		if len(b) > 0 {
			v := unix.Iovec{Base: &b[0]}
			v.SetLen(len(b))
			g.iov = append(g.iov, v)
		}
	}
	if len(g.iov) == 0 {
		return 0, 0
	}
	defer clear(g.iov) // no references to a trajectory between requests
	for {
		// Not raw: half a megabyte takes long enough to let the scheduler use the processor.
		n, _, errno := unix.Syscall(unix.SYS_WRITEV, fd, uintptr(unsafe.Pointer(&g.iov[0])), uintptr(len(g.iov)))
		switch errno {
		case syscall.EINTR:
			continue
		case syscall.EAGAIN:
			return 0, 0
		case 0:
			return int(n), 0
		}
		return 0, errno
	}
}

// askStamps turns the kernel's receive stamps of a socket on.
func askStamps(fd uintptr) error {
	return unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_TIMESTAMPING,
		unix.SOF_TIMESTAMPING_RX_SOFTWARE|unix.SOF_TIMESTAMPING_SOFTWARE)
}

// tcpSocket is a connection whose descriptor stays with Go's poller: deadlines and Close work as on any net.Conn. One
// goroutine reads and one writes; each has its own state.
type tcpSocket struct {
	raw syscall.RawConn

	in     receiver
	p      []byte
	n      int
	wall   clock.Stamp
	errno  syscall.Errno
	doRead func(fd uintptr) bool

	out     gatherer
	bufs    [][]byte
	wn      int
	werrno  syscall.Errno
	doWrite func(fd uintptr) bool
}

// openTCP asks for receive stamps and returns nil if the kernel has none to give.
func openTCP(c *net.TCPConn) *tcpSocket {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil
	}
	var opt error
	err = raw.Control(func(fd uintptr) { opt = askStamps(fd) })
	if err != nil || opt != nil {
		return nil
	}
	s := &tcpSocket{raw: raw}
	s.doRead, s.doWrite = s.tryRead, s.tryWrite // bound once: a method value per call would be an allocation per call
	return s
}

// tryRead tries one read; false makes the poller wait for more.
func (s *tcpSocket) tryRead(fd uintptr) bool {
	s.n, s.wall, s.errno = s.in.recv(fd, s.p)
	return s.errno != syscall.EAGAIN
}

// read waits for bytes and returns how many came and when the last of them reached the kernel; 0: not known.
func (s *tcpSocket) read(p []byte) (int, clock.Stamp, error) {
	if len(p) == 0 {
		return 0, 0, nil
	}
	s.p = p
	err := s.raw.Read(s.doRead)
	s.p, s.in.iov.Base = nil, nil // the buffer goes back to a pool
	switch {
	case err != nil:
		return 0, 0, err
	case s.errno != 0:
		return 0, 0, os.NewSyscallError("recvmsg", s.errno)
	case s.n == 0:
		return 0, 0, io.EOF
	}
	return s.n, s.wall, nil
}

// rxStamp finds the software receive stamp among control messages: SCM_TIMESTAMPING holds three struct timespec, the
// first of them software's. TCP reports the stamp of the last segment that the read took from.
func rxStamp(oob []byte) clock.Stamp {
	const header = unix.SizeofCmsghdr
	for len(oob) >= header {
		size := int(binary.NativeEndian.Uint64(oob))
		level := int32(binary.NativeEndian.Uint32(oob[8:]))
		kind := int32(binary.NativeEndian.Uint32(oob[12:]))
		if size < header || size > len(oob) {
			return 0
		}
		if level == unix.SOL_SOCKET && kind == unix.SO_TIMESTAMPING && size >= header+16 {
			sec := int64(binary.NativeEndian.Uint64(oob[header:]))
			nsec := int64(binary.NativeEndian.Uint64(oob[header+8:]))
			if sec == 0 && nsec == 0 {
				return 0
			}
			return clock.Stamp(sec*1e9 + nsec)
		}
		oob = oob[min((size+7)&^7, len(oob)):]
	}
	return 0
}

// tryWrite never asks to be called again: what is left over is the caller's.
func (s *tcpSocket) tryWrite(fd uintptr) bool {
	s.wn, s.werrno = s.out.writev(fd, s.bufs)
	return true
}

func (s *tcpSocket) write(bufs [][]byte) (int, error) {
	s.bufs = bufs
	err := s.raw.Write(s.doWrite)
	s.bufs = nil
	if err != nil {
		return 0, err
	}
	if s.werrno != 0 {
		return 0, os.NewSyscallError("writev", s.werrno)
	}
	return s.wn, nil
}

// idle looks at the receive queue without taking from it.
func (s *tcpSocket) idle() error {
	var result error
	err := s.raw.Control(func(fd uintptr) {
		var one [1]byte
		n, _, err := unix.Recvfrom(int(fd), one[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		switch {
		case err == unix.EAGAIN || err == unix.EINTR:
		case err != nil:
			result = os.NewSyscallError("recv", err)
		case n >= 0: // end of file, or bytes that nobody asked for
			result = errStale
		}
	})
	if err != nil {
		return err
	}
	return result
}
