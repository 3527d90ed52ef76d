package status

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Options say where meterd is watched, and by whom.
type Options struct {
	Listen       string
	CertFile     string // of the listener; empty: no TLS
	KeyFile      string
	ClientCAFile string // who signs the certificates of those who ask; empty: they show none
	Token        string // that who asks has to show; empty: none
	Report       func(context.Context) Report
	Log          *slog.Logger
}

const (
	mostScrapes = 4               // at a time; others are told to come again
	scrapeLimit = 5 * time.Second // for one
	askLimit    = 5 * time.Second // for a request to arrive
)

// Start listens, and answers until ctx ends; wait then returns when that is over. url is where, with the actual port.
func Start(ctx context.Context, o Options) (url string, wait func(), err error) {
	l, err := listen(o)
	if err != nil {
		return "", nil, fmt.Errorf("listen for status requests: %w", err)
	}
	s := &http.Server{
		Handler: o.handler(), ReadHeaderTimeout: askLimit, ReadTimeout: askLimit, WriteTimeout: 2 * scrapeLimit, IdleTimeout: time.Minute,
		MaxHeaderBytes: 8 << 10, ErrorLog: slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug),
	}
	done := make(chan struct{})
	context.AfterFunc(ctx, func() { s.Close() })
	go func() {
		defer close(done)
		if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			o.Log.Error("status requests are not answered any more", "err", err)
		}
	}()
	scheme := "http://"
	if o.CertFile != "" {
		scheme = "https://"
	}
	return scheme + l.Addr().String(), func() { <-done }, nil
}

func listen(o Options) (net.Listener, error) {
	l, err := net.Listen("tcp", o.Listen)
	if err != nil || o.CertFile == "" {
		return l, err
	}
	pair, err := tls.LoadX509KeyPair(o.CertFile, o.KeyFile)
	if err != nil {
		l.Close()
		return nil, err
	}
	c := &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	if o.ClientCAFile != "" {
		pem, err := os.ReadFile(o.ClientCAFile)
		if c.ClientCAs = x509.NewCertPool(); err != nil || !c.ClientCAs.AppendCertsFromPEM(pem) {
			l.Close()
			return nil, fmt.Errorf("no certificate in %s: %w", o.ClientCAFile, err)
		}
		c.ClientAuth = tls.RequireAndVerifyClientCert
	}
	return tls.NewListener(l, c), nil
}

func (o Options) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// A registry of its own for each scrape: the report is then that of the request.
		registry := prometheus.NewRegistry()
		registry.MustRegister(collector{func() Report { return o.Report(r.Context()) }})
		promhttp.HandlerFor(registry, promhttp.HandlerOpts{EnableOpenMetrics: true}).ServeHTTP(w, r)
	}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) {
		var reasons []string
		if err := o.Report(r.Context()).Alive; err != nil {
			reasons = []string{err.Error()}
		}
		say(w, reasons)
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) { say(w, o.Report(r.Context()).Reasons()) })
	return o.admit(mux)
}

// say answers ok, or why not, one reason on a line.
func say(w http.ResponseWriter, reasons []string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if len(reasons) == 0 {
		_, _ = io.WriteString(w, "ok\n")
		return
	}
	w.WriteHeader(http.StatusServiceUnavailable)
	_, _ = io.WriteString(w, strings.Join(reasons, "\n")+"\n")
}

// admit lets in who may ask, a few at a time.
func (o Options) admit(next http.Handler) http.Handler {
	busy := make(chan struct{}, mostScrapes)
	want := sha256.Sum256([]byte("Bearer " + o.Token))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got := sha256.Sum256([]byte(r.Header.Get("Authorization")))
		if o.Token != "" && subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
			w.Header().Set("WWW-Authenticate", "Bearer")
			http.Error(w, "a token is needed", http.StatusUnauthorized)
			return
		}
		select {
		case busy <- struct{}{}:
			defer func() { <-busy }()
		default:
			w.Header().Set("Retry-After", "1")
			http.Error(w, "too many requests at a time", http.StatusServiceUnavailable)
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), scrapeLimit)
		defer cancel()
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}
