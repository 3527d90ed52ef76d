// Package bustest has what tests of the bus need beside it: a NATS server in a process of its own, to be killed, and a network
// to be cut.
package bustest

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Program returns the path of a program that a test talks to. Without it the test is skipped, unless the list METER_REQUIRE
// names it.
func Program(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err == nil {
		return path
	}
	if slices.Contains(strings.Split(os.Getenv("METER_REQUIRE"), ","), name) {
		t.Fatalf("%s is not installed, and METER_REQUIRE names it", name)
	}
	t.Skipf("SKIPPED: %s is not installed (make servers builds it; METER_REQUIRE=%s makes this fatal)", name, name)
	return ""
}

// Server is a nats-server that runs as a process of its own.
type Server struct {
	t       testing.TB
	program string
	config  string
	listen  []string
	log     *os.File
	command *exec.Cmd
}

// StartServer writes a configuration to a file and starts a nats-server with it, which ends with the test. It returns when
// the server takes connections on the addresses of listen.
func StartServer(t testing.TB, config string, listen ...string) *Server {
	t.Helper()
	dir := t.TempDir()
	s := &Server{t: t, program: Program(t, "nats-server"), config: filepath.Join(dir, "hub.conf"), listen: listen}
	if err := os.WriteFile(s.config, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	var err error
	if s.log, err = os.Create(filepath.Join(dir, "log")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Kill()
		if t.Failed() {
			text, _ := os.ReadFile(s.log.Name())
			t.Logf("the NATS server said:\n%s", text)
		}
		s.log.Close()
	})
	s.Start()
	return s
}

// Start starts the server again.
func (s *Server) Start() {
	s.t.Helper()
	s.command = exec.Command(s.program, "-c", s.config)
	s.command.Stdout, s.command.Stderr = s.log, s.log
	if err := s.command.Start(); err != nil {
		s.t.Fatal(err)
	}
	for _, address := range s.listen {
		for end := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
			c, err := net.Dial("tcp", address)
			if err == nil {
				c.Close()
				break
			}
			if time.Now().After(end) {
				s.t.Fatalf("the NATS server does not start: %v", err)
			}
		}
	}
}

// Kill ends the server as a power cut would, but for the disk: without a last word.
func (s *Server) Kill() {
	if s.command == nil {
		return
	}
	if err := s.command.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		s.t.Error(err)
	}
	_ = s.command.Wait() // killed
	s.command = nil
}

// FreeAddress returns a loopback address that was free a moment ago.
func FreeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// CPU returns the processor time that the server has used since it was started last.
func (s *Server) CPU() time.Duration {
	s.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.command.Process.Pid))
	if err != nil {
		s.t.Fatal(err)
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	var ticks int64
	for _, f := range fields[11:13] { // utime and stime, in hundredths of a second
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			s.t.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}
