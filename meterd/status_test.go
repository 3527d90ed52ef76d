package main

import (
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/prometheus/common/expfmt"
)

// get asks a running meterd until it answers as it should.
func get(t *testing.T, url, accept string, want func(status int, body string) bool) (body string, header http.Header) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Accept", accept)
		resp, err := http.DefaultClient.Do(r)
		if err == nil {
			data, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if want(resp.StatusCode, string(data)) {
				return string(data), resp.Header
			}
			body = string(data)
		}
		if time.Now().After(end) {
			t.Fatalf("%s: %v\n%s", url, err, body)
		}
	}
}

// What Prometheus reads is well formed, named by the rules, and says what is measured and how meterd is.
func TestStatus(t *testing.T) {
	dir := t.TempDir()
	address, err := freeAddress()
	if err != nil {
		t.Fatal(err)
	}
	conf := filepath.Join(dir, "meterd.yaml")
	yaml := "host: h\nsys_root: " + dir + "\nbus: {listen: '127.0.0.1:0', flush: 100ms, dir: " + dir + "/store}\nstatus: {listen: '" + address + "'}\n" +
		"sources: {nvml: {enabled: false}, simulated: {devices: 2, interval: 50ms}}\n"
	if err := os.WriteFile(conf, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	c := exec.Command("meterd", "run", "-c", conf)
	c.Stderr = t.Output()
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Signal(os.Interrupt)
		if err := c.Wait(); err != nil {
			t.Error(err)
		}
	})
	get(t, "http://"+address+"/readyz", "", func(status int, body string) bool { return status == 200 && body == "ok\n" })
	get(t, "http://"+address+"/healthz", "", func(status int, body string) bool { return status == 200 && body == "ok\n" })
	watts := regexp.MustCompile(`meter_power_watts\{device="SIM-0",host="h",meter="[^"]*",name="[^"]*",quantity="counter",scope="accelerator",simulated="true",source="simulated"\} (39\d\.|40\d)`)
	text, _ := get(t, "http://"+address+"/metrics", "text/plain", func(status int, body string) bool {
		return status == 200 && watts.MatchString(body)
	})
	parser := expfmt.NewTextParser(2)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{
		"meter_energy_joules_total", "meterd_reads_total", "meterd_ticks_missed_total", "meterd_read_seconds", "meterd_queue_batches",
		"meterd_disk_free_bytes", "meterd_stream_bytes", "meterd_clock_segments_total", "meterd_build_info", "meterd_ready",
	} {
		if families[name] == nil {
			t.Errorf("no metric %s", name)
		}
	}
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	open, header := get(t, "http://"+address+"/metrics", "application/openmetrics-text; version=1.0.0", func(status int, _ string) bool { return status == 200 })
	if !strings.Contains(header.Get("Content-Type"), "openmetrics") || !strings.HasSuffix(open, "# EOF\n") {
		t.Errorf("not OpenMetrics: %s", header.Get("Content-Type"))
	}
}
