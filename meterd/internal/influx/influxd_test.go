package influx

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"agentwatt/shared/bus"
	"agentwatt/shared/bustest"
	"agentwatt/shared/clock"
	"agentwatt/shared/power"
)

// influxd is a real server that serves the v2 write and query APIs, as a process of its own.
type influxd struct {
	t       *testing.T
	config  string
	address string
	log     *os.File
	command *exec.Cmd
}

func startInfluxd(t *testing.T) *influxd {
	t.Helper()
	program := bustest.Program(t, "influxd")
	dir := t.TempDir()
	d := &influxd{t: t, config: filepath.Join(dir, "influxdb.conf"), address: bustest.FreeAddress(t)}
	text := fmt.Sprintf("reporting-disabled = true\nbind-address = %q\n[meta]\ndir = %q\n[data]\ndir = %q\nwal-dir = %q\nindex-version = \"tsi1\"\n"+
		"[http]\nbind-address = %q\nflux-enabled = true\nlog-enabled = false\n[monitor]\nstore-enabled = false\n",
		bustest.FreeAddress(t), dir+"/meta", dir+"/data", dir+"/wal", d.address)
	if err := os.WriteFile(d.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var err error
	if d.log, err = os.Create(filepath.Join(dir, "log")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		d.kill()
		d.log.Close()
	})
	d.start(program)
	d.query("/query", url.Values{"q": {"CREATE DATABASE power"}})
	return d
}

func (d *influxd) start(program string) {
	d.t.Helper()
	d.command = exec.Command(program, "-config", d.config)
	d.command.Stdout, d.command.Stderr = d.log, d.log
	if err := d.command.Start(); err != nil {
		d.t.Fatal(err)
	}
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		resp, err := http.Get("http://" + d.address + "/health")
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return
			}
		}
		if time.Now().After(end) {
			text, _ := os.ReadFile(d.log.Name())
			d.t.Fatalf("influxd is not ready: %v\n%s", err, text)
		}
	}
}

func (d *influxd) kill() {
	if d.command != nil {
		_ = d.command.Process.Kill()
		_ = d.command.Wait() // killed
		d.command = nil
	}
}

func (d *influxd) query(path string, form url.Values) []byte {
	d.t.Helper()
	resp, err := http.PostForm("http://"+d.address+path, form)
	if err != nil {
		d.t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		d.t.Fatalf("query: %v, %s: %s", err, resp.Status, data)
	}
	return data
}

// influxQL returns the single value of a query, 0 if there is none.
func (d *influxd) influxQL(q string) int64 {
	d.t.Helper()
	var answer struct {
		Results []struct {
			Series []struct{ Values [][]json.Number }
		}
	}
	if err := json.Unmarshal(d.query("/query", url.Values{"db": {"power"}, "epoch": {"ns"}, "q": {q}}), &answer); err != nil {
		d.t.Fatal(err)
	}
	if len(answer.Results) == 0 || len(answer.Results[0].Series) == 0 {
		return 0
	}
	v := answer.Results[0].Series[0].Values[0][1]
	n, err := v.Int64()
	if err != nil {
		d.t.Fatalf("%s: %s is not a whole number", q, v)
	}
	return n
}

// flux runs a Flux query and returns its rows.
func (d *influxd) flux(q string) [][]string {
	d.t.Helper()
	r, err := http.NewRequestWithContext(d.t.Context(), http.MethodPost, "http://"+d.address+"/api/v2/query?org=x", strings.NewReader(q))
	if err != nil {
		d.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/vnd.flux")
	r.Header.Set("Accept", "application/csv")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		d.t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		d.t.Fatalf("flux: %v, %s: %s\n%s", err, resp.Status, data, q)
	}
	c := csv.NewReader(bytes.NewReader(data))
	c.FieldsPerRecord = -1
	rows, err := c.ReadAll()
	if err != nil {
		d.t.Fatal(err)
	}
	return rows
}

// host is a store with readings.
type host struct {
	t         *testing.T
	server    *bus.Server
	publisher *bus.Publisher
	seq       uint64
	begin     clock.Stamp
	samples   int64 // published,
	sum       int64 // and the sum of their raw values
}

func newHost(t *testing.T) *host {
	t.Helper()
	s, err := bus.Serve(t.Context(), bus.ServerOptions{Dir: t.TempDir(), Host: "gpu-1"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	p, err := s.Publisher()
	if err != nil {
		t.Fatal(err)
	}
	return &host{t: t, server: s, publisher: p, begin: clock.At(time.Now().Add(-time.Hour)) / 1000 * 1000}
}

// publish stores n batches of a second, of two GPUs with a counter and a power each.
func (h *host) publish(n int) {
	h.t.Helper()
	for range n {
		h.seq++
		b := &power.Batch{Host: "gpu-1", Run: "R", Source: "nvml", Seq: h.seq}
		b.Clock = clock.State{Read: h.begin.Add(time.Duration(h.seq) * time.Second), EstError: time.Millisecond, Synchronised: true}
		for _, gpu := range []string{"GPU-a", "GPU-b"} {
			b.Meters = append(b.Meters,
				power.Meter{ID: "nvml/" + gpu + "/energy", Device: gpu, Scope: power.Accelerator, Quantity: power.Counter, Scale: power.Scale{Num: 1000, Den: 1}},
				power.Meter{ID: "nvml/" + gpu + "/instant", Device: gpu, Scope: power.Accelerator, Quantity: power.Instant, Scale: power.Scale{Num: 1000, Den: 1}})
		}
		for i := range 10 {
			at := h.begin.Add(time.Duration(h.seq)*time.Second + time.Duration(i)*100*time.Millisecond)
			for m := range b.Meters {
				raw := int64(400_000 + m)
				if m%2 == 0 {
					raw = 1<<60 + int64(h.seq)*400_000 + int64(i)*40_000 // more than a float64 holds
				}
				b.Samples = append(b.Samples, power.Sample{Meter: m, Time: at, Raw: raw})
				h.samples++
				h.sum += raw - map[bool]int64{true: 1 << 60}[m%2 == 0]
			}
		}
		if h.seq%50 == 0 {
			b.Losses = []power.Loss{{Run: "R", Source: "rapl", First: h.seq, Last: h.seq, Reason: power.LostQueue}}
		}
		if err := h.publisher.Publish(h.t.Context(), b); err != nil {
			h.t.Fatal(err)
		}
	}
}

// sink runs a Sink until the returned function is called.
func (h *host) sink(address string) (s *Sink, stop func()) {
	h.t.Helper()
	cursor, err := h.server.Cursor(h.t.Context(), bus.Power, "influx")
	if err != nil {
		h.t.Fatal(err)
	}
	s, err = New(Options{
		URL: "http://" + address, Org: "x", Bucket: "power/autogen", Batch: 1000, Flush: 100 * time.Millisecond, Host: "gpu-1",
		Log: slog.New(slog.NewTextHandler(h.t.Output(), nil)),
	}, cursor)
	if err != nil {
		h.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(h.t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Run(ctx)
	}()
	stop = func() {
		cancel()
		<-done
	}
	h.t.Cleanup(stop)
	return s, stop
}

// caughtUp waits until the sink is done with everything.
func (h *host) caughtUp(s *Sink) {
	h.t.Helper()
	for end := time.Now().Add(60 * time.Second); s.Stats().Messages < h.seq; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			h.t.Fatalf("the sink does not catch up: %+v", s.Stats())
		}
	}
}

// count checks that the server has every sample once: as many, and with the same sum.
func (h *host) count(d *influxd) {
	h.t.Helper()
	counters := d.influxQL(`SELECT count(raw) FROM energy`)
	powers := d.influxQL(`SELECT count(raw) FROM power`)
	sum := d.influxQL(`SELECT sum(raw) FROM power`)
	// The sum of counters would overflow: their differences from the lowest are added up instead.
	var counterSum int64
	for _, series := range []string{"GPU-a", "GPU-b"} {
		rows := d.query("/query", url.Values{"db": {"power"}, "epoch": {"ns"}, "q": {`SELECT raw FROM energy WHERE device = '` + series + `'`}})
		var answer struct {
			Results []struct {
				Series []struct{ Values [][]json.Number }
			}
		}
		dec := json.NewDecoder(bytes.NewReader(rows))
		dec.UseNumber()
		if err := dec.Decode(&answer); err != nil {
			h.t.Fatal(err)
		}
		for _, v := range answer.Results[0].Series[0].Values {
			n, err := strconv.ParseInt(v[1].String(), 10, 64)
			if err != nil {
				h.t.Fatal(err)
			}
			counterSum += n - 1<<60
		}
	}
	if counters+powers != h.samples || sum+counterSum != h.sum {
		h.t.Errorf("the server has %d points with sum %d, the stream %d with %d", counters+powers, sum+counterSum, h.samples, h.sum)
	}
}

// The server is killed twice while it is written to, and the sink once: in the end it has every sample, once, with all 64 bits.
func TestServerIsKilled(t *testing.T) {
	d := startInfluxd(t)
	program := bustest.Program(t, "influxd")
	h := newHost(t)
	h.publish(100)
	s, stop := h.sink(d.address)
	h.caughtUp(s)
	h.count(d)
	d.kill()
	h.publish(200)
	stop() // the sink goes away, too, and comes back where it was
	d.start(program)
	s, _ = h.sink(d.address)
	h.publish(100)
	time.Sleep(50 * time.Millisecond) // in the middle of something
	d.kill()
	h.publish(50)
	d.start(program)
	for end := time.Now().Add(60 * time.Second); s.Stats().Messages < 350; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the sink does not catch up: %+v", s.Stats())
		}
	}
	h.count(d)
	if n := d.influxQL(`SELECT count("first") FROM loss`); n != int64(h.seq/50) {
		t.Errorf("%d losses, want %d", n, h.seq/50)
	}
	if rows := d.flux(`from(bucket: "power/autogen") |> range(start: -2h) |> filter(fn: (r) => r._measurement == "power" and r._field == "watts") |> count()`); len(rows) < 3 {
		t.Errorf("Flux finds nothing: %v", rows)
	}
}

// front is a server in front of influxd that misbehaves.
type front struct {
	t      *testing.T
	target string
	answer func(w http.ResponseWriter, r *http.Request) bool // true: answered
}

func (f *front) start() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		f.t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if f.answer(w, r) {
			return
		}
		out, err := http.NewRequestWithContext(r.Context(), r.Method, "http://"+f.target+r.URL.String(), r.Body)
		if err != nil {
			return
		}
		out.Header = r.Header
		resp, err := http.DefaultClient.Do(out)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		defer resp.Body.Close()
		w.WriteHeader(resp.StatusCode)
		_, _ = io.Copy(w, resp.Body)
	})}
	go func() { _ = s.Serve(l) }()
	f.t.Cleanup(func() { s.Close() })
	return l.Addr().String()
}

// Whatever is said on the way, in the end everything is there once: too many requests with Retry-After, errors, requests that are
// too large, nonsense, a connection that is closed, a redirection that would take the token elsewhere.
func TestWayThroughTrouble(t *testing.T) {
	d := startInfluxd(t)
	h := newHost(t)
	h.publish(120)
	asked, first := 0, time.Time{}
	var waited time.Duration
	f := &front{t: t, target: d.address, answer: func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasPrefix(r.URL.Path, "/api/v2/write") {
			return false
		}
		asked++
		switch asked {
		case 1:
			first = time.Now()
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
		case 2:
			waited = time.Since(first)
			w.WriteHeader(http.StatusServiceUnavailable)
		case 3:
			w.WriteHeader(http.StatusRequestEntityTooLarge)
		case 4:
			panic(http.ErrAbortHandler)
		case 5:
			w.WriteHeader(http.StatusInternalServerError)
			_, _ = w.Write([]byte(`{"message": [[[`))
		default:
			return false
		}
		return true
	}}
	s, _ := h.sink(f.start())
	h.caughtUp(s)
	h.count(d)
	if waited < time.Second {
		t.Errorf("asked again after %v, though the server said 1 s", waited)
	}
	if st := s.Stats(); st.Rejected != 0 || st.Lost != 0 || st.Retries == 0 {
		t.Errorf("stats %+v", st)
	}
}
