//go:build linux && (amd64 || arm64 || riscv64 || ppc64le || loong64)

package endpoint

import (
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"agentwatt/runner/internal/bench"
	. "agentwatt/runner/internal/endpoint/endpointtest"
	"agentwatt/shared/clock"
)

// TestKernelStampsDoNotWaitForTheReader: what is read late was stamped when it came, on plain connections and under TLS.
func TestKernelStampsDoNotWaitForTheReader(t *testing.T) {
	for _, secure := range []bool{false, true} {
		clk := clock.New()
		s := Start(t, Script{TLS: secure, Clock: clk, Answer: always(Stream(3, 1, 0, 0)...)})
		c := newClient(t, s, clk, nil)
		var r bench.Reply
		var written, begin clock.Stamp
		for range 10 { // the kernel switches stamping on with a delay when nobody had asked for it before
			if r, written, begin = readLate(t, c, s); r.Stamps == bench.KernelStamps {
				break
			}
		}
		switch late := begin.Sub(written); {
		case r.Stamps != bench.KernelStamps || r.Failure != "":
			t.Errorf("tls %v: got %s stamps, failure %q %s", secure, r.Stamps, r.Failure, r.Detail)
		case r.LastOutput > written || r.UserLagMax < late:
			t.Errorf("tls %v: last output %v after the server was done, the reader at most %v behind: want before it, and at least %v",
				secure, r.LastOutput.Sub(written), r.UserLagMax, late)
		}
	}
}

// readLate sends a request and reads its answer well after it was written. It returns when the server was done and when the reading began.
func readLate(t *testing.T, c *Client, s *Server) (r bench.Reply, written, begin clock.Stamp) {
	t.Helper()
	l := c.Lane()
	defer l.Close()
	if err := l.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	if l.conn.sock.tcp == nil {
		t.Skip("this kernel refuses SO_TIMESTAMPING: only user stamps can be had here")
	}
	now := c.opt.Clock.Now
	req, _ := c.chat(nil, talk(1, 100), 0, false, 100)
	x := &exchange{outcome: outcome{writeBegin: now()}, now: now, limits: c.opt.Timeouts, lastRead: now(), progress: new(progress)}
	before := len(s.Requests())
	if w := x.write(l.conn, req.bufs); w != nil {
		<-w
	}
	for len(s.Requests()) == before {
		time.Sleep(time.Millisecond)
	}
	written = now()
	time.Sleep(20 * time.Millisecond)
	begin = now()
	got := new(capture)
	if err := x.read(l.conn, got, make([]byte, readSize)); err != nil {
		t.Fatal(err)
	}
	r = newReply()
	c.conclude(&r, got, &x.outcome)
	return r, written, begin
}

// TestRxStamp: control messages of other kinds, cut ones and empty ones are no stamp.
func TestRxStamp(t *testing.T) {
	stamp := make([]byte, unix.CmsgSpace(48))
	put := func(b []byte, size uint64, level, kind int32, sec, nsec int64) []byte {
		le := func(at, n int, v uint64) {
			for i := range n {
				b[at+i] = byte(v >> (8 * i))
			}
		}
		le(0, 8, size)
		le(8, 4, uint64(level))
		le(12, 4, uint64(kind))
		le(16, 8, uint64(sec))
		le(24, 8, uint64(nsec))
		return b
	}
	put(stamp, uint64(unix.CmsgLen(48)), unix.SOL_SOCKET, unix.SO_TIMESTAMPING, 3, 7)
	other := put(make([]byte, unix.CmsgSpace(16)), uint64(unix.CmsgLen(16)), unix.SOL_SOCKET, unix.SO_TIMESTAMP, 9, 9)
	cases := []struct {
		name string
		oob  []byte
		want clock.Stamp
	}{
		{"stamp", stamp, 3_000_000_007},
		{"behind another", append(append([]byte(nil), other...), stamp...), 3_000_000_007},
		{"another only", other, 0},
		{"none", nil, 0},
		{"cut", stamp[:20], 0},
		{"size too large", put(append([]byte(nil), stamp...), 1<<40, unix.SOL_SOCKET, unix.SO_TIMESTAMPING, 3, 7), 0},
		{"size too small", put(append([]byte(nil), stamp...), 3, unix.SOL_SOCKET, unix.SO_TIMESTAMPING, 3, 7), 0},
		{"zero", put(append([]byte(nil), stamp...), uint64(unix.CmsgLen(48)), unix.SOL_SOCKET, unix.SO_TIMESTAMPING, 0, 0), 0},
	}
	for _, tc := range cases {
		if got := rxStamp(tc.oob); got != tc.want {
			t.Errorf("%s: got %d, want %d", tc.name, got, tc.want)
		}
	}
}

// TestSteadyReadsDoNotAllocate: a read costs its system call and its stamps.
func TestSteadyReadsDoNotAllocate(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	client, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	server, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	sock := newSocket(client, clock.New())
	buf, out := make([]byte, 100), make([]byte, 10)
	if n := testing.AllocsPerRun(100, func() {
		server.Write(out)
		if _, err := sock.Read(buf); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("got %v allocations per write and read, want none", n)
	}
}
