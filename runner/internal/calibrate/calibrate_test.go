package calibrate

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"agentwatt/shared/clock"
)

const emitEnv = "AGENTWATT_EMIT" // makes this binary the server

func TestMain(m *testing.M) {
	if os.Getenv(emitEnv) == "" {
		os.Exit(m.Run())
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	fmt.Println(l.Addr())
	if err := Emit(ctx, l, Rate); err != nil {
		panic(err)
	}
}

// emitter starts a server in a process of its own and returns its address.
func startEmitter(t *testing.T) string {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), emitEnv+"=1")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("the server ended with %v", err)
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(line)
}

func TestCalibration(t *testing.T) {
	c, err := Run(t.Context(), Server{URL: "http://" + startEmitter(t) + "/v1"}, 1, clock.New())
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Steps) != 1 {
		t.Fatalf("%d steps, want the first only: %+v", len(c.Steps), c)
	}
	s := c.Steps[0]
	// The first token of a stream and the one that makes the template are not told.
	if want := s.Streams * 90; s.Chunks != want || s.Stamp.N < want-2*s.Streams || s.Stamp.N > want || s.TTFT.N != s.Streams || s.Stamp.P50 <= 0 || s.CPU <= 0 {
		t.Errorf("got %+v, want %d chunks and the stamps of nearly all", s, want)
	}
	if s.Clean != (c.Proven == s.PerSecond) || !s.Clean != (c.Proven == 0) {
		t.Errorf("clean %v, proven for %g of %g chunks/s", s.Clean, c.Proven, s.PerSecond)
	}
	t.Logf("%+v", s)
}

// TestLateClientIsNotProven: what comes 15 ms late, as if the client had been held up, proves nothing.
func TestLateClientIsNotProven(t *testing.T) {
	server := startEmitter(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			down, err := l.Accept()
			if err != nil {
				return
			}
			up, err := net.Dial("tcp", server)
			if err != nil {
				down.Close()
				return
			}
			go io.Copy(up, down)
			go func() {
				defer down.Close()
				io.Copy(down, slow{up})
			}()
		}
	}()
	c, err := Run(t.Context(), Server{URL: "http://" + l.Addr().String() + "/v1"}, 1, clock.New())
	if err != nil {
		t.Fatal(err)
	}
	if c.Proven != 0 || c.Steps[0].Clean || c.Steps[0].Stamp.P50 < 0.005 {
		t.Errorf("got %+v, want nothing proven", c)
	}
}

// slow hands on what came 15 ms ago.
type slow struct{ net.Conn }

func (s slow) Read(p []byte) (int, error) {
	defer time.Sleep(15 * time.Millisecond)
	return s.Conn.Read(p)
}

func TestCalibrationEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	begin := time.Now()
	if _, err := Run(ctx, Server{URL: "http://" + startEmitter(t) + "/v1"}, 0, clock.New()); err == nil || time.Since(begin) > 10*time.Second {
		t.Errorf("got %v after %v, want an error at once", err, time.Since(begin))
	}
}

func TestCalibrationNamesWhatFailed(t *testing.T) {
	_, err := Run(t.Context(), Server{URL: "http://127.0.0.1:1/v1"}, 1, clock.New())
	if err == nil || !strings.Contains(err.Error(), "calibrate the client at 2000 chunks per second") || !strings.Contains(err.Error(), "127.0.0.1:1") {
		t.Errorf("got %v", err)
	}
}
