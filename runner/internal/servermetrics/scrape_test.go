package servermetrics

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"agentwatt/shared/clock"
)

const page = "# HELP x y\nother 5\n# TYPE vllm:num_requests_running gauge\nvllm:num_requests_running 3\n"

func TestRead(t *testing.T) {
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		want    string // what is kept
		fails   string // or the error
	}{
		"keeps what is known": {func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(page)) },
			"# TYPE vllm:num_requests_running gauge\nvllm:num_requests_running 3\n", ""},
		"not there":   {http.NotFound, "", "status 404"},
		"another one": {func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("other 5\n")) }, "", "no metrics of a known server"},
		"sends on":    {http.RedirectHandler("http://127.0.0.1:1/", http.StatusFound).ServeHTTP, "", "status 302"},
		"too much": {func(w http.ResponseWriter, _ *http.Request) {
			line := []byte(strings.Repeat("x", 1<<20-1) + "\n")
			for range 17 {
				w.Write(line)
			}
		}, "", "more than 16 MiB"},
		"breaks off": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			w.Write([]byte(page))
		}, "", "unexpected EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(c.handler)
			defer server.Close()
			s, err := New(server.URL+"/metrics", server.URL+"/v1", "")
			if err != nil {
				t.Fatal(err)
			}
			got, err := s.Read(t.Context())
			if c.fails == "" && err != nil || c.fails != "" && (err == nil || !strings.Contains(err.Error(), c.fails)) {
				t.Errorf("error %v, want %q", err, c.fails)
			}
			if string(got) != c.want {
				t.Errorf("kept %q, want %q", got, c.want)
			}
		})
	}
}

func TestKeyStaysAtItsOrigin(t *testing.T) {
	var got string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r.Header.Get("Authorization")
		w.Write([]byte(page))
	}))
	defer server.Close()
	for endpoint, want := range map[string]string{server.URL + "/v1": "Bearer secret", "http://elsewhere:8000/v1": ""} {
		s, err := New(server.URL+"/metrics", endpoint, "secret\n")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Read(t.Context()); err != nil || got != want {
			t.Errorf("endpoint %s: Authorization %q, want %q (%v)", endpoint, got, want, err)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	for _, address := range []string{"", "metrics", "ftp://host/metrics", "http://user:secret@host/metrics", "http://ho st/"} {
		if _, err := New(address, "", ""); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: got %v, want an error without secrets", address, err)
		}
	}
}

func TestBeside(t *testing.T) {
	got, err := Beside("https://host:8000/some/v1")
	if want := "https://host:8000/metrics"; err != nil || got != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}

// TestRunKeepsFailures: a read that fails is a record, the next one is tried again, and an error of keep ends it.
func TestRunKeepsFailures(t *testing.T) {
	reads := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if reads++; reads == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.Write([]byte(page))
	}))
	defer server.Close()
	s, err := New(server.URL, "", "")
	if err != nil {
		t.Fatal(err)
	}
	clk := clock.New()
	began := clk.Now()
	var records []Record
	full := errors.New("disk full")
	err = s.Run(t.Context(), clk.Now, func(r Record) error {
		if records = append(records, r); len(records) == 2 {
			return full
		}
		return nil
	})
	if !errors.Is(err, full) || len(records) != 2 {
		t.Fatalf("%d records, %v", len(records), err)
	}
	if records[0].Err == nil || len(records[0].Text) != 0 || records[1].Err != nil || len(records[1].Text) == 0 {
		t.Errorf("records %+v", records)
	}
	if records[0].Time < began || records[1].Time.Sub(records[0].Time) < 500*time.Millisecond {
		t.Errorf("stamps %v and %v, began %v", records[0].Time, records[1].Time, began)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Run(ctx, clk.Now, func(Record) error { t.Error("a record after the end"); return nil }); err != nil {
		t.Errorf("Run after its end: %v", err)
	}
}
