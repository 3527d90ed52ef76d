package simulated

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"agentwatt/meterd/internal/sampler"
	"agentwatt/meterd/internal/sourcetest"
	"agentwatt/shared/clock"
	"agentwatt/shared/power"
)

func wall() clock.Stamp { return clock.At(time.Now()) }

// engine stands for runner simulate on a port of its own. It can stop, and start again from 0.
type engine struct {
	address string
	server  *httptest.Server
	energy  atomic.Int64
	devices atomic.Int32
	conns   atomic.Int32
}

func startEngine(t *testing.T) *engine {
	t.Helper()
	e := &engine{address: "127.0.0.1:0"}
	e.devices.Store(2)
	e.energy.Store(1_000_000)
	e.start(t)
	t.Cleanup(e.stop)
	return e
}

func (e *engine) start(t *testing.T) {
	t.Helper()
	l, err := net.Listen("tcp", e.address)
	if err != nil {
		t.Fatal(err)
	}
	e.address = l.Addr().String()
	e.server = httptest.NewUnstartedServer(http.HandlerFunc(e.answer))
	e.server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			e.conns.Add(1)
		}
	}
	e.server.Listener.Close()
	e.server.Listener = l
	e.server.Start()
}

func (e *engine) stop() { e.server.Close() }

func (e *engine) url() string { return "http://" + e.address + "/power" }

func (e *engine) answer(w http.ResponseWriter, _ *http.Request) {
	now := time.Now().UnixNano()
	joules := e.energy.Add(1000)
	var list []string
	for i := range e.devices.Load() {
		list = append(list, fmt.Sprintf(`{"id":"SIM-%d","name":"Simulated accelerator","energy_microjoules":%d,"power_microwatts":70000000,`+
			`"changed_unix_nanos":%d,"limit_microwatts":700000000}`, i, joules, now-1234))
	}
	fmt.Fprintf(w, `{"simulated":true,"unix_nanos":%d,"period_nanos":20000000,"devices":[%s]}`, now, strings.Join(list, ","))
}

func openURL(t *testing.T, url string) *Remote {
	t.Helper()
	s, err := OpenURL(t.Context(), url, wall)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestRemoteConformance(t *testing.T) {
	var e *engine
	sourcetest.Run(t, sourcetest.Case{
		Open:    func(t *testing.T) sampler.Source { e = startEngine(t); return openURL(t, e.url()) },
		Allocs:  -1, // HTTP and JSON allocate; at the rates of a simulation that is no cost
		Lose:    func(*testing.T) { e.stop() },
		Restore: func(t *testing.T) { e.start(t) },
		Reset:   func(t *testing.T) { e.stop(); e.energy.Store(0); e.start(t) },
	})
}

func TestRemoteKeepsOneConnection(t *testing.T) {
	e := startEngine(t)
	s := openURL(t, e.url())
	defer s.Close()
	for range 50 {
		got, err := s.Read(t.Context(), nil)
		if err != nil || len(got) != 4 {
			t.Fatal(got, err)
		}
		for _, x := range got {
			if x.Status != power.OK || x.Device == 0 || x.Device > x.Time.Add(x.Within) || x.Device%1000 != 0 {
				t.Fatalf("sample %+v: want a value with the device's own time", x)
			}
		}
	}
	if n := e.conns.Load(); n != 1 {
		t.Errorf("%d connections for 51 questions", n)
	}
}

func TestRemoteFollowsTheDevices(t *testing.T) {
	e := startEngine(t)
	s := openURL(t, e.url())
	defer s.Close()
	before := s.Meters()
	e.devices.Store(3)
	got, err := s.Read(t.Context(), nil)
	if err != nil || len(got) != 6 || len(s.Meters()) != 6 || len(before) != 4 {
		t.Errorf("%d samples of %d meters after a device was added, %v", len(got), len(s.Meters()), err)
	}
}

func TestRemoteOverUnixSocket(t *testing.T) {
	e := startEngine(t)
	path := filepath.Join(t.TempDir(), "sim")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Skipf("no unix socket at %s: %v", path, err)
	}
	server := &httptest.Server{Listener: l, Config: &http.Server{Handler: http.HandlerFunc(e.answer)}}
	server.Start()
	defer server.Close()
	s := openURL(t, "unix://"+path)
	defer s.Close()
	if got, err := s.Read(t.Context(), nil); err != nil || len(got) != 4 || got[0].Status != power.OK {
		t.Errorf("got %v, %v", got, err)
	}
}

// Simulated power must not come from another machine, by whatever way.
func TestOnlyThisMachineIsAsked(t *testing.T) {
	for _, url := range []string{
		"http://192.0.2.1/power", "https://127.0.0.1/power", "http://example.org/power", "http://[2001:db8::1]:80/", "ftp://localhost/",
		"127.0.0.1:80", "", "unix://", "unix://host/path", "http://", "http://localhost.example.org/power", "http://127.0.0.1.example.org/", "://",
	} {
		if _, err := OpenURL(t.Context(), url, wall); err == nil || errors.Is(err, sampler.ErrUnavailable) {
			t.Errorf("%q: %v, want a refusal", url, err)
		}
	}
}

func TestAnswersThatAreNone(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{
		"not found": http.NotFound,
		"redirect":  http.RedirectHandler("http://192.0.2.1/power", http.StatusFound).ServeHTTP,
		"text":      func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") },
		"endless": func(w http.ResponseWriter, _ *http.Request) {
			for range mostBytes/1000 + 2 {
				fmt.Fprint(w, strings.Repeat(" ", 1000))
			}
		},
		"not simulated": func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, `{"simulated":false,"unix_nanos":2,"devices":[{"id":"a","name":"a","changed_unix_nanos":1}]}`)
		},
	} {
		server := httptest.NewServer(handler)
		if _, err := OpenURL(t.Context(), server.URL, wall); !errors.Is(err, sampler.ErrUnavailable) || !errors.Is(err, errAnswer) {
			t.Errorf("%s: %v, want not available because of the answer", name, err)
		}
		server.Close()
	}
	server := httptest.NewServer(nil)
	server.Close()
	if _, err := OpenURL(t.Context(), server.URL, wall); !errors.Is(err, sampler.ErrUnavailable) || errors.Is(err, errAnswer) {
		t.Errorf("nobody there: %v, want not available", err)
	}
}

func TestBadAnswerIsAFailureNotALoss(t *testing.T) {
	var bad atomic.Bool
	e := startEngine(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if bad.Load() {
			fmt.Fprint(w, "{}")
			return
		}
		e.answer(w, r)
	}))
	defer server.Close()
	s := openURL(t, server.URL)
	defer s.Close()
	bad.Store(true)
	got, err := s.Read(t.Context(), nil)
	if err != nil || len(got) != 4 {
		t.Fatal(got, err)
	}
	for _, x := range got {
		if x.Status != power.Failed {
			t.Errorf("status %d, want failed", x.Status)
		}
	}
}
