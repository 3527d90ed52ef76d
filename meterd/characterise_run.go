package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"agentwatt/meterd/internal/calibration"
	"agentwatt/meterd/internal/characterise"
	"agentwatt/meterd/internal/sampler"
	"agentwatt/shared/clock"
	"agentwatt/shared/fault"
	"agentwatt/shared/power"
)

func (x *characterisation) run(ctx context.Context, conf config, out, progress io.Writer) error {
	if x.from != "" {
		rec, err := loadRecording(x.from)
		if err != nil {
			return fault.Misuse(err)
		}
		return x.conclude(rec, out)
	}
	rec, err := x.measure(ctx, conf, progress)
	if err != nil {
		return err
	}
	if x.save != "" {
		if err := rec.save(x.save); err != nil {
			return err
		}
	}
	return x.conclude(rec, out)
}

// measure opens the sources and records them while the load is switched.
func (x *characterisation) measure(ctx context.Context, conf config, progress io.Writer) (rec recorded, err error) {
	host, err := conf.hostname()
	if err != nil {
		return rec, err
	}
	now := clock.New()
	found, missing, err := openSources(ctx, conf, now.Now, nil)
	if err != nil {
		return rec, err
	}
	defer func() { err = errors.Join(err, closeSources(found)) }()
	found, sensors := x.choose(found)
	if sensors == 0 {
		err := fmt.Errorf("no meter matches %s", x.meters)
		if len(missing) > 0 {
			return rec, fault.Hint(err, "meterd probe lists the meters that are there; absent: %s", missing[0].name)
		}
		return rec, fault.Hint(err, "meterd probe lists the meters that are there")
	}
	length, _ := x.schedule.Length()
	fmt.Fprintf(progress, "switching the load for %v, %d cycles\n", length.Round(time.Second), x.schedule.Cycles)
	rec, err = x.record(ctx, found, now.Now)
	rec.host = host
	return rec, err
}

// choose keeps the sources that have a meter to measure or to compare with, and counts the former.
func (x *characterisation) choose(all []opened) (kept []opened, sensors int) {
	for _, o := range all {
		n, needed := 0, false
		for _, m := range o.source.Meters() {
			if x.wanted(m) {
				n++
			}
			needed = needed || m.ID == x.reference
		}
		sensors += n
		if n > 0 || needed {
			kept = append(kept, o)
			continue
		}
		_ = o.source.Close() // not read, so nothing is lost
	}
	return kept, sensors
}

func (x *characterisation) wanted(m power.Meter) bool {
	flat := strings.NewReplacer("/", "\x00") // so that * goes over slashes
	ok, _ := path.Match(flat.Replace(x.meters), flat.Replace(m.ID))
	return ok && m.ID != x.reference
}

// record switches the load and reads every source meanwhile.
func (x *characterisation) record(ctx context.Context, found []opened, now func() clock.Stamp) (recorded, error) {
	reading, stop := context.WithCancel(ctx)
	defer stop()
	rec := recorded{versions: newCalibrated(calibration.Set{}, nil)}
	traces, errs := make([][]characterise.Trace, len(found)), make([]error, len(found))
	var readers sync.WaitGroup
	for i, o := range found {
		if err := first(ctx, o.source, rec.versions); err != nil {
			return rec, fmt.Errorf("read %s: %w", o.name, err)
		}
		every := 5 * time.Millisecond
		if o.slow {
			every = slowDecent
		}
		readers.Go(func() {
			if traces[i], errs[i] = characterise.Record(reading, o.source, every); errs[i] != nil {
				stop()
			}
		})
	}
	load := characterise.Burn(runtime.GOMAXPROCS(0))
	if len(x.command) > 0 {
		load = characterise.Command(x.command, nil)
	}
	marks, err := characterise.Drive(reading, x.schedule, load, now)
	stop()
	readers.Wait()
	rec.traces, rec.marks, rec.ended = slices.Concat(traces...), marks, time.Now()
	if failed := errors.Join(errs...); failed != nil {
		return rec, failed
	}
	return rec, err
}

// first reads a source once, for what it has to say of versions.
func first(ctx context.Context, s sampler.Source, versions *calibrated) error {
	if _, err := s.Read(ctx, nil); err != nil {
		return err
	}
	if n, ok := s.(sampler.Noter); ok {
		versions.hear(n.Notes(nil))
	}
	return nil
}

// conclude measures every sensor, prints what it found and writes the records.
func (x *characterisation) conclude(rec recorded, out io.Writer) error {
	ref, err := x.referenceOf(rec.traces)
	if err != nil {
		return err
	}
	done := 0
	var failed []error
	for _, t := range rec.traces {
		if !x.wanted(t.Meter) {
			continue
		}
		fmt.Fprintf(out, "%s%s\n", mark(t.Meter.Simulated), t.Meter.ID)
		result, err := characterise.Measure(t, ref, rec.marks, characterise.Options{})
		if err != nil {
			fmt.Fprintf(out, "  not measured: %v\n\n", err)
			failed = append(failed, err)
			continue
		}
		if result.Print(out); !tells(result) {
			failed = append(failed, errors.New(result.Period.Reason))
			fmt.Fprintln(out)
			continue
		}
		done++
		if err := x.write(t.Meter, result, ref, rec, out); err != nil {
			return err
		}
		fmt.Fprintln(out)
	}
	if done == 0 && len(failed) == 0 {
		return fmt.Errorf("no meter of the recording matches %s", x.meters)
	}
	if done == 0 {
		return fault.NotCounted(fmt.Errorf("no sensor could be measured: %w", failed[0]))
	}
	return nil
}

// tells reports whether anything was found out that a meter could follow.
func tells(r characterise.Result) bool {
	return r.Period.Known() || r.Window.Known() || r.Delay.Known() || r.Gain.Known()
}

// write keeps a result as a record. One of a simulated meter is never kept: no hardware would stand behind it.
func (x *characterisation) write(m power.Meter, r characterise.Result, ref *characterise.Reference, rec recorded, out io.Writer) error {
	if x.out == "" {
		return nil
	}
	if m.Simulated {
		fmt.Fprintln(out, "  no record: the meter is simulated")
		return nil
	}
	path, err := calibration.New(m, r, ref, calibration.Circumstances{
		Host: rec.host, Date: rec.ended, Validity: x.validity, Versions: rec.versions.of(m.Device),
	}).Write(x.out)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "  record: %s\n", path)
	return nil
}

// referenceOf returns the better meter; nil: none was asked for.
func (x *characterisation) referenceOf(traces []characterise.Trace) (*characterise.Reference, error) {
	var ref characterise.Reference
	switch {
	case x.csv != "":
		file, err := os.Open(x.csv)
		if err != nil {
			return nil, fault.Misuse(fmt.Errorf("read the reference: %w", err))
		}
		defer file.Close()
		if ref, err = characterise.ReadCSV(file, x.csv); err != nil {
			return nil, fault.Misuse(err)
		}
	case x.reference != "":
		i := slices.IndexFunc(traces, func(t characterise.Trace) bool { return t.Meter.ID == x.reference })
		if i < 0 {
			return nil, fault.Hint(fmt.Errorf("the reference %s gave no value", x.reference), "meterd probe lists the meters that are there")
		}
		var err error
		if ref, err = characterise.FromTrace(traces[i]); err != nil {
			return nil, err
		}
	default:
		return nil, nil
	}
	if x.accuracy > 0 {
		ref.Accuracy = x.accuracy
	}
	ref.Certificate = x.certificate
	if x.same {
		ref.Scope = ""
	}
	return &ref, nil
}
