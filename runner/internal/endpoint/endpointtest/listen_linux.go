package endpointtest

import (
	"context"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// listen opens a loopback port. Its connections use Reno where the kernel has it: BBR paces writes, and would delay them
// by up to milliseconds behind the stamps that are to be the truth.
func listen() (net.Listener, error) {
	lc := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		return raw.Control(func(fd uintptr) {
			// Refused on kernels without it: then the default has to do.
			_ = unix.SetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION, "reno")
		})
	}}
	return lc.Listen(context.Background(), "tcp", "127.0.0.1:0")
}
