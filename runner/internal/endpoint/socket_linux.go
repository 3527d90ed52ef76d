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

// tcpSocket reads with recvmsg, which hands out the time at which the kernel received the bytes (SO_TIMESTAMPING), and
// writes with one writev. The descriptor stays with Go's poller: deadlines and Close work as on any net.Conn.
//
// The calls are raw: on a non-blocking descriptor they return at once, and a call that the scheduler need not hear of
// costs a third less per event (reference/perf.md 1). One goroutine reads and one writes; each has its own state.
type tcpSocket struct {
	raw syscall.RawConn

	// One read. All in the struct, since what is handed to the kernel must not be on a stack that moves.
	msg    unix.Msghdr
	iov    unix.Iovec
	oob    [128]byte
	n      int
	errno  syscall.Errno
	doRead func(fd uintptr) bool

	wiov    []unix.Iovec
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
	err = raw.Control(func(fd uintptr) {
		opt = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_TIMESTAMPING,
			unix.SOF_TIMESTAMPING_RX_SOFTWARE|unix.SOF_TIMESTAMPING_SOFTWARE)
	})
	if err != nil || opt != nil {
		return nil
	}
	s := &tcpSocket{raw: raw}
	s.doRead, s.doWrite = s.recvmsg, s.writev // bound once: a method value per call would be an allocation per call
	return s
}

// recvmsg tries one read; false makes the poller wait for more.
func (s *tcpSocket) recvmsg(fd uintptr) bool {
	for {
		s.msg.SetControllen(len(s.oob))
		n, _, errno := unix.RawSyscall(unix.SYS_RECVMSG, fd, uintptr(unsafe.Pointer(&s.msg)), unix.MSG_DONTWAIT)
		switch errno {
		case syscall.EINTR:
			continue
		case syscall.EAGAIN:
			return false
		}
		s.n, s.errno = int(n), errno
		return true
	}
}

// read waits for bytes and returns how many came and when the last of them reached the kernel; 0: not known.
func (s *tcpSocket) read(p []byte) (int, clock.Stamp, error) {
	if len(p) == 0 {
		return 0, 0, nil
	}
	s.iov.Base = &p[0]
	s.iov.SetLen(len(p))
	s.msg.Iov, s.msg.Control = &s.iov, &s.oob[0]
	s.msg.SetIovlen(1)
	err := s.raw.Read(s.doRead)
	s.iov.Base = nil // the slab goes back to a pool
	switch {
	case err != nil:
		return 0, 0, err
	case s.errno != 0:
		return 0, 0, os.NewSyscallError("recvmsg", s.errno)
	case s.n == 0:
		return 0, 0, io.EOF
	}
	return s.n, rxStamp(s.oob[:s.msg.Controllen]), nil
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

// writev gives the kernel what it takes at once. It never asks to be called again: what is left over is the caller's.
func (s *tcpSocket) writev(fd uintptr) bool {
	for {
		// Not raw: half a megabyte takes long enough to let the scheduler use the processor.
		n, _, errno := unix.Syscall(unix.SYS_WRITEV, fd, uintptr(unsafe.Pointer(&s.wiov[0])), uintptr(len(s.wiov)))
		switch errno {
		case syscall.EINTR:
			continue
		case syscall.EAGAIN:
			s.wn, s.werrno = 0, 0
			return true
		}
		s.wn, s.werrno = int(n), errno
		return true
	}
}

func (s *tcpSocket) write(bufs [][]byte) (int, error) {
	s.wiov = s.wiov[:0]
	for _, b := range bufs {
		if len(b) > 0 {
			v := unix.Iovec{Base: &b[0]}
			v.SetLen(len(b))
			s.wiov = append(s.wiov, v)
		}
	}
	if len(s.wiov) == 0 {
		return 0, nil
	}
	err := s.raw.Write(s.doWrite)
	clear(s.wiov) // no references to a trajectory from an idle lane
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
