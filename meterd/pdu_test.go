package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"agentwatt/meterd/internal/sourcetest"
	"agentwatt/shared/power"
)

// The whole of each recorded PDU in W and Wh, as decoded by hand from the vendors' MIBs (SOURCES.txt beside the recordings).
var recordedPDUs = map[string]string{
	"apc_ap8853": "1140 W, 3512800 Wh", "apc_ap8959eu3": "270 W, 1967700 Wh", "apc-epdu_epdu1132m": "61 W, 2280 Wh",
	"cyberpower_pdu81005": "216 W", "eatonpdu_2": "1584 W, 8185493 Wh", "enlogic-pdu_v2": "1120 W, 52777600 Wh",
	"panduit": "956 W, 7405276 Wh", "raritan-pdu": "580 W, 0 Wh", "raritan-pdu_px3.subset": "1665 W, 74057676 Wh",
	"sentry3_3phase": "279 W", "sentry4_switched8i": "806 W, 3472000 Wh, 856 W, 3700800 Wh", "vertiv-pdu_mg02e4w1": "1017 W, 8483906 Wh",
}

// meterd probe identifies every recorded PDU behind a real SNMP agent, side by side, and prints what it measures. The one that
// measures no power is absent, with the reason.
func TestProbeReadsRecordedPDUs(t *testing.T) {
	data := sourcetest.Data(t, "..", "pdu")
	dir := t.TempDir()
	port := serveWalks(t, dir, data)
	var conf strings.Builder
	fmt.Fprintf(&conf, "sys_root: %s\nsources:\n  nvml: {enabled: false}\n  amdsmi: {enabled: false}\n  snmp:\n    pdus:\n", dir)
	for walk := range recordedPDUs {
		pduEntry(t, &conf, dir, walk, port)
	}
	pduEntry(t, &conf, dir, "sentry3_switched", port)
	s, _ := probed(t, conf.String())
	got := map[string]string{}
	for _, src := range s.Sources {
		var values []string
		for _, m := range src.Meters {
			if m.Scope == power.Rack {
				values = append(values, m.Value)
			}
		}
		got[strings.TrimPrefix(src.Name, "snmp/")] = strings.Join(values, ", ")
	}
	if diff := cmp.Diff(recordedPDUs, got); diff != "" {
		t.Errorf("(-by hand +probe):\n%s", diff)
	}
	reason := ""
	for _, a := range s.Absent {
		if a.Source == "snmp/sentry3_switched" {
			reason = a.Reason
		}
	}
	if !strings.Contains(reason, "measures no power") {
		t.Errorf("sentry3_switched: absent because %q, want: measures no power", reason)
	}
}

// probed runs meterd probe with a configuration, and returns what it found and all that it printed.
func probed(t *testing.T, conf string) (s survey, printed string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "meterd.yaml")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	if code := run([]string{"probe", "-c", file, "--json"}, &out, &errs); code != 0 {
		t.Fatalf("probe ended with %d: %s", code, errs.String())
	}
	if err := json.Unmarshal(out.Bytes(), &s); err != nil {
		t.Fatal(err)
	}
	return s, out.String() + errs.String()
}

func pduEntry(t *testing.T, conf *strings.Builder, dir, walk string, port int) {
	t.Helper()
	community := filepath.Join(dir, walk+".community")
	if err := os.WriteFile(community, []byte(walk), 0o600); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conf, "    - {name: %s, address: '127.0.0.1:%d', community_file: %s}\n", walk, port, community)
}

// serveWalks starts a real SNMP agent over the recordings for the time of the test: the name of a recording is its community.
func serveWalks(t *testing.T, dir, data string) (port int) {
	t.Helper()
	agent := sourcetest.Tool(t, "snmpsimd")
	walks, cache := filepath.Join(dir, "walks"), filepath.Join(dir, "cache")
	for _, d := range []string{walks, cache} {
		if err := os.Mkdir(d, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	files, err := filepath.Glob(filepath.Join(data, "*.snmprec"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%d recordings in %s, %v", len(files), data, err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err == nil {
			err = os.WriteFile(filepath.Join(walks, filepath.Base(f)), b, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	port = freeUDP(t)
	startAgent(t, agent, walks, cache, port)
	return port
}

// startAgent runs snmpsimd on the given ports for the time of the test. Root must say as whom: as itself, since the checkout may be closed
// to others.
func startAgent(t testing.TB, agent, data, cache string, ports ...int) {
	t.Helper()
	args := []string{"--data-dir=" + data, "--cache-dir=" + cache, "--logging-method=null"}
	if os.Getuid() == 0 {
		args = append(args, "--process-user=root", "--process-group=root")
	}
	for _, p := range ports {
		args = append(args, fmt.Sprintf("--agent-udpv4-endpoint=127.0.0.1:%d", p))
	}
	c := exec.CommandContext(t.Context(), agent, args...)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Kill()
		_ = c.Wait() // killed
	})
	time.Sleep(3 * time.Second) // it indexes its data first; meterd asks again within its limits
}
