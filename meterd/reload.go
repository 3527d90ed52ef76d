package main

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"agentwatt/meterd/internal/calibration"
	"agentwatt/shared/fault"
	"agentwatt/shared/power"
)

// reload reads the configuration again and makes it so: sources that stay as they were go on, others are stopped, started or
// started anew. A configuration that cannot be used changes nothing and is an error. It returns what changed.
func (d *daemon) reload(ctx context.Context) (changed []string, err error) {
	notify(fmt.Sprintf("RELOADING=1\nMONOTONIC_USEC=%d", monotonic()))
	defer notify("READY=1")
	defer func() {
		if err != nil {
			d.log.Error("the configuration was not taken; the old one stays", "err", err, "hint", fault.Advice(err))
		} else {
			d.log.Info("configuration read again", "changed", strings.Join(changed, ", "))
		}
	}()
	conf, err := d.load()
	if err != nil {
		return nil, err
	}
	if fixed := d.conf.fixed(conf); len(fixed) > 0 {
		return nil, fault.Hint(fmt.Errorf("%s: only a restart changes that", strings.Join(fixed, ", ")), "systemctl restart meterd, or put it back")
	}
	records, err := loadCalibrations(conf.Calibrations)
	if err != nil {
		return nil, err
	}
	p, err := d.plan(ctx, conf)
	if err != nil {
		return nil, err
	}
	return d.apply(ctx, conf, p, records)
}

func monotonic() int64 {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &t) // cannot fail for this clock
	return t.Nano() / int64(time.Microsecond)
}

// fixed returns the settings that differ and are read at the start only.
func (c config) fixed(next config) (names []string) {
	a, b := reflect.ValueOf(c), reflect.ValueOf(next)
	for i := range a.NumField() {
		name := a.Type().Field(i).Tag.Get("yaml")
		switch name {
		case "sources", "influx", "calibrations", "study", "profile": // the profile is a set of defaults, for the sources
			continue
		}
		if !reflect.DeepEqual(a.Field(i).Interface(), b.Field(i).Interface()) {
			names = append(names, name)
		}
	}
	return names
}

// plan is what a reload does.
type plan struct {
	stop  []*unit  // that are not wanted any more, or not as they are
	start []opened // to be run
	gone  []absence
}

// plan opens what is new. On error all of that is closed again.
func (d *daemon) plan(ctx context.Context, conf config) (plan, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var p plan
	var open []kind
	wanted := map[string]bool{}
	for _, k := range kinds(conf, d.segments.Now) {
		if k.conf.Enabled == off {
			continue
		}
		u := d.units[k.name]
		if u != nil && reflect.DeepEqual(u.settings, k.settings) && !u.gone() {
			wanted[k.name] = true
			continue
		}
		open = append(open, k)
	}
	for _, u := range d.units {
		if !wanted[u.name] {
			p.stop = append(p.stop, u)
		}
	}
	var err error
	if p.start, p.gone, err = openKinds(ctx, open, d.segments.Now, d.log); err != nil {
		return plan{}, err
	}
	if len(p.start) == 0 && len(wanted) == 0 {
		return plan{}, errors.Join(noSource(p.gone), closeSources(p.start))
	}
	return p, nil
}

// gone reports whether the source is.
func (u *unit) gone() bool {
	select {
	case <-u.done:
		return true
	default:
		return false
	}
}

// apply carries out a plan.
func (d *daemon) apply(ctx context.Context, conf config, p plan, records calibration.Set) (changed []string, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.absent(p.gone)
	old := d.conf
	d.conf = conf
	usage := false
	for _, u := range p.stop {
		usage = usage || u.sampler.Usage != nil
		d.lost = append(d.lost, d.end(u)...)
		delete(d.units, u.name)
		changed = append(changed, "stopped "+u.name)
	}
	if len(p.start) > 0 {
		d.segments.Renew() // a source that was there before numbers its batches from 1 again
	}
	for i, o := range p.start {
		d.start(context.WithoutCancel(ctx), d.add(o, records, usage && i == 0))
		changed = append(changed, "started "+o.name)
	}
	if !reflect.DeepEqual(old.Influx, conf.Influx) {
		if err := d.changeSink(ctx, old.Influx); err != nil {
			changed = append(changed, "InfluxDB: not changed: "+err.Error())
		} else {
			changed = append(changed, "changed influx")
		}
	}
	slices.Sort(changed)
	d.journal.setSources(d.names())
	note := power.Note{Key: noteReload, Value: strings.Join(changed, ", ")}
	if err := d.journal.write(ctx, []power.Note{note}, d.lost); err != nil {
		d.log.Warn("the reload is not on record", "err", err)
	} else {
		d.lost = nil
	}
	return changed, nil
}

// changeSink forwards to another InfluxDB, or goes back to the old one.
func (d *daemon) changeSink(ctx context.Context, old influxConf) error {
	if d.quit != nil {
		d.quit()
	}
	ctx = context.WithoutCancel(ctx)
	err := d.startSink(ctx)
	if err != nil {
		d.conf.Influx = old
		err = errors.Join(err, d.startSink(ctx))
	}
	return err
}
