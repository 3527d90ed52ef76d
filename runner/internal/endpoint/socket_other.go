//go:build !linux || !(amd64 || arm64 || riscv64 || ppc64le || loong64)

package endpoint

import (
	"net"

	"agentwatt/shared/clock"
)

// tcpSocket does not exist here: the kernel's receive stamps are Linux's, and the reader takes its own.
type tcpSocket struct{}

func openTCP(*net.TCPConn) *tcpSocket { return nil }

func (*tcpSocket) read([]byte) (int, clock.Stamp, error) { return 0, 0, nil }
func (*tcpSocket) write([][]byte) (int, error)           { return 0, nil }
func (*tcpSocket) idle() error                           { return nil }
