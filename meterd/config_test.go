package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"agentwatt/shared/fault"
)

// The reference configuration is the manual: it is complete, and it says the defaults.
func TestReferenceIsTheDefaults(t *testing.T) {
	got, err := parse("meterd.yaml", bytes.NewReader(reference))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(defaults(normal), got, cmpopts.EquateEmpty()); diff != "" {
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
	want := defaults(normal)
	want.Host, want.Bus.Listen, want.Bus.MaxBytes = "gpu-1", "[::1]:0", 500_000_000
	want.Sources.NVML = nvmlConf{Common: sourceConf{on, span(time.Second)}, Library: "/opt/libnvidia-ml.so.1"}
	want.Sources.RAPL.Enabled = off
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, empty := range []string{"", "\n", "# nothing\n", "---\n", "bus:\n", "bus:\n  # flush: 2s\nsources:\n", "sources:\n  nvml:\n  rapl:\n", "sources:\n  nvml:\n    interval:\n"} {
		if got, err := parse("x.yaml", strings.NewReader(empty)); err != nil || !cmp.Equal(got, defaults(normal)) {
			t.Errorf("%q: got %+v, %v; want the defaults", empty, got, err)
		}
	}
}

// A mistake is the user's (exit code 2), and the message says where it is and what it is.
func TestParseErrors(t *testing.T) {
	tests := []struct{ name, yaml, want string }{
		{"unknown key", "bus:\n  lisen: 127.0.0.1:1\n", `x.yaml:2:3: unknown field "lisen"`},
		{"unknown source", "sources:\n  amdsm: {}\n", `x.yaml:2:3: unknown field "amdsm"`},
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
		{"profile", "profile: loud\n", `x.yaml:1:10: "loud" is not one of normal, quiet`},
		{"a PDU without a name", "sources: {snmp: {pdus: [{address: x}]}}\n", `sources.snmp.pdus: an entry without a name`},
		{"a PDU twice", "sources: {snmp: {pdus: [{name: a, address: x, user: u}, {name: a, address: y, user: u}]}}\n", `"a" is there twice`},
		{"a PDU without a secret", "sources: {snmp: {pdus: [{name: a, address: x}]}}\n", `neither a community_file`},
		{"a password in the file", "sources: {ipmi: {bmcs: [{name: a, address: x, password: s3cret}]}}\n", `unknown field "password"`},
		{"a name with a slash", "sources: {redfish: {services: [{name: a/b, url: https://x}]}}\n", `has blanks or slashes`},
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
	if _, err := parse("x.yaml", strings.NewReader("bus: {listen: 0.0.0.0:4222, tls: {cert_file: c, key_file: k}, readers: [UA]}\n")); err != nil {
		t.Error(err)
	}
}

func TestQuietProfile(t *testing.T) {
	dir := t.TempDir()
	file := func(text string) string {
		name := filepath.Join(dir, "meterd.yaml")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	const own = "sources: {nvml: {interval: 250ms}}\n"
	for _, c := range []struct {
		name, text     string
		flag           profile
		nvml, hwmon    time.Duration
		wantTheProfile profile
	}{
		{"as it is", own, "", 250 * time.Millisecond, 100 * time.Millisecond, normal},
		{"by the file", "profile: quiet\n" + own, "", 250 * time.Millisecond, time.Second, quiet},
		{"by the flag", "sources: {}\n", quiet, 500 * time.Millisecond, time.Second, quiet},
		{"the flag wins", "profile: quiet\n", normal, 100 * time.Millisecond, 100 * time.Millisecond, normal},
	} {
		got, err := flags{file: file(c.text), profile: c.flag}.load()
		if err != nil {
			t.Fatal(err)
		}
		if n, h := time.Duration(got.Sources.NVML.Common.Interval), time.Duration(got.Sources.Hwmon.Interval); n != c.nvml || h != c.hwmon || got.Profile != c.wantTheProfile {
			t.Errorf("%s: %s, nvml every %v and hwmon every %v; want %s, %v, %v", c.name, got.Profile, n, h, c.wantTheProfile, c.nvml, c.hwmon)
		}
	}
}

// The examples that the reference holds in comments are right as well.
func TestReferenceExamples(t *testing.T) {
	text := regexp.MustCompile(`(?m)^(\s+)(bmcs|pdus|services): \[\]$`).ReplaceAllString(string(reference), "$1$2:")
	text = regexp.MustCompile(`(?m)^    # (- |  )(.*)$`).ReplaceAllString(text, "    $1$2")
	got, err := parse("meterd.yaml", strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	s := got.Sources
	if len(s.IPMI.BMCs) != 1 || len(s.SNMP.PDUs) != 1 || len(s.Redfish.Services) != 1 {
		t.Fatalf("%d BMCs, %d PDUs, %d services; want one of each:\n%s", len(s.IPMI.BMCs), len(s.SNMP.PDUs), len(s.Redfish.Services), text)
	}
	if got, want := s.SNMP.PDUs[0].Levels, []string{"phase", "outlet"}; !cmp.Equal(got, want) {
		t.Errorf("levels %q, want %q", got, want)
	}
	if want := "bmc-gpu-02"; s.IPMI.BMCs[0].PasswordFile != want {
		t.Errorf("password file %q, want %q", s.IPMI.BMCs[0].PasswordFile, want)
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
