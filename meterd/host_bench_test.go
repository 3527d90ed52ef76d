package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// What meterd costs a host with eight GPUs at the default profile: the real NVML source over the library that the nvml package
// tests with, three meters of each GPU ten times a second, stored durably, signed, rolled up and shown to Prometheus. The library
// computes what a driver would be asked for, in meterd's own time. METERD_LOAD says for how long, 20s if it is not set:
//
//	METERD_LOAD=60s go test -run '^$' -bench DefaultHost -benchtime 1x ./meterd
func BenchmarkDefaultHost(b *testing.B) {
	length, err := time.ParseDuration(os.Getenv("METERD_LOAD"))
	if err != nil {
		length = 20 * time.Second
	}
	dir := b.TempDir()
	library := filepath.Join(dir, "libnvidia-ml.so.1")
	if out, err := exec.Command("gcc", "-O2", "-shared", "-fPIC", "-o", library, "internal/nvml/testdata/stub/nvml_stub.c", "-lm").CombinedOutput(); err != nil {
		b.Skipf("SKIPPED, NOT MEASURED: build the stub library: %v\n%s", err, out)
	}
	address, err := freeAddress()
	if err != nil {
		b.Fatal(err)
	}
	status, err := freeAddress()
	if err != nil {
		b.Fatal(err)
	}
	conf := filepath.Join(dir, "meterd.yaml")
	text := "host: gpu\nsys_root: " + dir + "\nstatus: {listen: '" + status + "'}\nsources: {nvml: {enabled: true, library: " + library + "}}\n"
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
	bin := buildMeterd(b, dir)
	for b.Loop() {
		c := exec.CommandContext(b.Context(), bin, "run", "-c", conf, "--dir", filepath.Join(dir, "store"), "--listen", address)
		c.Env = append(os.Environ(), "NVML_STUB_DEVICES=8", "NVML_STUB_WAVE=constant 400")
		var log bytes.Buffer
		c.Stderr = &log
		if err := c.Start(); err != nil {
			b.Fatal(err)
		}
		time.Sleep(length / 4) // the study of the sensors is over
		early := processOf(b, c.Process.Pid)
		time.Sleep(length - length/4)
		late := processOf(b, c.Process.Pid)
		if err := c.Process.Signal(os.Interrupt); err != nil {
			b.Fatal(err)
		}
		if err := c.Wait(); err != nil {
			b.Fatalf("meterd stopped with %v:\n%s", err, log.String())
		}
		b.ReportMetric(100*(late.cpu-early.cpu).Seconds()/(length-length/4).Seconds(), "%cpu")
		b.ReportMetric(late.rss/1e6, "MB")
		b.ReportMetric(sumOf(b, log.String(), "reads"), "reads")
		b.ReportMetric(sumOf(b, log.String(), "missed"), "missed")
	}
}
