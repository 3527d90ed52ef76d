package bench

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseObjective(t *testing.T) {
	tests := []struct {
		in   string
		want Objective
		text string
	}{
		{"p25(output_speed) >= 60", Objective{OutputSpeed, 0.25, 60}, "p25(output_speed) >= 60"},
		{"p25(output_speed)>=60tok/s", Objective{OutputSpeed, 0.25, 60}, "p25(output_speed) >= 60"},
		{"p95(ttft) <= 5s", Objective{TTFT, 0.95, 5}, "p95(ttft) <= 5s"},
		{"  p99.9 ( ttft_sched )  <=  500 ms ", Objective{TTFTSched, 0.999, 0.5}, "p99.9(ttft_sched) <= 0.5s"},
		{"p0.1(e2e_speed) >= 0.5", Objective{E2ESpeed, 0.001, 0.5}, "p0.1(e2e_speed) >= 0.5"},
		{"p50(inter_token) <= 20ms", Objective{InterToken, 0.5, 0.02}, "p50(inter_token) <= 0.02s"},
		{"p90(duration) <= 120", Objective{Duration, 0.9, 120}, "p90(duration) <= 120s"},
		{"p50(ttft_answer) <= 1s", Objective{TTFTAnswer, 0.5, 1}, "p50(ttft_answer) <= 1s"},
	}
	for _, tt := range tests {
		got, err := ParseObjective(tt.in)
		if err != nil {
			t.Errorf("%q: %v", tt.in, err)
			continue
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", tt.in, diff)
		}
		if got.String() != tt.text {
			t.Errorf("%q: prints %q, want %q", tt.in, got, tt.text)
		}
	}
}

func TestParseObjectiveErrors(t *testing.T) {
	tests := []struct{ in, want string }{
		{"", `column 1: expected "p"`},
		{"95(ttft) <= 5s", `column 1: expected "p"`},
		{"p(ttft) <= 5s", "column 2: percentile"},
		{"p100(ttft) <= 5s", "column 2: percentile"},
		{"p0(ttft) <= 5s", "column 2: percentile"},
		{"p99.99(ttft) <= 5s", "column 2: percentile"},
		{"p95(tft) <= 5s", `column 5: unknown metric "tft"; did you mean "ttft"?`},
		{"p95(outputspeed) >= 5", `column 5: unknown metric "outputspeed"; did you mean "output_speed"?`},
		{"p95(lag) <= 5ms", `column 5: unknown metric "lag"`},
		{"p95(ttft <= 5s", `column 10: expected ")"`},
		{"p95(ttft) >= 5s", "column 11: ttft needs <= (lower is better), got \">=\""},
		{"p25(output_speed) <= 5", "column 19: output_speed needs >="},
		{"p25(output_speed) >= 5s", `column 23: unit "s" does not fit output_speed, which is in tok/s`},
		{"p95(ttft) <= 5 min", `column 16: unit "min" does not fit ttft, which is in s`},
		{"p95(ttft) <= ", `column 14: limit "" is not a number`},
		{"p95(ttft) <= 1.2.3s", `column 14: limit "1.2.3" is not a number`},
		{"p95(ttft) <= 0s", "column 14: limit 0 is not above zero"},
		{"p95(ttft) <= -5s", `column 14: limit "" is not a number`},
		{"p95(ttft) <= 5s or so", `column 17: unexpected "or so"`},
	}
	for _, tt := range tests {
		_, err := ParseObjective(tt.in)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: got %v, want ... %s", tt.in, err, tt.want)
		}
	}
}

func FuzzParseObjective(f *testing.F) {
	f.Add("p25(output_speed) >= 60")
	f.Add("p99.9(ttft) <= 500ms")
	f.Add("p5(inter_token)<=.5")
	f.Fuzz(func(t *testing.T, in string) {
		o, err := ParseObjective(in)
		if err != nil {
			return
		}
		again, err := ParseObjective(o.String())
		if err != nil || again != o {
			t.Errorf("%q reads as %+v, prints as %q, which reads as %+v, %v", in, o, o, again, err)
		}
		if !o.Met(o.Limit) {
			t.Errorf("%q: its own limit does not meet it", in)
		}
	})
}

// The count of violations and the percentile must always agree: FailureCertain reckons with counts, verdicts with values.
func TestMissedIsTheSameAsNotMet(t *testing.T) {
	for _, o := range []Objective{{TTFT, 0.95, 5}, {OutputSpeed, 0.25, 60}, {TTFT, 0.5, 5}, {OutputSpeed, 0.5, 60}, {Duration, 0.999, 1}} {
		good, bad := o.Limit, o.Limit+1
		if o.Metric.HigherIsBetter() {
			bad = o.Limit - 1
		}
		for n := 1; n <= 50; n++ {
			for v := 0; v <= n; v++ {
				values := make([]float64, n)
				for i := range values {
					if values[i] = good; i < v {
						values[i] = bad
					}
				}
				if got, want := o.missed(v, n), !o.Met(Quantile(values, o.Quantile)); got != want {
					t.Fatalf("%s with %d of %d violated: missed %v, want %v", o, v, n, got, want)
				}
			}
		}
	}
}
