package ipmi

import (
	"context"
	"errors"
	"net"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bougou/go-ipmi/pkg/bmc"
	"github.com/bougou/go-ipmi/pkg/types"

	"agentwatt/meterd/internal/sampler"
	"agentwatt/shared/clock"
	"agentwatt/shared/fault"
	"agentwatt/shared/power"
)

// A BMC that restarts forgets the session; the next read but one has values.
func TestRestart(t *testing.T) {
	n := newNode(t)
	s := n.open()
	read(t, s)
	for range 3 {
		n.stop()
		n.start()
		t.Cleanup(n.stop)
		if got := statuses(t, s)[0]; got != power.Lost {
			t.Errorf("the first read after a restart: %v, want lost", got)
		}
		if got := statuses(t, s)[0]; got != power.OK {
			t.Errorf("the second read after a restart: %v, want ok", got)
		}
	}
	if got := notes(s)["bmc_session"]; got != "reopened" {
		t.Errorf("note %q of the new session", got)
	}
}

func TestWrongPassword(t *testing.T) {
	n := newNode(t)
	for name, change := range map[string]func(*Options){
		"password":  func(o *Options) { o.Password = "guess-me-not" },
		"user":      func(o *Options) { o.User = "nobody" },
		"privilege": func(o *Options) { o.Privilege = "administrator" },
	} {
		o := n.options()
		change(&o)
		s, err := Open(t.Context(), o)
		if err == nil {
			s.Close()
			t.Errorf("wrong %s: opened", name)
			continue
		}
		if !errors.Is(err, ErrRefused) || !errors.Is(err, sampler.ErrUnavailable) || !strings.Contains(fault.Advice(err), "password file") {
			t.Errorf("wrong %s: %v, hint %q", name, err, fault.Advice(err))
		}
		if text := err.Error() + fault.Advice(err); strings.Contains(text, o.Password) || strings.Contains(text, testPassword) {
			t.Errorf("wrong %s: the error tells a password: %s", name, text)
		}
	}
}

// A password that is changed under us is tried once, and then not for minutes.
func TestRefusedIsNotHammered(t *testing.T) {
	n := newNode(t)
	now := clock.At(time.Now())
	s := n.open(func(o *Options) { o.Now = func() clock.Stamp { return now } })
	restart := func(password string) {
		n.stop()
		n.password = password
		n.start()
		t.Cleanup(n.stop)
	}
	restart("changed")
	if got := []power.Status{statuses(t, s)[0], statuses(t, s)[0]}; got[0] != power.Lost || got[1] != power.Denied {
		t.Fatalf("got %v, want lost, then denied", got)
	}
	restart(testPassword) // from here on an attempt would succeed
	for range 50 {
		if got := statuses(t, s)[0]; got != power.Denied {
			t.Fatalf("%v within the pause: it was tried again", got)
		}
		now = now.Add(refusedPause / 51)
	}
	now = now.Add(refusedPause / 10)
	if got := statuses(t, s)[0]; got != power.OK {
		t.Errorf("after the pause: %v", got)
	}
}

// silent is an address that takes datagrams and never answers.
func silent(t *testing.T) *net.UDPConn {
	t.Helper()
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func TestDeadBMC(t *testing.T) {
	o := Options{Address: silent(t).LocalAddr().String(), User: testUser, Password: testPassword, Timeout: 100 * time.Millisecond}
	if _, err := Open(t.Context(), o); !errors.Is(err, sampler.ErrUnavailable) || errors.Is(err, ErrRefused) || fault.Advice(err) == "" {
		t.Errorf("silent: %v", err)
	}
	n := newNode(t)
	n.stop()
	if _, err := Open(t.Context(), n.options()); !errors.Is(err, sampler.ErrUnavailable) {
		t.Errorf("nobody there: %v", err)
	}
}

// A BMC that falls silent costs a read one timeout, and most reads none.
func TestSilenceIsBounded(t *testing.T) {
	n := newNode(t, full)
	s := n.open()
	n.stop()
	hole, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: n.port})
	if err != nil {
		t.Fatal(err)
	}
	defer hole.Close()
	slow := 0
	for range 20 {
		ctx, cancel := context.WithTimeout(t.Context(), 5*s.o.Timeout)
		before := time.Now()
		got, err := s.Read(ctx, nil)
		if err != nil || len(got) != 5 {
			t.Fatalf("%d samples, %v, want 5 within %v", len(got), err, s.o.Timeout)
		}
		for _, x := range got {
			if x.Status != power.Lost {
				t.Fatalf("%+v, want lost", x)
			}
		}
		if cancel(); time.Since(before) > s.o.Timeout/2 {
			slow++
		}
	}
	if slow < 1 || slow > 4 {
		t.Errorf("%d of 20 reads waited, want the first ones only", slow)
	}
}

// hang makes the BMC take requests of a group and not answer them, until the test ends.
func hang(n *node, group types.NetFn) (asked *atomic.Int64) {
	block := make(chan struct{})
	n.t.Cleanup(func() { close(block) })
	asked = new(atomic.Int64)
	n.set(func() {
		n.replies[group] = func(byte, []byte) ([]byte, types.CompletionCode) {
			asked.Add(1)
			n.mu.Unlock() // the rest of the BMC goes on
			<-block
			n.mu.Lock()
			return nil, types.CodeNodeBusy
		}
	})
	return asked
}

// A BMC that connects and then answers nothing is left alone for longer and longer.
func TestMuteIsNotHammered(t *testing.T) {
	n := newNode(t)
	now := clock.At(time.Now())
	s := n.open(func(o *Options) { o.Timeout, o.Now = 100*time.Millisecond, func() clock.Stamp { return now } })
	asked := hang(n, types.NetFnGroupExtensionRequest)
	for range 2 {
		if got := statuses(t, s)[0]; got != power.Lost {
			t.Fatalf("%v, want lost", got)
		}
	}
	before := asked.Load()
	for range 20 {
		if got := statuses(t, s)[0]; got != power.Lost {
			t.Fatalf("%v, want lost", got)
		}
		now = now.Add(firstPause / 21)
	}
	if got := asked.Load(); got != before || before == 0 {
		t.Errorf("asked %d times, and %d times within the pause", before, got-before)
	}
	now = now.Add(firstPause)
	if statuses(t, s); asked.Load() == before {
		t.Error("not tried again after the pause")
	}
}

// Behind an address may be another node than before. It does not go on under the old one's name.
func TestAnotherBMC(t *testing.T) {
	n := newNode(t)
	named, unnamed := n.open(func(o *Options) { o.Name = "rack3-u7" }), n.open()
	n.stop()
	n.guid[3]++
	n.start()
	t.Cleanup(n.stop)
	for range 3 {
		statuses(t, named)
		if got := statuses(t, unnamed)[0]; got != power.Lost {
			t.Errorf("unnamed: %v, want lost", got)
		}
	}
	if got := statuses(t, named)[0]; got != power.OK {
		t.Errorf("named: %v, want ok", got)
	}
}

// A BMC that wants more privilege, or has nothing to read, says so when it is opened.
func TestPrivilege(t *testing.T) {
	n := newNode(t, full, func(n *node) { n.level, n.needs = bmc.PrivilegeLevelOperator, bmc.PrivilegeLevelOperator })
	if s := n.open(); len(s.Meters()) != 4 || len(s.Absent()) != 1 || !strings.Contains(s.Absent()[0], "privilege") {
		t.Errorf("as user: %d meters, absent %q, want the sensors, and DCMI absent", len(s.Meters()), s.Absent())
	}
	o := n.options()
	o.OnlyDCMI = true
	if _, err := Open(t.Context(), o); !errors.Is(err, sampler.ErrUnavailable) || !strings.Contains(fault.Advice(err), "operator") {
		t.Errorf("as user, and nothing else: %v, hint %q", err, fault.Advice(err))
	}
	n.deny(netFnGroup, codeInvalid)
	if _, err := Open(t.Context(), o); !errors.Is(err, errNone) || fault.Advice(err) != "" {
		t.Errorf("nothing to read: %v, hint %q", err, fault.Advice(err))
	}
	n.deny(netFnGroup, 0)
	s := n.open(func(o *Options) { o.Privilege = "Operator" })
	if got := statuses(t, s)[0]; got != power.OK || s.Meters()[0].ID != "ipmi/"+s.device+"/dcmi" {
		t.Errorf("as operator: %v of %s", got, s.Meters()[0].ID)
	}
}

// A caller who loses patience gets away at once, blames nobody, and the session lives on; nothing is left running.
func TestCancelWhileWaiting(t *testing.T) {
	n := newNode(t)
	s := n.open(func(o *Options) { o.Timeout = time.Hour })
	block := make(chan struct{})
	asked := make(chan struct{}, 1)
	n.set(func() {
		n.replies[types.NetFnGroupExtensionRequest] = func(byte, []byte) ([]byte, types.CompletionCode) {
			select {
			case asked <- struct{}{}:
			default:
			}
			<-block
			return nil, types.CodeNodeBusy
		}
	})
	before := runtime.NumGoroutine()
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-asked; cancel() }()
	watchdog := time.AfterFunc(20*time.Second, func() { panic("a cancelled read does not return") })
	got, err := s.Read(ctx, make([]power.Sample, 1))
	watchdog.Stop()
	if !errors.Is(err, context.Canceled) || len(got) != 1 {
		t.Errorf("%d samples, %v", len(got), err)
	}
	close(block)
	n.deny(types.NetFnGroupExtensionRequest, 0)
	if got := statuses(t, s)[0]; got != power.OK || notes(s)["bmc_session"] != "" {
		t.Errorf("after a cancelled read: %v", got)
	}
	for range 100 {
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%d goroutines, %d before", runtime.NumGoroutine(), before)
}
