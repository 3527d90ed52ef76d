//go:build linux && cgo

package nvml

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"agentwatt/shared/power"
)

// child runs the test of the same name in a process of its own, since a process can use one library only, and calling a symbol that
// it lacks would end the process. In that process it returns true.
func child(t *testing.T, env ...string) bool {
	t.Helper()
	stubsAt(t)
	if os.Getenv("NVML_STUB_CHILD") != "" {
		return true
	}
	c := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
	c.Env = append(os.Environ(), append(env, "NVML_STUB_CHILD=1")...)
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("child: %v\n%s", err, out)
	}
	return false
}

func TestDriverWithoutFieldValues(t *testing.T) {
	if !child(t, "NVML_STUB_CAPABILITY=8.0") {
		return
	}
	s, err := Open(t.Context(), Options{Library: filepath.Join(os.Getenv(stubDir), sparseStub)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	got, err := s.Read(t.Context(), nil)
	if err != nil || len(got) != 2 || got[0].Status != power.OK || got[1].Raw != 400_000 {
		t.Errorf("read %+v, %v; want energy, and 400 W", got, err)
	}
	want := append([]string{"GPU 0 " + uuid0 + ": the driver has no field values"}, noScopes()...)
	if diff := cmp.Diff(want, s.Absent()); diff != "" {
		t.Errorf("absent (-want +got):\n%s", diff)
	}
	if m := s.Meters()[1]; m.Quantity != power.Instant || m.Averaging != 25*time.Millisecond {
		t.Errorf("draw of a GA100 is %+v, want instant over 25 ms", m)
	}
}

// A library with next to nothing: what is not there is never called, from the opening to the context.
func TestBareLibrary(t *testing.T) {
	if !child(t) {
		return
	}
	s, err := Open(t.Context(), Options{Library: filepath.Join(os.Getenv(stubDir), bareStub), Ring: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for range 3 {
		got, err := s.Read(t.Context(), nil)
		if err != nil || len(got) != 1 || got[0].Raw != 400_000 {
			t.Errorf("read %+v, %v; want 400 W", got, err)
		}
	}
	if m := s.Meters()[0]; m.Model != "nvml/unknown/draw/unknown" || m.Quantity != power.Instant || m.Accuracy >= 0 {
		t.Errorf("meter %+v, want a draw of which nothing is known", m)
	}
	notes := s.Notes(nil)
	if len(notes) != 1 || notes[0].Key != "sensor_model" || notes[0].Value != "unknown" {
		t.Errorf("notes %+v, want that the sensor is not known, and nothing else", notes)
	}
}
