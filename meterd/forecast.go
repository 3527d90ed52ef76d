package main

import (
	"fmt"
	"log/slog"
	"time"

	"agentwatt/shared/bus"
)

// What a stored batch takes, about: its seal and what the server adds, the description of a meter, a sample. Measured with values
// that change with every sample, as those of hardware do (docs/performance.md, Batch encoding).
const (
	batchBytes  = 350
	meterBytes  = 30
	sampleBytes = 4.5
)

// perDay forecasts what a source takes on the disk in a day.
func perDay(meters int, interval, flush time.Duration) int64 {
	batches := float64(day) / float64(max(flush, interval))
	samples := float64(day) / float64(interval) * float64(meters)
	return int64(batches*float64(batchBytes+meterBytes*meters) + samples*sampleBytes)
}

// forecast is how the disk will do.
type forecast struct {
	perDay int64
	lasts  time.Duration // until max_bytes is reached
	doubt  string        // why less is kept than was asked for; empty: all is
}

// forecastOf forecasts from what the sources take, what the store may and has, and what is free on its disk.
func forecastOf(perDay int64, conf busConf, used, free int64) forecast {
	f := forecast{perDay: perDay}
	if perDay > 0 {
		f.lasts = time.Duration(float64(conf.MaxBytes) / float64(perDay) * float64(day))
	}
	switch age := time.Duration(conf.MaxAge); {
	case perDay == 0:
	case f.lasts < age:
		f.doubt = fmt.Sprintf("bus.max_bytes is reached after %s, before bus.max_age: what is older than that is discarded", days(f.lasts))
	case used+free < min(int64(conf.MaxBytes), int64(float64(perDay)*age.Hours()/24)):
		f.doubt = fmt.Sprintf("the disk is full after %s, before bus.max_age or bus.max_bytes: then nothing is stored", days(time.Duration(float64(free)/float64(perDay)*float64(day))))
	}
	return f
}

func days(d time.Duration) string { return fmt.Sprintf("%.1f days", d.Hours()/24) }

// forecast logs how the disk will do with the meters that are there.
func (d *daemon) forecast(stats bus.Stats, log *slog.Logger) {
	var sum int64
	for _, o := range d.opened() {
		sum += perDay(len(o.source.Meters()), o.interval, time.Duration(d.conf.Bus.Flush))
	}
	var used int64
	for _, s := range stats.Streams {
		used += s.Bytes
	}
	f := forecastOf(sum, d.conf.Bus, used, stats.Free)
	log.Info("disk", "per_day", fmt.Sprintf("%.0f MB", float64(f.perDay)/1e6), "max_bytes_lasts", days(f.lasts), "free", fmt.Sprintf("%.1f GB", float64(stats.Free)/1e9))
	if f.doubt != "" {
		log.Warn("less is kept than was asked for", "why", f.doubt)
	}
}
