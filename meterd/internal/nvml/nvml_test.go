//go:build linux && cgo

package nvml

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"agentwatt/meterd/internal/sampler"
	"agentwatt/shared/clock"
	"agentwatt/shared/power"
)

const uuid0 = "GPU-00000000-0000-0000-0000-000000000000"

func TestMeters(t *testing.T) {
	s := openStub(t)
	m := power.Meter{
		Device: uuid0, Name: "STUB H200", Scope: power.Accelerator, Scale: milli(),
		Period: 100 * time.Millisecond, Limit: 700 * power.Watt, Accuracy: 0.05, AccuracyFrom: power.Assumed,
	}
	counter, inst, avg := m, m, m
	counter.ID, counter.Model, counter.Quantity = "nvml/"+uuid0+"/energy", "nvml/GH100/energy", power.Counter
	counter.PeriodFrom = power.Assumed
	inst.ID, inst.Model, inst.Quantity = "nvml/"+uuid0+"/instant", "nvml/GH100/instant", power.Instant
	inst.PeriodFrom, inst.AveragingFrom, inst.DelayFrom = power.Publication, power.Publication, power.Assumed
	inst.Averaging, inst.Delay = 25*time.Millisecond, 12*time.Millisecond
	avg.ID, avg.Model, avg.Quantity = "nvml/"+uuid0+"/average", "nvml/GH100/average", power.Mean
	avg.PeriodFrom, avg.AveragingFrom, avg.DelayFrom = power.Publication, power.Publication, power.Publication
	avg.Averaging, avg.Delay = time.Second, 50*time.Millisecond
	if diff := cmp.Diff([]power.Meter{counter, inst, avg}, s.Meters()); diff != "" {
		t.Errorf("meters (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(noScopes(), s.Absent()); diff != "" {
		t.Errorf("absent (-want +got):\n%s", diff)
	}
}

// noScopes is what is absent on a host whose GPUs have neither a Grace processor nor a memory sensor.
func noScopes() []string {
	return []string{
		"module power: no GPU tells it; those on a board with a Grace processor do",
		"memory power: no GPU tells it",
	}
}

func TestReadsAllGPUs(t *testing.T) {
	s := openStub(t, "DEVICES", "3", "WAVE", "constant 250")
	if got, want := len(s.Meters()), 9; got != want {
		t.Fatalf("%d meters, want %d", got, want)
	}
	want := make([]power.Sample, 0, 9)
	for i := range 3 {
		watts := int64(250 + 10*i)
		for k, raw := range []int64{watts * 1000 * int64(epoch/time.Second), watts * 1000, watts * 1000} {
			want = append(want, power.Sample{Meter: 3*i + k, Time: clock.Stamp(epoch), Raw: raw})
		}
	}
	got := s.read()
	for i := range got {
		if got[i].Within < 0 || got[i].Within%time.Microsecond != 0 || got[i].Time%1000 != 0 {
			t.Errorf("sample %d: time %d within %v, want whole microseconds", i, got[i].Time, got[i].Within)
		}
		got[i].Within = 0
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("samples (-want +got):\n%s", diff)
	}
}

// Whatever a field answers, the others of the same call are not touched, and nothing absent turns into a number.
func TestFaults(t *testing.T) {
	tests := []struct {
		name, control string
		want          [3]power.Status // energy, instant, average
	}{
		{"none", "", [3]power.Status{}},
		{"field fails", "failed 186", [3]power.Status{power.OK, power.Failed, power.OK}},
		{"field no longer supported", "unsupported 83", [3]power.Status{power.Unsupported, power.OK, power.OK}},
		{"negative value", "garbage 185", [3]power.Status{power.OK, power.OK, power.Failed}},
		{"entry not touched", "skipped 186", [3]power.Status{power.OK, power.Failed, power.OK}},
		{"GPU lost", "lost 0", [3]power.Status{power.Lost, power.Lost, power.Lost}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := openStub(t)
			good := s.read()
			s.control(test.control)
			for i, got := range s.read() {
				want := good[i]
				want.Status, want.Within = test.want[i], got.Within
				if want.Status != power.OK {
					want.Raw = 0
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%s (-want +got):\n%s", s.Meters()[i].ID, diff)
				}
			}
		})
	}
}

func TestAbsentFields(t *testing.T) {
	tests := []struct {
		name, control, driver string
		meters                []kind
		absent                []string // a part of each reason
	}{
		{"no average", "unsupported 185", "", []kind{energy, instant}, []string{"average (field 185): Not Supported"}},
		{"no counter field", "unsupported 83", "", []kind{instant, average, energy}, []string{"energy (field 83)"}},
		{"no fields", "", "old", []kind{energy, draw},
			[]string{"energy (field 83)", "instant (field 186)", "average (field 185)"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "control")
			if err := os.WriteFile(path, []byte(test.control), 0o600); err != nil {
				t.Fatal(err)
			}
			s := openStub(t, "DRIVER", test.driver, "CONTROL", path)
			var meters []kind
			for _, m := range s.Meters() {
				meters = append(meters, kind(filepath.Base(m.ID)))
			}
			if diff := cmp.Diff(test.meters, meters); diff != "" {
				t.Errorf("meters (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(noScopes(), s.Absent()[len(test.absent):]); diff != "" {
				t.Fatalf("absent after %q (-want +got):\n%s", test.absent, diff)
			}
			for i, want := range test.absent {
				if got := s.Absent()[i]; !strings.HasPrefix(got, "GPU 0 "+uuid0) || !strings.Contains(got, want) {
					t.Errorf("absent %q, want it to name the GPU and %q", got, want)
				}
			}
			for i, sample := range s.read() {
				if sample.Status != power.OK || sample.Meter != i {
					t.Errorf("sample %d: %+v, want a value", i, sample)
				}
			}
		})
	}
}

func TestUnavailable(t *testing.T) {
	tests := []struct {
		name string
		env  []string
		want string
	}{
		{"no driver", []string{"DRIVER", "missing"}, "Driver Not Loaded"},
		{"no permission", []string{"DRIVER", "denied"}, "Insufficient Permissions"},
		{"no GPU", []string{"DEVICES", "0"}, "sees no GPU"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := tryStub(t, test.env...)
			if !errors.Is(err, sampler.ErrUnavailable) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want it to be unavailable with %q", err, test.want)
			}
		})
	}
}

func TestNotALibrary(t *testing.T) {
	tests := []struct{ name, path, want string }{
		{"no such file", "/nonexistent/libnvidia-ml.so.1", "/nonexistent/libnvidia-ml.so.1"},
		{"another library", "libc.so.6", "nvmlInit_v2"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := Open(t.Context(), Options{Library: test.path})
			if !errors.Is(err, sampler.ErrUnavailable) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want it to be unavailable with %q", err, test.want)
			}
		})
	}
}

func TestCancelled(t *testing.T) {
	s := openStub(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got, err := s.Read(ctx, nil); !errors.Is(err, context.Canceled) || got != nil {
		t.Errorf("got %v, %v; want nothing, cancelled", got, err)
	}
	if _, err := Open(ctx, Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("open: got %v, want cancelled", err)
	}
}

func TestReadDoesNotAllocate(t *testing.T) {
	s := openStub(t, "DEVICES", "8")
	dst := make([]power.Sample, 0, len(s.Meters()))
	ctx := t.Context()
	for range 10 { // every GPU tells its context once, which is not steady state
		s.read()
	}
	if got := testing.AllocsPerRun(20, func() {
		if _, err := s.Read(ctx, dst); err != nil {
			t.Fatal(err)
		}
	}); got != 0 {
		t.Errorf("%v allocations per read, want 0", got)
	}
}

func BenchmarkRead(b *testing.B) {
	s := openStub(b, "DEVICES", "8", "CLOCK", "", "CONTROL", "")
	dst := make([]power.Sample, 0, len(s.Meters()))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Read(b.Context(), dst); err != nil {
			b.Fatal(err)
		}
	}
}
