package redfish

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"hash/fnv"
	"io"
	"log"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"agentwatt/shared/clock"
)

// device is a Redfish service over TLS: documents in a tree, and a load whose energy is the integral of its power. Its
// hardware clock and the stamps of the source under test are one clock that advances only by advance.
type device struct {
	t    testing.TB
	http *httptest.Server

	mu                    sync.Mutex
	docs                  map[string]map[string]any
	clock                 time.Time     // true time
	skew                  time.Duration // of the device's own clock
	online                time.Time     // of the counters
	reset                 time.Time     // when the counters were set to 0; zero: never
	refresh               time.Duration // of the sensors; 0: every read is fresh
	live                  map[string]bool
	down                  bool
	user, password, token string // password empty: no login
	logins, failures      int
	gets                  map[string]int // by path
	notMod                int
	etags                 string                                            // "true": honest, "stuck": never changes, "": none
	answer                func(w http.ResponseWriter, r *http.Request) bool // in front of everything else
	events                chan string                                       // what the event stream sends; "cut" ends it
	ended                 int                                               // sessions ended
}

const name = "dev"

// newDevice starts a service with the documents given.
func newDevice(t testing.TB, docs ...map[string]any) *device {
	t.Helper()
	d := &device{
		t: t, docs: map[string]map[string]any{}, gets: map[string]int{}, live: map[string]bool{},
		clock: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), events: make(chan string, 64), refresh: time.Second,
	}
	d.online = d.clock
	for _, doc := range docs {
		d.put(doc)
	}
	d.http = httptest.NewUnstartedServer(http.HandlerFunc(d.serve))
	d.http.Config.ErrorLog = log.New(io.Discard, "", 0) // refused certificates are what is tested
	d.http.StartTLS()
	t.Cleanup(d.http.Close)
	return d
}

// put adds a document, or its properties to the one that is there.
func (d *device) put(doc map[string]any) {
	uri := clean(doc["@odata.id"].(string))
	if d.docs[uri] == nil {
		d.docs[uri] = map[string]any{}
	}
	for k, v := range doc {
		d.docs[uri][k] = v
	}
}

func clean(uri string) string { return "/" + strings.Trim(uri, "/") }

// now is the clock of the source under test.
func (d *device) now() clock.Stamp {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.clock = d.clock.Add(10 * time.Microsecond) // time passes during a request
	return clock.At(d.clock)
}

func (d *device) advance(by time.Duration) { d.with(func() { d.clock = d.clock.Add(by) }) }

// with changes the device while no request sees it.
func (d *device) with(change func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change()
}

// load is the power at a time after the start: between 600 and 1000 W, in a swing of 20 s.
func load(at time.Duration) float64 { return 800 + 200*math.Sin(at.Seconds()*math.Pi/10) }

// work is the integral of load from 0 to at, in joules.
func work(at time.Duration) float64 {
	return 800*at.Seconds() + 200*10/math.Pi*(1-math.Cos(at.Seconds()*math.Pi/10))
}

// sampled is when the sensors last looked, before at.
func (d *device) sampled(at time.Time) time.Duration {
	since := at.Sub(d.online)
	if d.refresh > 0 {
		since = since.Truncate(d.refresh)
	}
	return since
}

// joules is what the counters show at a time.
func (d *device) joules(at time.Time) float64 {
	e := work(d.sampled(at))
	if !d.reset.IsZero() {
		return e - work(d.reset.Sub(d.online))
	}
	return 1e9 + e
}

// animate replaces the readings of the live documents by those of the load now.
func (d *device) animate(doc map[string]any) map[string]any {
	live := d.live[clean(doc["@odata.id"].(string))]
	if !live && doc["ReadingTime"] != "" {
		return doc
	}
	p, e := load(d.sampled(d.clock)), d.joules(d.clock)
	b, err := json.Marshal(doc)
	if err != nil {
		panic(err)
	}
	var own map[string]any
	_ = json.Unmarshal(b, &own)
	if own["ReadingTime"] == "" {
		own["ReadingTime"] = d.online.Add(d.sampled(d.clock) + d.skew).Format(time.RFC3339)
	}
	if !live {
		return own
	}
	set := func(property string, v float64, decimals int) {
		if x, ok := own[property].(map[string]any); ok {
			x["Reading"] = json.Number(strconv.FormatFloat(v, 'f', decimals, 64))
		}
	}
	set("PowerWatts", p, 3)
	set("EnergykWh", e/3.6e6, 9)
	set("EnergyJoules", e, 3)
	if own["ReadingType"] == "Power" {
		own["Reading"] = json.Number(strconv.FormatFloat(p, 'f', 3, 64))
	} else if own["ReadingType"] == "EnergykWh" {
		own["Reading"] = json.Number(strconv.FormatFloat(e/3.6e6, 'f', 9, 64))
	}
	return own
}

func (d *device) serve(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	answer, down := d.answer, d.down
	d.gets[r.URL.Path]++
	d.mu.Unlock()
	if down {
		panic(http.ErrAbortHandler)
	}
	if answer != nil && answer(w, r) {
		return
	}
	if r.URL.Path == "/redfish/v1/EventService/SSE" {
		d.stream(w, r)
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	w.Header().Set("Date", d.clock.Add(d.skew).UTC().Format(http.TimeFormat))
	path := clean(r.URL.Path)
	switch {
	case path == "/redfish/v1/SessionService/Sessions" && r.Method == http.MethodPost:
		d.login(w, r)
	case r.Method == http.MethodDelete:
		d.ended++
	case r.Method != http.MethodGet:
		d.t.Errorf("%s %s: meterd may not write", r.Method, path)
	case path != "/redfish/v1" && !d.allowed(r):
		d.failures++
		w.WriteHeader(http.StatusUnauthorized)
	default:
		d.document(w, r, path)
	}
}

func (d *device) login(w http.ResponseWriter, r *http.Request) {
	var in struct{ UserName, Password string }
	_ = json.NewDecoder(r.Body).Decode(&in)
	if in.UserName != d.user || in.Password != d.password {
		d.failures++
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	d.logins++
	d.token = fmt.Sprintf("token-%d", d.logins)
	w.Header().Set("X-Auth-Token", d.token)
	w.Header().Set("Location", "/redfish/v1/SessionService/Sessions/"+strconv.Itoa(d.logins))
	w.WriteHeader(http.StatusCreated)
}

func (d *device) allowed(r *http.Request) bool {
	if d.password == "" {
		return true
	}
	if t := r.Header.Get("X-Auth-Token"); t != "" {
		return t == d.token
	}
	return r.Header.Get("Authorization") == "Basic "+base64.StdEncoding.EncodeToString([]byte(d.user+":"+d.password))
}

// document answers with what is at path; a collection is made from what is below it.
func (d *device) document(w http.ResponseWriter, r *http.Request, path string) {
	doc := d.docs[path]
	if doc == nil {
		var members []map[string]string
		for uri := range d.docs {
			if filepath.Dir(uri) == path {
				members = append(members, map[string]string{"@odata.id": uri}) // in random order, like gofish
			}
		}
		if members == nil {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		doc = map[string]any{"@odata.id": path, "Name": "Collection", "Members": members, "Members@odata.count": len(members)}
	}
	b, err := json.Marshal(d.animate(doc))
	if err != nil {
		panic(err)
	}
	if d.etags != "" {
		h := fnv.New64()
		if d.etags == "true" {
			h.Write(b)
		}
		tag := fmt.Sprintf("%q", strconv.FormatUint(h.Sum64(), 16))
		w.Header().Set("ETag", tag)
		if r.Header.Get("If-None-Match") == tag {
			d.notMod++
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(b)
}

// stream sends what comes through d.events.
func (d *device) stream(w http.ResponseWriter, r *http.Request) {
	if !d.allowed(r) {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.WriteHeader(http.StatusOK)
	w.(http.Flusher).Flush()
	for {
		select {
		case <-r.Context().Done():
			return
		case e := <-d.events:
			if e == "cut" {
				return
			}
			fmt.Fprint(w, e)
			w.(http.Flusher).Flush()
		}
	}
}

// options are those that reach d, believing its certificate.
func (d *device) options() Options {
	return Options{
		Name: name, URL: d.http.URL, User: d.user, Password: d.password, CAFile: d.authority(), Now: d.now,
		Timeout: 2 * time.Second, Parts: 2 * time.Second, NoPush: true,
	}
}

// authority writes the server's certificate as a file.
func (d *device) authority() string {
	d.t.Helper()
	path := filepath.Join(d.t.TempDir(), "ca.pem")
	b := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: d.http.Certificate().Raw})
	if err := os.WriteFile(path, b, 0o600); err != nil {
		d.t.Fatal(err)
	}
	return path
}

func (d *device) fingerprint() string {
	sum := sha256.Sum256(d.http.Certificate().Raw)
	return hex.EncodeToString(sum[:])
}

// open opens the source with the options, changed by the functions given.
func (d *device) open(t testing.TB, change ...func(*Options)) *Source {
	t.Helper()
	s, err := d.try(t, change...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (d *device) try(t testing.TB, change ...func(*Options)) (*Source, error) {
	t.Helper()
	o := d.options()
	for _, c := range change {
		c(&o)
	}
	s, err := Open(t.Context(), o)
	if err == nil {
		t.Cleanup(func() {
			if err := s.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		})
	}
	return s, err
}

// advanceLocked is advance for use within with.
func (d *device) advanceLocked(by time.Duration) { d.clock = d.clock.Add(by) }
