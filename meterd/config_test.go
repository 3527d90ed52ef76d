package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"agentwatt/shared/fault"
)

// The reference configuration is the manual: it is complete, and it says the defaults.
func TestReferenceIsTheDefaults(t *testing.T) {
	got, err := parse("meterd.yaml", bytes.NewReader(reference))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(defaults(), got); diff != "" {
		t.Errorf("meterd.yaml does not say the defaults (-default +file):\n%s", diff)
	}
}

func TestParse(t *testing.T) {
	got, err := parse("x.yaml", strings.NewReader(`
host: gpu-1
bus: {listen: "[::1]:0", max_bytes: 500 MB}
sources:
  nvml: {enabled: true, interval: 1s, library: /opt/libnvidia-ml.so.1}
  rapl: {enabled: false}
`))
	if err != nil {
		t.Fatal(err)
	}
	want := defaults()
	want.Host, want.Bus.Listen, want.Bus.MaxBytes = "gpu-1", "[::1]:0", 500_000_000
	want.Sources.NVML = nvmlConf{sourceConf{on, span(time.Second)}, "/opt/libnvidia-ml.so.1"}
	want.Sources.RAPL.Enabled = off
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, empty := range []string{"", "\n", "# nothing\n", "---\n", "bus:\n", "bus:\n  # flush: 2s\nsources:\n", "sources:\n  nvml:\n  rapl:\n", "sources:\n  nvml:\n    interval:\n"} {
		if got, err := parse("x.yaml", strings.NewReader(empty)); err != nil || !cmp.Equal(got, defaults()) {
			t.Errorf("%q: got %+v, %v; want the defaults", empty, got, err)
		}
	}
}

// A mistake is the user's (exit code 2), and the message says where it is and what it is.
func TestParseErrors(t *testing.T) {
	tests := []struct{ name, yaml, want string }{
		{"unknown key", "bus:\n  lisen: 127.0.0.1:1\n", `x.yaml:2:3: unknown field "lisen"`},
		{"unknown source", "sources:\n  amdsmi: {}\n", `x.yaml:2:3: unknown field "amdsmi"`},
		{"unknown key of a source", "sources:\n  nvml:\n    intervall: 1s\n", `x.yaml:3:5: unknown field "intervall"`},
		{"duration without a unit", "sources:\n  rapl:\n    interval: 100\n", `x.yaml:3:15: "100" is not a positive duration`},
		{"duration of a word", "bus: {max_age: fast}\n", `x.yaml:1:16: "fast" is not a positive duration`},
		{"duration below zero", "bus: {flush: -1s}\n", `"-1s" is not a positive duration`},
		{"mode", "sources:\n  hwmon:\n    enabled: maybe\n", `x.yaml:3:14: "maybe" is not one of auto, true, false`},
		{"size", "bus:\n  max_bytes: lots\n", `x.yaml:2:14: "lots" is not a size`},
		{"size of zero", "bus: {max_bytes: 0}\n", `"0" is not a size`},
		{"size too large", "bus: {max_bytes: 9999999TiB}\n", `"9999999TiB" is not a size`},
		{"mapping for a scalar", "bus:\n  flush: {a: 1}\n", `x.yaml:2:`},
		{"scalar for a mapping", "bus: 4222\n", `x.yaml:1:6: `},
		{"syntax", "bus: [\n", `x.yaml:1:6: `},
		{"tab", "bus:\n\tlisten: x\n", `x.yaml:2:`},
		{"a key twice", "host: a\nhost: b\n", `x.yaml:2:1: mapping key "host" already defined`},
		{"two documents", "host: a\n---\nhost: b\n", `x.yaml:3:`},
		{"a list", "- host: a\n", `x.yaml:1:1: `},
		{"remote", "bus: {listen: 0.0.0.0:4222}\n", `x.yaml: bus.listen: 0.0.0.0:4222 can be reached from other hosts`},
		{"every interface", "bus: {listen: ':4222'}\n", `can be reached from other hosts`},
		{"no port", "bus: {listen: localhost}\n", `x.yaml: bus.listen: `},
		{"no directory", "bus: {dir: ''}\n", `x.yaml: bus.dir is empty`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := parse("x.yaml", strings.NewReader(test.yaml))
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %q, want one line with %q", err, test.want)
			}
			if code := fault.Code(err); code != fault.Usage {
				t.Errorf("exit code %d, want %d", code, fault.Usage)
			}
		})
	}
}

func TestRemoteIsAllowedOnRequest(t *testing.T) {
	if _, err := parse("x.yaml", strings.NewReader("bus: {listen: 0.0.0.0:4222, allow_remote: true}\n")); err != nil {
		t.Error(err)
	}
}

// Whatever a file says, parsing it ends without a panic, and what it accepts can be used.
func FuzzParse(f *testing.F) {
	f.Add("host: a\n")
	f.Add("bus: {listen: '[::1]:0', max_bytes: 1GiB, flush: 1s}\n")
	f.Add("sources:\n  nvml:\n    enabled: true\n")
	f.Add("a: &a\n  b: *a\n")
	f.Fuzz(func(t *testing.T, yaml string) {
		c, err := parse("x.yaml", strings.NewReader(yaml))
		if err != nil {
			if fault.Code(err) != fault.Usage {
				t.Errorf("exit code %d, want %d", fault.Code(err), fault.Usage)
			}
			return
		}
		if c.Bus.MaxBytes <= 0 || c.Bus.Flush <= 0 || c.Sources.NVML.Common.Interval <= 0 || c.Bus.Dir == "" {
			t.Errorf("accepted %+v", c)
		}
	})
}
