package power

import (
	"bufio"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"agentwatt/shared/clock"
)

// traces are GPU sensors beside an external meter. Their SOURCES.txt has the origin, the licence and the golden values:
// errors of the sensor against the external meter, plain and with the sensor's stamps shifted.
const traces = "../../../shared/data/nvml"

// column reads one column of a csv file, and the first as times in µs.
func column(t *testing.T, file, name string) (at []int64, values []float64) {
	t.Helper()
	path := filepath.Join(traces, file)
	f, err := os.Open(path)
	if os.IsNotExist(err) {
		t.Skipf("SKIPPED: no traces: %s is not there", path)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	want := -1
	for lines.Scan() {
		fields := strings.Split(lines.Text(), ",")
		if want < 0 {
			for want = len(fields) - 1; fields[want] != name; want-- {
				if want == 0 {
					t.Fatalf("%s has no column %s", path, name)
				}
			}
			continue
		}
		var x [2]float64
		for i, field := range []string{fields[0], fields[want]} {
			if x[i], err = strconv.ParseFloat(field, 64); err != nil {
				t.Fatal(err)
			}
		}
		at, values = append(at, int64(math.Round(x[0]*1e6))), append(values, x[1])
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return at, values
}

// sensed returns a column as samples in units of 10 mW.
func sensed(t *testing.T, file, name string) []Sample {
	at, watts := column(t, file, name)
	out := make([]Sample, len(at))
	for i := range at {
		out[i] = Sample{Time: epoch.Add(time.Duration(at[i]) * time.Microsecond), Raw: int64(math.Round(watts[i] * 100))}
	}
	return out
}

// naive integrates every read as it comes, re-reads and all: what everybody does.
func naive(samples []Sample, begin, end clock.Stamp) Power {
	m := sensor(Instant, 0, 0)
	m.Period, m.PeriodFrom = 0, Specification // every read counts as fresh
	return Between(m, samples, begin, end).Mean
}

// sensor is a GPU's power field as the driver gives it: refreshed each 100 ms.
func sensor(q Quantity, averaging, delay time.Duration) Meter {
	return Meter{ID: "trace", Scope: Accelerator, Quantity: q, Scale: Scale{10_000, 1}, Period: 100 * ms, PeriodFrom: Publication,
		Averaging: averaging, Delay: delay}
}

// shown is the external meter, averaged over 10 ms, as a meter of its own.
func shown(t *testing.T, board string) *Series {
	m := sensor(Instant, 0, 0)
	m.Period, m.PeriodFrom = 0, Specification
	return NewSeries(m, sensed(t, board+".pmd10ms.csv", "watts"))
}

// The golden errors come out, and METHOD 6 gives the error of the sensor's gain alone: on the 3090 and the 4090's load
// -5.3 % and -1.4 %, whichever part of the trace is asked for, where the naive error runs from -11.5 % to +15.2 %.
//
// The golden shifts belong to the plain integral, which holds each value until the next is seen: that is half a period, 50 ms,
// later than the values say. METHOD 6 removes the re-reads, so its delay is the golden shift less 50 ms. What is left on
// the 3090, 50 ms, is half of the 100 ms over which the sensor averages.
func TestTraces(t *testing.T) {
	const half = 50 * ms
	instant := func(window, shift time.Duration) Meter { return sensor(Instant, window, shift-half) }
	tests := []struct {
		name, board, field string
		from, to           int     // marks; -1: the last
		truth              float64 // golden, W
		meter              Meter
		shift              time.Duration // golden
		naive, shifted     float64       // golden errors in %
		gain, within       float64       // error of METHOD 6 and its tolerance in %
	}{
		{"A100 square", "a100_50ms_square", "power.draw", 0, -1, 129.2, instant(25*ms, 50*ms), 50 * ms, +0.01, +0.15, +0.15, 0.3},
		{"A100 square, late", "a100_50ms_square", "power.draw", 0, -1, 129.2, instant(25*ms, 100*ms), 100 * ms, +0.01, -0.29, -0.29, 0.3},
		{"3090 load, instant", "rtx3090_step", "power.draw.instant", 0, 1, 435.4, instant(100*ms, 100*ms), 100 * ms, -5.92, -5.29, -5.29, 0.3},
		{"3090 tail, instant", "rtx3090_step", "power.draw.instant", 1, 2, 143.0, instant(100*ms, 100*ms), 0, -3.23, -3.23, -5.29, 0.3},
		{"3090 load, average", "rtx3090_step", "power.draw.average", 0, 1, 435.4, sensor(Mean, s, half), 600 * ms, -11.53, -7.57, -5.29, 0.3},
		{"3090 tail, average", "rtx3090_step", "power.draw.average", 1, 2, 143.0, sensor(Mean, s, half), 600 * ms, +15.16, -0.49, -5.29, 2},
		{"4090 load", "rtx4090_step", "power.draw", 0, 1, 384.3, instant(100*ms, 100*ms), 100 * ms, -1.95, -1.09, -1.09, 0.3},
		{"4090 tail", "rtx4090_step", "power.draw", 1, 2, 75.0, instant(100*ms, 50*ms), 0, -18.1, -18.1, -20.5, 0.3},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			samples := sensed(t, tt.board+".nvml.csv", tt.field)
			marks, _ := column(t, tt.board+".marks.csv", "t_s")
			if tt.to < 0 {
				tt.to = len(marks) - 1
			}
			begin := epoch.Add(micros(marks[tt.from]))
			end := epoch.Add(micros(marks[tt.to]))
			percent := func(p Power, truth float64) float64 { return 100 * (p.Watts()/truth - 1) }

			plain := percent(naive(samples, begin, end), tt.truth)
			moved := percent(naive(samples, begin.Add(tt.shift), end.Add(tt.shift)), tt.truth)
			u := Between(tt.meter, samples, begin, end)
			drop := tt.meter.dropped() // a Mean speaks of less than the interval
			truth := shown(t, tt.board).Between(begin.Add(drop), end.Add(-drop)).Mean.Watts()
			ours := percent(u.Mean, truth)
			t.Logf("%.3f s, true %.1f W: naive %+.2f %% (golden %+.2f), shifted by %v %+.2f %% (golden %+.2f); METHOD 6, %v delayed by %v: %+.2f %% over %.3f s, ± %.2f %% (k = 2, %s)",
				end.Sub(begin).Seconds(), tt.truth, plain, tt.naive, tt.shift, moved, tt.shifted, tt.meter.Quantity, tt.meter.shift(), ours, u.Measured.Seconds(),
				100*u.Uncertainty.Expanded(), u.Uncertainty.Dominant())
			for _, x := range []struct {
				what              string
				got, want, within float64
			}{{"naive", plain, tt.naive, 0.3}, {"shifted", moved, tt.shifted, 0.3}, {"METHOD 6", ours, tt.gain, tt.within}} {
				if math.Abs(x.got-x.want) > x.within {
					t.Errorf("%s error %+.2f %%, want %+.2f %% ± %.1f", x.what, x.got, x.want, x.within)
				}
			}
			if !u.Valid {
				t.Errorf("not valid: %v", u.Warnings)
			}
		})
	}
}
