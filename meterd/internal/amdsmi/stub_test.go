//go:build linux && cgo

package amdsmi

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"agentwatt/shared/clock"
	"agentwatt/shared/power"
)

// stubDir names the directory of the libraries that TestMain builds, one per layout; empty: there is no compiler.
var stubDir string

// versions lists the layouts that the stub can have.
var versions = []int{24, 25, 26, 27}

func TestMain(m *testing.M) {
	os.Exit(withStubs(m.Run))
}

func withStubs(run func() int) int {
	if _, err := exec.LookPath("gcc"); err != nil {
		fmt.Fprintln(os.Stderr, "SKIPPED, NOT TESTED: the amdsmi source needs gcc to build its stub library:", err)
		return run()
	}
	dir, err := os.MkdirTemp("", "amdsmi")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	for _, v := range versions {
		args := []string{"-O2", "-Wall", "-shared", "-fPIC", "-pthread", fmt.Sprintf("-DABI=%d", v),
			"-o", filepath.Join(dir, soname(v)), "testdata/stub/amd_smi_stub.c"}
		if out, err := exec.Command("gcc", args...).CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build %s: %v\n%s", soname(v), err, out)
			return 1
		}
	}
	stubDir = dir
	return run()
}

func soname(version int) string { return fmt.Sprintf("libamd_smi.so.%d", version) }

// stub is one opened library in virtual time.
type stub struct {
	*Source
	t       testing.TB
	dir     string
	elapsed atomic.Int64 // the library's thread reads it too
}

const epoch = 1000 * time.Second // where virtual time begins

// openStub opens the library of a version with the environment given as name, value pairs (without AMD_STUB_).
func openStub(t testing.TB, version int, env ...string) *stub {
	t.Helper()
	s, err := tryStub(t, version, env...)
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

// tryStub takes besides: CHIP, the PCI device id of all GPUs (0x74a1, an MI300X).
func tryStub(t testing.TB, version int, env ...string) (*stub, error) {
	t.Helper()
	if stubDir == "" {
		t.Skip("SKIPPED, NOT TESTED: no gcc to build the stub library")
	}
	s := &stub{t: t, dir: t.TempDir()}
	s.advance(epoch)
	chip := "0x74a1"
	t.Setenv("AMD_STUB_CLOCK", s.path("clock"))
	t.Setenv("AMD_STUB_CONTROL", s.path("control"))
	for i := 0; i < len(env); i += 2 {
		if env[i] == "CHIP" {
			chip = env[i+1]
			continue
		}
		t.Setenv("AMD_STUB_"+env[i], env[i+1])
	}
	for i := range 4 {
		s.write(filepath.Join("bus/pci/devices", pci(i), "device"), []byte(chip+"\n"))
	}
	s.write("module/amdgpu/version", []byte("6.12.12\n"))
	var err error
	s.Source, err = Open(t.Context(), Options{Library: filepath.Join(stubDir, soname(version)), SysRoot: s.dir, Now: s.time})
	return s, err
}

// pci is the address of the stub's GPU i.
func pci(i int) string { return fmt.Sprintf("0000:%02x:00.0", 5+i) }

func (s *stub) path(name string) string { return filepath.Join(s.dir, name) }

func (s *stub) time() clock.Stamp { return clock.Stamp(s.elapsed.Load()) }

// advance moves virtual time, for the library too.
func (s *stub) advance(d time.Duration) {
	s.t.Helper()
	s.write("clock", binary.NativeEndian.AppendUint64(nil, uint64(s.elapsed.Add(int64(d)))))
}

// control gives the library the lines of AMD_STUB_CONTROL.
func (s *stub) control(lines string) { s.write("control", []byte(lines+"\n")) }

func (s *stub) write(name string, b []byte) {
	s.t.Helper()
	if err := os.MkdirAll(filepath.Dir(s.path(name)), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(s.path(name), b, 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// read reads once and returns the samples by meter ID.
func (s *stub) read() map[string]power.Sample {
	s.t.Helper()
	got, err := s.Read(s.t.Context(), nil)
	if err != nil {
		s.t.Fatal(err)
	}
	m := map[string]power.Sample{}
	for _, x := range got {
		m[s.Meters()[x.Meter].ID] = x
	}
	return m
}

// The physics, written apart from the stub's: a square wave between low and high watts, low first, half of each lasting half.
type wave struct {
	low, high int64
	half      time.Duration
}

func (w wave) env() string { return fmt.Sprintf("%d %d %d", w.low, w.high, w.half/time.Millisecond) }

func (w wave) watts(t time.Duration) int64 {
	if (t/w.half)%2 == 1 {
		return w.high
	}
	return w.low
}

// nanojoules is the energy from time zero to t.
func (w wave) nanojoules(t time.Duration) (nj uint64) {
	whole, rest := t/w.half, t%w.half
	nj = uint64(whole/2)*uint64(w.half)*uint64(w.low+w.high) + uint64(rest)*uint64(w.watts(t))
	if whole%2 == 1 {
		nj += uint64(w.half) * uint64(w.low)
	}
	return nj
}

// counts is the energy in 2^-16 J, as the firmware counts it: whole milliseconds.
func (w wave) counts(t time.Duration) int64 {
	hi, lo := bits.Mul64(w.nanojoules(t.Truncate(time.Millisecond)), 65536)
	q, _ := bits.Div64(hi, lo, 1_000_000_000)
	return int64(q)
}
