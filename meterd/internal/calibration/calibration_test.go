package calibration

import (
	"errors"
	"flag"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"agentwatt/meterd/internal/characterise"
	"agentwatt/shared/clock"
	"agentwatt/shared/power"
)

var update = flag.Bool("update", false, "rewrite golden files")

func day(n int) time.Time { return time.Date(2026, 6, n, 10, 20, 30, 0, time.UTC) }

// card is the meter that sample is the record of.
func card() power.Meter {
	return power.Meter{ID: "nvml/GPU-5f3c/average", Device: "GPU-5f3c", Name: "NVIDIA GeForce RTX 3090", Scope: power.Accelerator, Quantity: power.Mean,
		Scale: power.Scale{Num: 1000, Den: 1}, Period: 100 * time.Millisecond, PeriodFrom: power.Publication, Averaging: time.Second, AveragingFrom: power.Publication,
		Accuracy: 0.05, AccuracyFrom: power.Assumed, Model: "nvml/GA10x/average"}
}

// sample is a record as characterise makes it.
func sample() Record {
	known := func(v, u float64) characterise.Estimate { return characterise.Estimate{Value: v, U: u} }
	return New(card(), characterise.Result{
		Cycles: 12, Against: "reference",
		Period: known(0.1, 0.0002), Window: known(1.01, 0.06), Delay: known(0.545, 0.004), Rise: characterise.Estimate{Reason: "1 clean steps up, want 2"},
		Noise: known(0.5, 0.1), Gain: known(0.95, 0.005), Offset: known(-2, 0.5), Cross: -0.5, Idle: 80, Busy: 400, Residual: 0.25,
		Notes: []string{"values: 'quoted' \"twice\""},
	}, &characterise.Reference{Name: "wt310.csv", Digest: strings.Repeat("ab", 32), Certificate: "DAkkS 12345", Accuracy: 0.002, Floor: 0.1},
		Circumstances{Host: "node-1", Date: day(1), Versions: map[string]string{"driver": "550.54.15", "vbios": "94.02"}})
}

func now() Conditions {
	return Conditions{Now: day(20), Versions: map[string]string{"driver": "550.54.15", "vbios": "94.02", "kernel": "6.1"}}
}

func TestGoldenAndRoundTrip(t *testing.T) {
	want := sample()
	text, err := want.Encode()
	if err != nil {
		t.Fatal(err)
	}
	golden := filepath.Join("testdata", "record.yaml")
	if *update {
		if err := os.WriteFile(golden, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	file, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(file), string(text)); diff != "" {
		t.Errorf("the format changed (go test -update after looking at it):\n%s", diff)
	}
	got, err := Decode(file, golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestDecodeSaysWhere(t *testing.T) {
	text, err := sample().Encode()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ from, to, want string }{
		{"format: agentwatt/calibration/1", "format: agentwatt/calibration/2", "r.yaml:2: format: \"agentwatt/calibration/2\" is not"},
		{"meter: nvml/GPU-5f3c/average", "meter: a b", "r.yaml:3: meter: empty, or with blanks"},
		{"device: GPU-5f3c", "device: \"\"", "r.yaml:4: device: empty"},
		{"quantity: mean", "quantity: watts", "r.yaml:6: quantity: "},
		{"expires: 2027", "expires: 2025", "r.yaml:9: expires: not after the date"},
		{"host: node-1", "hostname: node-1", "r.yaml:7:1: unknown field"},
		{"cycles: 12", "cycles: -1", "cycles: negative"},
		{"cycles: 12", "cycles: many", "r.yaml:"},
		{"value: 0.95", "value: .nan", "gain: not within"},
		{"value: 0.95", "value: 950", "gain: not within"},
		{"value: 0.95", "value: 1.7", "gain: the readings are wrong by more than half"},
		{"value: -2.0", "value: .inf", "offset_watts: out of range"},
		{"accuracy: 0.002", "accuracy: 2", "reference: its accuracy"},
		{"accuracy: 0.002", "accuracy: 0.0", "reference: a gain without"},
		{"busy_watts: 400", "busy_watts: 10", "busy_watts: not above idle_watts"},
		{"value: 100ms", "value: -1s", "period: -1s ± 200µs is out of range"},
		{"unknown: 1 clean", "value: 3s\n  unknown: 1 clean", "rise: 3s ± 0s is out of range, or both"},
		{"gain_offset_correlation: -0.5", "gain_offset_correlation: -5", "gain_offset_correlation: not within"},
	} {
		spoilt := strings.Replace(string(text), c.from, c.to, 1)
		if spoilt == string(text) {
			t.Errorf("%q is not in the record:\n%s", c.from, text)
		}
		if _, err := Decode([]byte(spoilt), "r.yaml"); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %s", c.to, err, c.want)
		}
	}
	if _, err := Decode(make([]byte, mostBytes+1), "r.yaml"); err == nil || !strings.Contains(err.Error(), "longer than") {
		t.Errorf("a long file: %v", err)
	}
}

func TestApply(t *testing.T) {
	m, note, err := sample().Apply(card(), now())
	if err != nil {
		t.Fatal(err)
	}
	want := card()
	want.Averaging, want.AveragingFrom = 1010*time.Millisecond, power.Measured
	want.Delay, want.DelayFrom = 40*time.Millisecond, power.Measured // 545 ms less half of the window
	want.PeriodFrom = power.Measured
	want.Accuracy, want.AccuracyFrom = m.Accuracy, power.Measured
	want.GainPPM, want.Calibration = 945_000, m.Calibration
	if diff := cmp.Diff(want, m); diff != "" {
		t.Error(diff)
	}
	if note.Key != NoteKey || note.Device != "GPU-5f3c" || !strings.HasPrefix(note.Value, "of 2026-06-01 against wt310.csv (sha256 abababababab): reads -5.50 % ±") {
		t.Errorf("note %+v", note)
	}
}

// A value shown d after the middle of its window is described the same way whatever the meter is called.
func TestDelayByQuantity(t *testing.T) {
	for q, want := range map[power.Quantity]time.Duration{
		power.Counter: 545 * time.Millisecond, power.Instant: 545 * time.Millisecond,
		power.Mean: 40 * time.Millisecond, power.Held: 595 * time.Millisecond,
	} {
		m, r := card(), sample()
		m.Quantity, r.Quantity = q, q.String()
		got, _, err := r.Apply(m, now())
		if err != nil || got.Delay != want {
			t.Errorf("%s: delay %v, want %v, %v", q, got.Delay, want, err)
		}
	}
	r := sample()
	r.Delay.Value = -time.Millisecond
	if m, _, err := r.Apply(card(), now()); err != nil || m.Delay != 0 {
		t.Errorf("a delay before 0: %v, %v", m.Delay, err)
	}
}

// The corrected reading is right within the accuracy from half load up, wherever within its uncertainty the truth lies.
func TestTheCorrectedReadingIsRight(t *testing.T) {
	r := sample()
	factor, _, ok := r.Factor()
	if !ok || math.Abs(factor-(0.95-2.0/400)) > 1e-12 {
		t.Fatalf("factor %v, %v", factor, ok)
	}
	m, _, err := r.Apply(card(), now())
	if err != nil || m.GainPPM != 945_000 || m.AccuracyFrom != power.Measured || m.Calibration != "2026-06-01 against wt310.csv, until 2027-06-01" {
		t.Fatalf("%+v, %v", m, err)
	}
	worst := 0.0
	for p := r.low(); p <= r.Busy; p += 10 {
		ratio, up := r.Ratio(p)
		for _, reading := range []float64{ratio - up, ratio, ratio + up} {
			worst = max(worst, math.Abs(reading/(float64(m.GainPPM)/1e6)-1))
		}
	}
	if m.Accuracy < worst-1e-9 || m.Accuracy > 1.01*worst {
		t.Errorf("accuracy %v, the worst corrected reading is wrong by %v", m.Accuracy, worst)
	}
	// Between, which corrects, gives the truth: 378 W read at 945,000 ppm are 400 W.
	m.Quantity, m.Averaging, m.Delay = power.Instant, 0, 0
	var samples []power.Sample
	begin := clock.At(day(2))
	for i := range 100 {
		samples = append(samples, power.Sample{Time: begin.Add(time.Duration(i) * 100 * time.Millisecond), Raw: 378_000})
	}
	if u := power.Between(m, samples, begin.Add(time.Second), begin.Add(9*time.Second)); math.Abs(u.Mean.Watts()-400) > 0.01 {
		t.Errorf("corrected mean %v, want 400 W", u.Mean)
	}
	r.Gain, r.Offset = Number{Unknown: "no reference was given"}, Number{Unknown: "no reference was given"}
	m, note, err := r.Apply(card(), now())
	if err != nil || m.Accuracy != 0.05 || m.AccuracyFrom != power.Assumed || m.GainPPM != 0 || m.Calibration != "" || !strings.Contains(note.Value, "timing only") {
		t.Errorf("without a gain: %+v, %v, %v", m, note, err)
	}
}

// What does not hold is not applied, and says why.
func TestRecordsThatDoNotHold(t *testing.T) {
	for want, change := range map[string]func(*power.Meter, *Conditions, *Record){
		"of device GPU-5f3c, not":                            func(m *power.Meter, _ *Conditions, _ *Record) { m.Device = "GPU-0000" },
		"not of meter nvml/GPU-5f3c/inst":                    func(m *power.Meter, _ *Conditions, _ *Record) { m.ID = "nvml/GPU-5f3c/instant" },
		"were mean and are instant now":                      func(m *power.Meter, _ *Conditions, _ *Record) { m.Quantity = power.Instant },
		"expired on 2027-06-01":                              func(_ *power.Meter, c *Conditions, _ *Record) { c.Now = day(1).Add(Validity) },
		"is in the future":                                   func(_ *power.Meter, c *Conditions, _ *Record) { c.Now = day(1).Add(-time.Second) },
		`the driver was "550.54.15" then and is "560.1" now`: func(_ *power.Meter, c *Conditions, _ *Record) { c.Versions["driver"] = "560.1" },
		`the vbios was "94.02" then and is not known now`:    func(_ *power.Meter, c *Conditions, _ *Record) { delete(c.Versions, "vbios") },
	} {
		m, c, r := card(), now(), sample()
		change(&m, &c, &r)
		got, _, err := r.Apply(m, c)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
		if diff := cmp.Diff(m, got); diff != "" {
			t.Errorf("%s: the meter changed:\n%s", want, diff)
		}
	}
}

func TestSetTakesTheNewestThatHolds(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "calibration")
	if s, err := Load(dir); err != nil || len(s.records) != 0 {
		t.Errorf("no directory: %v", err)
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	old, mid, last := sample(), sample(), sample()
	mid.Date, mid.Window.Value = day(5), 1020*time.Millisecond
	last.Date, last.Versions = day(9), map[string]string{"driver": "560.1"}
	other := sample()
	other.Meter, other.Device = "nvml/GPU-0000/average", "GPU-0000"
	for _, r := range []Record{last, old, mid, other} {
		if _, err := r.Write(dir); err != nil {
			t.Fatal(err)
		}
	}
	s, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if m, _, err := s.Apply(card(), now()); err != nil || m.Averaging != 1020*time.Millisecond {
		t.Errorf("averaging %v, %v: not the newest that holds", m.Averaging, err)
	}
	if r, ok := s.Record(card(), now()); !ok || !r.Date.Equal(day(5)) {
		t.Errorf("record of %v, %v", r.Date, ok)
	}
	twin := card()
	twin.ID, twin.Device = "nvml/GPU-1111/average", "GPU-1111"
	if m, _, err := s.Apply(twin, now()); !errors.Is(err, ErrNone) || !cmp.Equal(m, twin) {
		t.Errorf("another card of the same model: %v", err)
	}
	late := now()
	late.Now = day(1).Add(2 * Validity)
	if _, _, err := s.Apply(card(), late); err == nil || errors.Is(err, ErrNone) || !strings.Contains(err.Error(), "of 2026-06-09") {
		t.Errorf("all expired: %v, want the newest one's reason", err)
	}
}

func TestLoadNamesEveryBadFile(t *testing.T) {
	dir := t.TempDir()
	if _, err := sample().Write(dir); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a.yaml", "b.yaml", "c.txt"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("colour: red\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	s, err := Load(dir)
	if err == nil || !strings.Contains(err.Error(), "a.yaml:1:1") || !strings.Contains(err.Error(), "b.yaml:1:1") || strings.Contains(err.Error(), "c.txt") {
		t.Errorf("got %v", err)
	}
	if _, ok := s.Record(card(), now()); !ok {
		t.Error("the good record is not there")
	}
}

func FuzzDecode(f *testing.F) {
	text, err := sample().Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte("format: agentwatt/calibration/1\ndate: !!binary x\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := Decode(text, "f.yaml")
		if err != nil {
			return
		}
		again, err := r.Encode()
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		back, err := Decode(again, "g.yaml")
		if err != nil {
			t.Fatalf("what was written cannot be read: %v\n%s", err, again)
		}
		if back.Meter != r.Meter || back.Gain != r.Gain || !back.Date.Equal(r.Date) || back.Period != r.Period {
			t.Fatalf("%+v\nbecame\n%+v", r, back)
		}
		m := card()
		m.ID, m.Device = r.Meter, r.Device
		if got, _, err := r.Apply(m, Conditions{Now: r.Date, Versions: r.Versions}); err == nil && (got.Delay < 0 || math.IsNaN(got.Accuracy)) {
			t.Fatalf("%+v", got)
		}
	})
}
