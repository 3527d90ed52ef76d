package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"agentwatt/meterd/internal/calibration"
	"agentwatt/meterd/internal/influx"
	"agentwatt/meterd/internal/sampler"
	"agentwatt/shared/bus"
	"agentwatt/shared/clock"
	"agentwatt/shared/power"
)

// daemon is meterd run: sources, store, samplers, and what runs beside them.
type daemon struct {
	log      *slog.Logger
	load     func() (config, error) // reads the configuration again
	host     string
	boot     string
	segments *clock.Segments
	store    store
	bus      publisher // the store's, with whoever listens in between
	gauges   gauges
	journal  *journal
	services services

	mu    sync.Mutex // of what a reload changes
	conf  config
	units map[string]*unit
	away  map[string]bool // absences that were logged, by name and reason
	sink  *influx.Sink    // nil: none
	quit  func()          // ends the sink, and waits
	lost  []power.Loss    // of samplers that have ended, not on record yet
	ended chan *unit      // samplers whose source is gone
}

// unit is one source under way.
type unit struct {
	opened
	sampler *sampler.Sampler
	stop    context.CancelFunc
	done    chan struct{}
	err     error // set before done is closed: the source is gone
}

// tap lets tests listen in on what is published.
var tap = func(p publisher) publisher { return p }

// newSegments makes the clock of the process; tests give it another wall clock.
var newSegments = func() *clock.Segments { return clock.NewSegments(rand.Text()) }

// newDaemon opens the sources and the store. On error nothing is left open.
func newDaemon(ctx context.Context, conf config, load func() (config, error), log *slog.Logger) (d *daemon, err error) {
	d = &daemon{log: log, load: load, conf: conf, units: map[string]*unit{}, away: map[string]bool{}, segments: newSegments(), ended: make(chan *unit, 64)}
	if d.host, err = conf.hostname(); err != nil {
		return nil, err
	}
	if d.boot, err = clock.BootID(conf.ProcRoot); err != nil { // without it, clocks of two processes of this host are compared over the network
		log.Warn("boot id is not known", "err", err)
	}
	found, missing, err := openSources(ctx, conf, d.segments.Now, log)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, closeSources(found))
		}
	}()
	if len(found) == 0 {
		return nil, noSource(missing)
	}
	records, err := loadCalibrations(conf.Calibrations)
	if err != nil {
		return nil, err
	}
	d.absent(missing)
	if d.store, err = openStore(ctx, conf, d.host, log); err != nil {
		return nil, err
	}
	d.bus = &d.gauges
	d.gauges.next = tap(d.store.publisher)
	d.journal = &journal{bus: d.bus, host: d.host, boot: d.boot, segments: d.segments, log: log}
	makeRoom(found)
	for i, o := range found {
		d.add(o, records, i == 0)
	}
	return d, nil
}

// absent logs each absence once.
func (d *daemon) absent(missing []absence) {
	for _, m := range missing {
		if known := m.name + ": " + m.err.Error(); !d.away[known] {
			d.away[known] = true
			m.log(d.log)
		}
	}
}

// add makes the sampler of a source. One of them says what meterd costs.
func (d *daemon) add(o opened, records calibration.Set, usage bool) *unit {
	calibrated := newCalibrated(records, d.log)
	u := &unit{opened: o, done: make(chan struct{})}
	u.sampler = &sampler.Sampler{
		Name: o.name, Source: o.source, Bus: d.bus, Interval: o.interval, Flush: time.Duration(d.conf.Bus.Flush),
		Host: d.host, Boot: d.boot, Clock: d.segments,
		Refine: calibrated.refine, Heard: calibrated.hear, Log: d.log,
	}
	if o.study {
		u.sampler.Study = time.Duration(d.conf.Study)
	}
	if usage {
		u.sampler.Usage = cpuTime
	}
	d.units[o.name] = u
	return u
}

// start runs the sampler of a unit until ctx ends or the unit is stopped.
func (d *daemon) start(ctx context.Context, u *unit) {
	ctx, u.stop = context.WithCancel(ctx)
	go func() {
		defer close(u.done)
		if u.err = u.sampler.Run(ctx); u.err != nil {
			d.log.Error("source stopped", "source", u.name, "err", u.err)
			d.ended <- u
		}
	}()
}

// end stops a unit, closes its source and returns what it lost.
func (d *daemon) end(u *unit) []power.Loss {
	if u.stop != nil {
		u.stop()
		<-u.done
	}
	st := u.sampler.Stats()
	d.log.Info("stopped", "source", u.name, "reads", st.Ticks, "missed", st.Missed, "failed", st.Failed,
		"batches", st.Batches, "dropped", st.Dropped)
	if err := u.source.Close(); err != nil {
		d.log.Warn("close a source", "source", u.name, "err", err)
	}
	return u.sampler.Unsaid()
}

// run samples until ctx ends, or until every source is gone, which is an error, and closes everything.
func (d *daemon) run(ctx context.Context) error {
	defer d.store.close()
	beside, quit := context.WithCancel(context.WithoutCancel(ctx)) // the services outlive the samplers
	defer quit()
	if err := d.begin(ctx, beside); err != nil {
		return errors.Join(err, d.stop(quit))
	}
	err := d.wait(ctx)
	return errors.Join(err, d.stop(quit))
}

// begin starts everything, in the order in which it is needed.
func (d *daemon) begin(ctx, beside context.Context) error {
	d.journal.setSources(d.names())
	d.begun(ctx)
	d.segments.Changed = func(s clock.Segment) { d.services.wait.Go(func() { d.journal.segment(beside, s) }) }
	if d.segments.Kernel(); d.segments.Trouble() != nil {
		d.log.Warn("kernel clock state is not known", "err", d.segments.Trouble())
	}
	d.services.wait.Go(func() { d.segments.Watch(beside) })
	if d.store.server != nil {
		d.services.wait.Go(func() { _ = d.store.server.Keep(beside, d.journal.record) }) // it says what is wrong in the log
		if err := d.store.server.Answer(bus.ClockSubject(d.host), d.segments.Answerer(d.host, d.boot)); err != nil {
			return err
		}
	}
	for _, name := range d.names() {
		d.start(context.WithoutCancel(ctx), d.units[name])
	}
	announce(d.log, d.store.url(d.conf), d.opened())
	if d.store.server != nil {
		if stats, err := d.store.server.Stats(ctx); err == nil {
			d.forecast(stats, d.log)
		}
	}
	if d.store.server != nil {
		d.services.wait.Go(func() { rollUp(beside, d.store.server, d.log) })
	}
	if err := d.startSink(beside); err != nil {
		return err
	}
	return d.serve(ctx, beside)
}

// begun puts the beginning on record before anything else of this run. Sampling does not wait for a store that takes nothing.
func (d *daemon) begun(ctx context.Context) {
	last, err := d.store.last(ctx)
	if err != nil {
		d.log.Warn("what the run before may have lost is not known", "err", err)
	}
	if err := d.journal.start(ctx, last); err != nil {
		d.log.Warn("the beginning of this run is not on record", "err", err)
	}
}

// wait returns when ctx ends, or with an error when every source is gone.
func (d *daemon) wait(ctx context.Context) error {
	var errs []error
	for {
		select {
		case <-ctx.Done():
			return nil
		case u := <-d.ended:
			errs = append(errs, u.err)
			if !d.alive() {
				return errors.Join(errs...)
			}
		}
	}
}

// alive reports whether any source is left.
func (d *daemon) alive() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, u := range d.units {
		select {
		case <-u.done:
		default:
			return true
		}
	}
	return false
}

// stop ends the samplers, puts the end on record, and ends the rest.
func (d *daemon) stop(quit func()) error {
	notify("STOPPING=1")
	d.mu.Lock()
	defer d.mu.Unlock()
	lost := d.lost
	for _, u := range d.units { // all at the same time: each may take its time to store what is left
		if u.stop != nil {
			u.stop()
		}
	}
	for _, u := range d.units {
		lost = append(lost, d.end(u)...)
	}
	ctx, cancel := context.WithTimeout(context.Background(), stopLimit)
	defer cancel()
	err := d.journal.write(ctx, []power.Note{{Key: noteStop, Value: version}}, lost)
	if d.quit != nil {
		d.quit()
	}
	quit()
	d.services.wait.Wait()
	if err != nil {
		d.log.Warn("the end of this run is not on record", "err", err)
	}
	return nil
}

const stopLimit = 5 * time.Second // for the last word

// names returns the names of the sources under way.
func (d *daemon) names() (out []string) {
	for name := range d.units {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

func (d *daemon) opened() (out []opened) {
	for _, name := range d.names() {
		out = append(out, d.units[name].opened)
	}
	return out
}

// startSink starts forwarding to InfluxDB, if that is configured.
func (d *daemon) startSink(ctx context.Context) error {
	if d.conf.Influx.URL == "" || d.store.server == nil {
		if d.conf.Influx.URL != "" {
			d.log.Warn("nothing is forwarded to InfluxDB: with direct there is no store here to forward from")
		}
		d.sink, d.quit = nil, nil
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	sink, wait, err := startInflux(ctx, d.conf.Influx, d.host, d.store.server, d.log)
	if err != nil {
		cancel()
		return err
	}
	d.sink, d.quit = sink, func() {
		cancel()
		wait()
	}
	return nil
}

// healthy says what does not move any more: a sampler, or the way into the store while that is not known to be down.
func (d *daemon) healthy(now time.Time) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	var errs []error
	for _, name := range d.names() {
		u := d.units[name]
		select {
		case <-u.done: // gone: known, and said
			continue
		default:
		}
		limit := cmp.Or(map[bool]time.Duration{true: slowLimit}[u.remote || u.slow], 10*u.interval+stallLimit)
		if served := u.sampler.Stats().Served; !served.IsZero() && now.Sub(served) > limit {
			errs = append(errs, fmt.Errorf("source %s has not been read for %v", name, now.Sub(served).Round(time.Second)))
		}
	}
	if err := d.gauges.stuck(now); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

const (
	stallLimit = 20 * time.Second       // without a read, beyond ten intervals
	slowLimit  = openLimit + stallLimit // of what a management controller or the network may delay
	busLimit   = 2 * time.Minute        // without an answer of the store to a batch, be it an error
)
