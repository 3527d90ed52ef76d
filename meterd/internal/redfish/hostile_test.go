package redfish

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"agentwatt/meterd/internal/sampler"
	"agentwatt/shared/fault"
	"agentwatt/shared/power"
)

const powerSensor = "/redfish/v1/Chassis/1/Sensors/Power"

// spoil lets f answer for the power sensor.
func (d *device) spoil(f http.HandlerFunc) {
	d.with(func() {
		d.answer = func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path != powerSensor {
				return false
			}
			f(w, r)
			return true
		}
	})
}

// What one document does wrong costs its value alone, and never reads as 0.
func TestBadDocuments(t *testing.T) {
	text := func(s string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(s)) }
	}
	for _, c := range []struct {
		name   string
		answer http.HandlerFunc
		want   power.Status
	}{
		{"null", text(`{"Reading": null}`), power.Unsupported},
		{"no reading", text(`{}`), power.Unsupported},
		{"a text", text(`{"Reading": "N/A"}`), power.Unsupported},
		{"not a number", text(`{"Reading": "1e"}`), power.Failed},
		{"too big", text(`{"Reading": 1e300}`), power.Failed},
		{"cut", text(`{"Reading": 12`), power.Failed},
		{"not JSON", text(`<html>busy</html>`), power.Failed},
		{"a list", text(`[{"Reading": 12}]`), power.Failed},
		{"null as a whole", text(`null`), power.Failed},
		{"empty", text(``), power.Failed},
		{"deep", text(strings.Repeat("{\"a\":", 20000)), power.Failed},
		{"huge", text(`{"Reading": 12, "x": "` + strings.Repeat("x", mostBytes) + `"}`), power.Failed},
		{"huge, as a stream", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", eventStream)
			text(`{"Reading": 12, "x": "`+strings.Repeat("x", mostBytes)+`"}`)(w, r)
		}, power.Failed},
		{"500", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }, power.Failed},
		{"403", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(403) }, power.Denied},
		{"404", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) }, power.Lost},
		{"501", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(501) }, power.Unsupported},
		{"304 unasked", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(304) }, power.Failed},
		{"in circles", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, r.URL.Path, http.StatusTemporaryRedirect)
		}, power.Failed},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := host(t)
			s := d.open(t)
			before := read(t, s)
			d.spoil(c.answer)
			d.advance(time.Second)
			got := samples(t, s)
			if x := got["Chassis/1/power"]; x.Status != c.want || x.Raw != 0 {
				t.Errorf("status %v, value %d; want %v", x.Status, x.Raw, c.want)
			}
			if x := got["Chassis/1/energy"]; x.Status != power.OK {
				t.Errorf("the other value has status %v", x.Status)
			}
			d.with(func() { d.answer = nil })
			d.advance(time.Minute)
			if after := read(t, s); len(after) != len(before) {
				t.Errorf("afterwards %v, before %v", after, before)
			}
		})
	}
}

// A body that never ends takes one timeout, and the totals that were not reached say so.
func TestASlowBody(t *testing.T) {
	d := host(t)
	s := d.open(t, func(o *Options) { o.Timeout = 300 * time.Millisecond })
	d.spoil(func(w http.ResponseWriter, r *http.Request) {
		w.Write([]byte(`{"Reading": `))
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	began := time.Now()
	got := samples(t, s)
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("the read took %v", took)
	}
	for id, x := range got {
		if x.Status != power.Failed || x.Raw != 0 {
			t.Errorf("%s: %+v", id, x)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	d.advance(time.Minute)
	if list, err := s.Read(ctx, nil); err != nil || len(list) > 1 { // energy at most; nothing is blamed
		t.Errorf("a read that is cancelled in the middle: %v, %v", list, err)
	}
}

// Credentials go to the service and to nobody else, whatever it says.
func TestOtherHosts(t *testing.T) {
	var stolen atomic.Int32
	thief := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		stolen.Add(1)
		w.Write([]byte(`{"Reading": 1}`))
	}))
	defer thief.Close()
	host := strings.TrimPrefix(thief.URL, "https://")
	for name, answer := range map[string]http.HandlerFunc{
		"a redirect":               func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, thief.URL+"/x", http.StatusFound) },
		"a redirect without https": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "http://"+host, http.StatusFound) },
		"a redirect to the same host without https": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://"+r.Host+"/redfish/v1", http.StatusFound)
		},
		"a redirect with a user": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://u:p@"+r.Host, http.StatusFound)
		},
	} {
		d := guarded(t)
		s := d.open(t, func(o *Options) { o.Insecure, o.CAFile = true, "" })
		d.spoil(answer)
		if x := samples(t, s)["Chassis/1/power"]; x.Status != power.Failed || x.Raw != 0 {
			t.Errorf("%s: %+v", name, x)
		}
	}
	for name, place := range map[string]string{"absolute": thief.URL + "/x", "user trick": "@" + host + "/x", "no scheme": "//" + host + "/x"} {
		d := guarded(t)
		d.docs["/redfish/v1"]["PowerEquipment"] = map[string]any{"@odata.id": place}
		d.docs["/redfish/v1/Chassis/1/EnvironmentMetrics"]["PowerWatts"].(map[string]any)["DataSourceUri"] = place
		d.docs["/redfish/v1/EventService"]["ServerSentEventUri"] = place
		s := d.open(t, func(o *Options) { o.Insecure, o.CAFile, o.NoPush = true, "", false })
		if got := read(t, s); len(got) != 2 {
			t.Errorf("%s: values %v", name, got)
		}
	}
	if n := stolen.Load(); n != 0 {
		t.Errorf("%d requests went to another host", n)
	}
}

func TestOwn(t *testing.T) {
	_, base, err := Options{URL: "https://bmc:8443/redfish/v1"}.complete()
	if err != nil {
		t.Fatal(err)
	}
	c := &client{base: base}
	for uri, want := range map[string]error{
		"/redfish/v1": nil, "https://bmc:8443/x": nil, "//bmc:8443/x": nil,
		"http://bmc:8443/x": errForeign, "https://bmc/x": errForeign, "https://u@bmc:8443/x": errForeign, "//evil/x": errForeign, ":": errForeign,
	} {
		if _, err := c.request(uri, ""); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", uri, err, want)
		}
	}
}

// Only a certificate that is signed, pinned or waved through is believed.
func TestCertificates(t *testing.T) {
	d := guarded(t)
	other := strings.Repeat("ab", 32)
	for _, c := range []struct {
		name string
		set  func(*Options)
		ok   bool
	}{
		{"signed", func(*Options) {}, true},
		{"unknown", func(o *Options) { o.CAFile = "" }, false},
		{"insecure", func(o *Options) { o.CAFile, o.Insecure = "", true }, true},
		{"pinned", func(o *Options) { o.CAFile, o.Fingerprint = "", d.fingerprint() }, true},
		{"pinned with colons", func(o *Options) {
			o.CAFile, o.Fingerprint = "", strings.ToUpper(d.fingerprint()[:2]+":"+d.fingerprint()[2:])
		}, true},
		{"another pinned", func(o *Options) { o.CAFile, o.Fingerprint = "", other }, false},
		{"another pinned, insecure", func(o *Options) { o.Fingerprint, o.Insecure = other, true }, false},
		{"no fingerprint", func(o *Options) { o.Fingerprint = "abcd" }, false},
		{"no file", func(o *Options) { o.CAFile = "/nonexistent" }, false},
	} {
		s, err := d.try(t, c.set)
		if c.ok != (err == nil) || err != nil && !errors.Is(err, sampler.ErrUnavailable) {
			t.Errorf("%s: %v", c.name, err)
		}
		if err == nil {
			s.Close()
		} else if c.name == "unknown" && !strings.Contains(fault.Advice(err), "fingerprint") {
			t.Errorf("hint %q", fault.Advice(err))
		}
	}
	d.with(func() {
		if d.failures != 0 {
			t.Errorf("%d logins were refused", d.failures)
		}
	})
}

func TestOptionsThatAreRefused(t *testing.T) {
	for url, want := range map[string]string{
		"": "address", "10.0.0.7": "address", "ftp://x": "address", "http://10.0.0.7": "insecure",
		"https://u:hunter2@10.0.0.7": "options of their own", "https://u:hunter2@[x": "parsed",
	} {
		_, err := Open(t.Context(), Options{URL: url})
		if !errors.Is(err, sampler.ErrUnavailable) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v, want %q", url, err, want)
		}
	}
}

func TestOpenSaysWhyThereIsNothing(t *testing.T) {
	d := host(t)
	d.with(func() { d.docs["/redfish/v1/Chassis/1/EnvironmentMetrics"] = map[string]any{"@odata.id": "/x"} })
	if _, err := d.try(t); !errors.Is(err, sampler.ErrUnavailable) || !strings.Contains(err.Error(), "no power or energy") {
		t.Errorf("a service without power: %v", err)
	}
	d.http.Close()
	if _, err := d.try(t); !errors.Is(err, sampler.ErrUnavailable) || fault.Advice(err) == "" {
		t.Errorf("a service that is not there: %v", err)
	}
}

// A service that is too busy is left alone for as long as it asks, and says failed meanwhile.
func TestRetryAfter(t *testing.T) {
	for _, code := range []int{http.StatusServiceUnavailable, http.StatusTooManyRequests} {
		d := host(t)
		s := d.open(t)
		asked := 0
		d.with(func() {
			d.answer = func(w http.ResponseWriter, _ *http.Request) bool {
				asked++
				w.Header().Set("Retry-After", "30")
				w.WriteHeader(code)
				return true
			}
		})
		for range 25 {
			d.advance(time.Second)
			for id, x := range samples(t, s) {
				if x.Status != power.Failed {
					t.Errorf("%s: %v", id, x.Status)
				}
			}
		}
		if asked != 1 {
			t.Errorf("%d: asked %d times in 25 s", code, asked)
		}
		d.with(func() { d.answer = nil })
		d.advance(10 * time.Second)
		if got := read(t, s); len(got) != 2 {
			t.Errorf("%d: afterwards %v", code, got)
		}
	}
}
