package main

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"agentwatt/meterd/internal/calibration"
	"agentwatt/meterd/internal/characterise"
	"agentwatt/shared/clock"
	"agentwatt/shared/power"
)

// recorded is what was seen while the load was switched.
type recorded struct {
	host     string
	traces   []characterise.Trace
	marks    []characterise.Mark
	versions *calibrated // what the sources say of drivers and firmware
	ended    time.Time
}

// recordingFormat names the version of the file. It is gzipped JSON, with samples as rows, since there are hundreds of thousands.
const (
	recordingFormat = "agentwatt/recording/1"
	mostRecording   = 1 << 30 // bytes of JSON: a day of a hundred meters is less
)

type recordingFile struct {
	Format   string                       `json:"format"`
	Host     string                       `json:"host"`
	Ended    time.Time                    `json:"ended"`
	Versions map[string]map[string]string `json:"versions"` // by device, "" for all
	Marks    []markRow                    `json:"marks"`
	Traces   []traceRows                  `json:"traces"`
}

type markRow struct {
	At   clock.Stamp `json:"at_unix_nanos"`
	Busy bool        `json:"busy"`
}

// traceRows is one meter; a row is time, within and device time in nanoseconds, the raw count, and the status.
type traceRows struct {
	Meter power.Meter `json:"meter"`
	Rows  [][5]int64  `json:"samples"`
}

// save writes the recording to a file, which must not be there yet: a recording takes minutes to make.
func (r recorded) save(path string) error {
	file := recordingFile{Format: recordingFormat, Host: r.host, Ended: r.ended, Versions: r.versions.versions}
	for _, m := range r.marks {
		file.Marks = append(file.Marks, markRow{m.At, m.Busy})
	}
	for _, t := range r.traces {
		rows := make([][5]int64, len(t.Samples))
		for i, s := range t.Samples {
			rows[i] = [5]int64{int64(s.Time), int64(s.Within), int64(s.Device), s.Raw, int64(s.Status)}
		}
		file.Traces = append(file.Traces, traceRows{t.Meter, rows})
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return fmt.Errorf("save the recording: %w", err)
	}
	packed := gzip.NewWriter(f)
	if err := errors.Join(json.NewEncoder(packed).Encode(file), packed.Close(), f.Close()); err != nil {
		return fmt.Errorf("save the recording in %s: %w", path, err)
	}
	return nil
}

// loadRecording reads what save wrote.
func loadRecording(path string) (recorded, error) {
	f, err := os.Open(path)
	if err != nil {
		return recorded{}, fmt.Errorf("read the recording: %w", err)
	}
	defer f.Close()
	r, err := decodeRecording(f)
	if err != nil {
		return recorded{}, fmt.Errorf("read the recording %s: %w", path, err)
	}
	return r, nil
}

func decodeRecording(r io.Reader) (recorded, error) {
	unpacked, err := gzip.NewReader(r)
	if err != nil {
		return recorded{}, err
	}
	var file recordingFile
	if err := json.NewDecoder(io.LimitReader(unpacked, mostRecording)).Decode(&file); err != nil {
		return recorded{}, err
	}
	if file.Format != recordingFormat {
		return recorded{}, fmt.Errorf("its format is %.40q, not %s", file.Format, recordingFormat)
	}
	out := recorded{host: file.Host, ended: file.Ended, versions: newCalibrated(calibration.Set{}, nil)}
	if file.Versions != nil {
		out.versions.versions = file.Versions
	}
	for _, m := range file.Marks {
		out.marks = append(out.marks, characterise.Mark{At: m.At, Busy: m.Busy})
	}
	for _, t := range file.Traces {
		trace := characterise.Trace{Meter: t.Meter}
		for _, x := range t.Rows {
			if x[4] < 0 || x[4] > int64(power.Denied) {
				return recorded{}, fmt.Errorf("meter %s: a sample with status %d", t.Meter.ID, x[4])
			}
			trace.Samples = append(trace.Samples, power.Sample{
				Time: clock.Stamp(x[0]), Within: time.Duration(x[1]), Device: clock.Stamp(x[2]), Raw: x[3], Status: power.Status(x[4]),
			})
		}
		out.traces = append(out.traces, trace)
	}
	return out, nil
}
