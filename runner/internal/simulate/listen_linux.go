package simulate

import (
	"context"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// Listen listens on a TCP address. Its connections use the reno congestion control where the kernel has it: the default
// on many hosts, bbr, paces small writes and shows them to the client up to milliseconds late.
func Listen(ctx context.Context, address string) (net.Listener, error) {
	lc := net.ListenConfig{
		Control: func(_, _ string, c syscall.RawConn) error {
			return c.Control(func(fd uintptr) {
				// Refused where reno is not allowed; later stamps are then the kernel's choice.
				_ = unix.SetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION, "reno")
			})
		},
	}
	return lc.Listen(ctx, "tcp", address)
}
