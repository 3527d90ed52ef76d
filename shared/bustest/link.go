package bustest

import (
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// Link is a network path to a server, which can be cut and slowed down.
type Link struct {
	target   string
	listener net.Listener

	mu    sync.Mutex
	cut   bool
	rate  int // bytes per second in each direction; 0: any
	conns map[net.Conn]bool
	wg    sync.WaitGroup
}

// StartLink makes a path to a target, host:port, that ends with the test.
func StartLink(t testing.TB, target string) *Link {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	k := &Link{target: target, listener: l, conns: map[net.Conn]bool{}}
	k.wg.Go(k.accept)
	t.Cleanup(func() {
		l.Close()
		k.Cut()
		k.wg.Wait()
	})
	return k
}

// Address is where the path begins.
func (k *Link) Address() string { return k.listener.Addr().String() }

// Cut ends all connections, and lets no new one through.
func (k *Link) Cut() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.cut = true
	for c := range k.conns {
		c.Close()
	}
}

// Heal lets connections through again.
func (k *Link) Heal() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.cut = false
}

// Slow limits every connection to some bytes per second in each direction; 0 ends that.
func (k *Link) Slow(rate int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.rate = rate
}

func (k *Link) accept() {
	for {
		c, err := k.listener.Accept()
		if err != nil {
			return
		}
		k.wg.Go(func() { k.carry(c) })
	}
}

// carry joins a connection to the target until either side ends.
func (k *Link) carry(near net.Conn) {
	defer near.Close()
	if !k.hold(near) {
		return
	}
	defer k.release(near)
	far, err := net.Dial("tcp", k.target)
	if err != nil {
		return
	}
	defer far.Close()
	if !k.hold(far) {
		return
	}
	defer k.release(far)
	var both sync.WaitGroup
	for _, way := range [2][2]net.Conn{{near, far}, {far, near}} {
		both.Go(func() {
			k.pump(way[0], way[1])
			near.Close()
			far.Close()
		})
	}
	both.Wait()
}

// hold takes note of a connection, unless the path is cut.
func (k *Link) hold(c net.Conn) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.cut {
		k.conns[c] = true
	}
	return !k.cut
}

func (k *Link) release(c net.Conn) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.conns, c)
}

func (k *Link) pump(from io.Reader, to io.Writer) {
	buf := make([]byte, 16<<10)
	for {
		k.mu.Lock()
		rate := k.rate
		k.mu.Unlock()
		size := len(buf)
		if rate > 0 {
			size = max(1, min(size, rate/20))
		}
		n, err := from.Read(buf[:size])
		if n > 0 {
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
		if rate > 0 {
			time.Sleep(time.Duration(n) * time.Second / time.Duration(rate))
		}
	}
}
