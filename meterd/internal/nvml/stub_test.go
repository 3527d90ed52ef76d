//go:build linux && cgo

package nvml

import (
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"agentwatt/shared/clock"
	"agentwatt/shared/power"
)

// The libraries that TestMain builds: all tests but one use the full one, since a process can use one only.
const (
	fullStub   = "libnvml_full.so"
	sparseStub = "libnvml_sparse.so" // without nvmlDeviceGetFieldValues, as old drivers are
	bareStub   = "libnvml_bare.so"   // with what is required, and nvmlDeviceGetPowerUsage
	stubDir    = "NVML_STUB_DIR"
)

func TestMain(m *testing.M) {
	os.Exit(withStubs(m.Run))
}

// withStubs builds the libraries into a directory that is named in the environment, and removes it after run.
func withStubs(run func() int) int {
	if os.Getenv(stubDir) != "" { // a child of a test
		return run()
	}
	if _, err := exec.LookPath("gcc"); err != nil {
		fmt.Fprintln(os.Stderr, "SKIPPED, NOT TESTED: the nvml source needs gcc to build its stub library:", err)
		return run()
	}
	dir, err := os.MkdirTemp("", "nvml")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	for name, more := range map[string][]string{fullStub: nil, sparseStub: {"-DNO_FIELD_VALUES"}, bareStub: {"-DBARE"}} {
		args := append([]string{"-O2", "-shared", "-fPIC", "-o", filepath.Join(dir, name), "testdata/stub/nvml_stub.c", "-lm"}, more...)
		if out, err := exec.Command("gcc", args...).CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build %s: %v\n%s", name, err, out)
			return 1
		}
	}
	os.Setenv(stubDir, dir)
	return run()
}

// stub is one opened library in virtual time.
type stub struct {
	*Source
	t       testing.TB
	dir     string
	elapsed time.Duration
}

// epoch is where virtual time begins: late enough for a full second of history.
const epoch = 1000 * time.Second

// openStub opens the full library with the environment given as name, value pairs (without NVML_STUB_).
func openStub(t testing.TB, env ...string) *stub {
	t.Helper()
	s, err := tryStub(t, env...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func tryStub(t testing.TB, env ...string) (*stub, error) {
	t.Helper()
	libraries := stubsAt(t)
	s := &stub{t: t, dir: t.TempDir()}
	s.advance(epoch)
	t.Setenv("NVML_STUB_CLOCK", s.path("clock"))
	t.Setenv("NVML_STUB_CONTROL", s.path("control"))
	for i := 0; i < len(env); i += 2 {
		t.Setenv("NVML_STUB_"+env[i], env[i+1])
	}
	var err error
	s.Source, err = Open(t.Context(), Options{
		Library: filepath.Join(libraries, fullStub), Now: s.time, Boot: s.uptime,
		Ring: os.Getenv("NVML_STUB_RING") != "", // the only name that is not the library's
	})
	return s, err
}

// stubsAt returns where the libraries are.
func stubsAt(t testing.TB) string {
	t.Helper()
	dir := os.Getenv(stubDir)
	if dir == "" {
		t.Skip("SKIPPED, NOT TESTED: no gcc to build the stub library")
	}
	return dir
}

func (s *stub) path(name string) string { return filepath.Join(s.dir, name) }

func (s *stub) time() clock.Stamp { return clock.Stamp(s.elapsed) }

// uptime is the clock of the library's samples: the host was booted 500 s after virtual time began.
func (s *stub) uptime() time.Duration { return s.elapsed - 500*time.Second }

// advance moves virtual time, for the library too.
func (s *stub) advance(d time.Duration) {
	s.t.Helper()
	s.elapsed += d
	s.write("clock", binary.NativeEndian.AppendUint64(nil, uint64(s.elapsed)))
}

// control gives the library the words of NVML_STUB_CONTROL.
func (s *stub) control(words string) { s.write("control", []byte(words)) }

func (s *stub) write(name string, b []byte) {
	s.t.Helper()
	if err := os.WriteFile(s.path(name), b, 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// read reads once.
func (s *stub) read() []power.Sample {
	s.t.Helper()
	got, err := s.Read(s.t.Context(), nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return got
}

// record reads every interval until length has passed.
func (s *stub) record(interval, length time.Duration) []power.Sample {
	s.t.Helper()
	var all []power.Sample
	for end := s.elapsed + length; s.elapsed < end; s.advance(interval) {
		all = append(all, s.read()...)
	}
	return all
}

// meter returns the index of the first meter of a kind.
func (s *stub) meter(k kind) int {
	s.t.Helper()
	for i, m := range s.Meters() {
		if filepath.Base(m.ID) == string(k) {
			return i
		}
	}
	s.t.Fatalf("no meter of kind %s in %v", k, s.Meters())
	return -1
}
