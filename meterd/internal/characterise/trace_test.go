package characterise

import (
	"bufio"
	"math"
	"os"
	"strconv"
	"strings"
	"testing"

	"agentwatt/meterd/internal/sourcetest"
	"agentwatt/shared/power"
)

// column reads two columns of a recording, the first and a named one.
func column(t *testing.T, file, name string) (at, values []float64) {
	t.Helper()
	f, err := os.Open(sourcetest.Data(t, "../../..", "nvml/"+file))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	want := -1
	for lines := bufio.NewScanner(f); lines.Scan(); {
		fields := strings.Split(lines.Text(), ",")
		if want < 0 {
			for want = len(fields) - 1; fields[want] != name; want-- {
				if want == 0 {
					t.Fatalf("%s has no column %s", file, name)
				}
			}
			continue
		}
		x, err1 := strconv.ParseFloat(fields[0], 64)
		y, err2 := strconv.ParseFloat(fields[want], 64)
		if err1 != nil || err2 != nil {
			t.Fatal(file, err1, err2)
		}
		at, values = append(at, x), append(values, y)
	}
	return at, values
}

// trace is a recording of a GPU's sensor beside an external meter, with the load's marks (shared/data/nvml/SOURCES.txt).
func trace(t *testing.T, board, field string) (Trace, Reference, []Mark) {
	t.Helper()
	m := power.Meter{ID: board + "/" + field, Scope: power.Accelerator, Quantity: power.Instant, Scale: power.Scale{Num: 10_000, Den: 1}}
	sensor := Trace{Meter: m}
	at, watts := column(t, board+".nvml.csv", field)
	for i := range at {
		sensor.Samples = append(sensor.Samples, power.Sample{Time: epoch.Add(seconds(at[i])), Raw: int64(math.Round(watts[i] * 100))})
	}
	ref := Reference{Name: "pmd", Accuracy: 0.005}
	at, watts = column(t, board+".pmd10ms.csv", "watts")
	for i := range at {
		ref.points = append(ref.points, reading{epoch.Add(seconds(at[i])), watts[i]})
	}
	at, _ = column(t, board+".marks.csv", "t_s")
	var marks []Mark
	at = at[:len(at)/2*2] // the last one, where it has no partner, is the end of the recording
	for i := range at {
		marks = append(marks, Mark{epoch.Add(seconds(at[i])), i%2 == 0})
	}
	return sensor, ref, marks
}

// The golden values come out of real recordings: the windows of the paper, its shifts, and the errors under load. Golden
// shifts hold each value until the next is seen, which is half a period, 50 ms, later than the values say. Both were found
// on a grid of 50 ms, so each may be wrong by 25 ms.
func TestTraces(t *testing.T) {
	const grid = 0.025
	for _, c := range []struct {
		board, field  string
		window, delay float64
		load          float64 // W; 0: the load switches too fast for a plateau
		wrong, within float64 // golden error at that load, and the largest uncertainty that is worth having, in %
	}{
		{"rtx3090_step", "power.draw.instant", 0.1, 0.1 - 0.05, 435.4, -5.29, 1},
		{"rtx3090_step", "power.draw.average", 1, 0.6 - 0.05, 435.4, -5.29, 1},
		{"rtx4090_step", "power.draw", 0.1, 0.1 - 0.05, 384.3, -1.09, 1},
		{"a100_50ms_square", "power.draw", 0.025, 0.0125, 0, 0, 0},
	} {
		t.Run(c.board+"/"+c.field, func(t *testing.T) {
			sensor, ref, marks := trace(t, c.board, c.field)
			r, err := Measure(sensor, &ref, marks, Options{LeastCycles: 1})
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%+v", r)
			for _, x := range []struct {
				what         string
				got          Estimate
				want, golden float64
			}{{"period", r.Period, 0.1, 0.002}, {"window", r.Window, c.window, 0}, {"delay", r.Delay, c.delay, grid}} {
				if !x.got.Known() || math.Abs(x.got.Value-x.want) > x.got.U+x.golden || x.got.U > max(0.15*c.window, 0.04) {
					t.Errorf("%s: %+v, want %g ± %g", x.what, x.got, x.want, x.golden)
				}
			}
			if c.load == 0 {
				if r.Gain.Known() || !strings.Contains(r.Gain.Reason, "long enough") {
					t.Errorf("gain %+v of a load without plateaus", r.Gain)
				}
				return
			}
			ratio, u := r.Ratio(c.load)
			wrong, within := 100*(ratio-1), 100*u
			t.Logf("at %.1f W: %+.2f %% ± %.2f %% (k = 2), golden %+.2f %%", c.load, wrong, within, c.wrong)
			if math.Abs(wrong-c.wrong) > within || within > c.within {
				t.Errorf("at %.1f W: %+.2f %% ± %.2f %%, want %+.2f %%", c.load, wrong, within, c.wrong)
			}
		})
	}
}
