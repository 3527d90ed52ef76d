package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	systemd "github.com/coreos/go-systemd/v22/daemon"

	"agentwatt/meterd/internal/secret"
	"agentwatt/meterd/internal/status"
	"agentwatt/shared/bus"
)

// services is what runs beside the samplers.
type services struct {
	wait sync.WaitGroup
}

// serve starts what others see of the daemon: status, control socket, signals, systemd.
func (d *daemon) serve(ctx, beside context.Context) error {
	if conf := d.conf.Status; conf.Listen != "" {
		if err := d.startStatus(beside, conf); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(d.conf.Bus.Dir, 0o700); err != nil { // where there is no store, as with direct
		return fmt.Errorf("make the directory of the store: %w", err)
	}
	wait, err := serveControl(beside, d.conf.Bus.Dir, d.log, d.reload)
	if err != nil {
		return err
	}
	d.services.wait.Go(wait)
	d.services.wait.Go(func() { d.hangups(ctx) })
	d.services.wait.Go(func() { watchdog(beside, d.log, d.healthy) })
	d.services.wait.Go(func() { d.sayReady(ctx) })
	return nil
}

func (d *daemon) startStatus(ctx context.Context, conf statusConf) error {
	o := status.Options{
		Listen: conf.Listen, CertFile: conf.TLS.CertFile, KeyFile: conf.TLS.KeyFile, ClientCAFile: conf.TLS.ClientCAFile,
		Report: d.report, Log: d.log,
	}
	if conf.TokenFile != "" {
		var err error
		if o.Token, err = secret.Read(conf.TokenFile); err != nil {
			return fmt.Errorf("status.token_file: %w", err)
		}
	}
	url, wait, err := status.Start(ctx, o)
	if errors.Is(err, syscall.EADDRINUSE) && d.conf.Status.Listen == defaults(normal).Status.Listen {
		d.log.Warn("no status: another program listens there", "listen", conf.Listen, "hint", "set status.listen")
		return nil // measuring goes on
	}
	if err != nil {
		return err
	}
	d.log.Info("status", "url", url)
	d.services.wait.Go(wait)
	return nil
}

// sayReady tells systemd once the first readings are stored, and from then on how things are.
func (d *daemon) sayReady(ctx context.Context) {
	for ; ctx.Err() == nil && !d.stored(); pauseFor(ctx, 50*time.Millisecond) {
	}
	if ctx.Err() != nil {
		return
	}
	notify(systemd.SdNotifyReady)
	for said := ""; ctx.Err() == nil; pauseFor(ctx, 5*time.Second) {
		text := d.summary(ctx)
		if text != said {
			notify("STATUS=" + text)
			said = text
		}
	}
}

func pauseFor(ctx context.Context, t time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(t):
	}
}

// summary is how things are, in a line.
func (d *daemon) summary(ctx context.Context) string {
	r := d.report(ctx)
	if reasons := r.Reasons(); len(reasons) > 0 {
		return strings.ReplaceAll(strings.Join(reasons, "; "), "\n", " ")
	}
	return fmt.Sprintf("%d meters of %d sources are read", len(r.Meters), len(r.Sources))
}

// stored reports whether readings are.
func (d *daemon) stored() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, u := range d.units {
		if u.sampler.Stats().Batches > 0 {
			return true
		}
	}
	return false
}

// hangups reloads on SIGHUP.
func (d *daemon) hangups(ctx context.Context) {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGHUP)
	defer signal.Stop(c)
	for {
		select {
		case <-ctx.Done():
			return
		case <-c:
			_, _ = d.reload(ctx) // it says in the log what came of it
		}
	}
}

// report is the picture of the daemon for who watches it.
func (d *daemon) report(ctx context.Context) status.Report {
	r := status.Report{
		Host: d.host, Version: version, Started: processStart, Meters: d.gauges.meters.Values(time.Now()),
		Clock: d.segments.Kernel(), Segment: *d.segments.Current(), Segments: d.segments.Count(),
		Alive: d.healthy(time.Now()), Ready: d.stored(),
	}
	d.mu.Lock()
	for _, name := range d.names() {
		u := d.units[name]
		s := status.Source{Name: name, Stats: u.sampler.Stats()}
		select {
		case <-u.done:
			s.Gone = true
		default:
		}
		r.Sources = append(r.Sources, s)
	}
	sink := d.sink
	d.mu.Unlock()
	if d.store.server == nil {
		connected := d.store.direct.Connected()
		r.Direct = &connected
		return r
	}
	stats, err := d.store.server.Stats(ctx)
	if err != nil {
		r.StoreError = err.Error()
	} else {
		r.Store = &stats
	}
	if sink != nil {
		st := sink.Stats()
		r.Cursors = append(r.Cursors, status.Lag{Name: influxCursor, Messages: lagOf(stats, st.Lag)})
		r.Sink = &status.Sink{
			Points: st.Points, Requests: st.Requests, Retries: st.Retries, Rejected: st.Rejected, Lost: st.Lost,
			LastSuccess: st.LastSuccess, Failing: st.Failing,
		}
	}
	return r
}

// lagOf is the lag that a reader last knew of, but no more than there is.
func lagOf(s bus.Stats, lag uint64) uint64 {
	if len(s.Streams) == 0 {
		return lag
	}
	return min(lag, s.Streams[0].Messages)
}
