package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"agentwatt/meterd/internal/sourcetest"
)

// The load of a full host and its rack: 72 devices with three meters each, 100 times a second, and 20 PDUs once a second over real
// SNMP. METERD_LOAD says for how long, 20s if it is not set:
//
//	METERD_LOAD=10m go test -run '^$' -bench FullLoad -benchtime 1x -timeout 20m ./meterd
func BenchmarkFullLoad(b *testing.B) {
	length, err := time.ParseDuration(os.Getenv("METERD_LOAD"))
	if err != nil {
		length = 20 * time.Second
	}
	dir := b.TempDir()
	ports := servePDUs(b, dir, 20)
	address, err := freeAddress()
	if err != nil {
		b.Fatal(err)
	}
	conf := filepath.Join(dir, "meterd.yaml")
	if err := os.WriteFile(conf, []byte(fullLoad(dir, ports)), 0o600); err != nil {
		b.Fatal(err)
	}
	bin := buildMeterd(b, dir)
	for b.Loop() {
		c := exec.CommandContext(b.Context(), bin, "run", "-c", conf, "--dir", filepath.Join(dir, "store"), "--listen", address)
		var log bytes.Buffer
		c.Stderr = &log
		if err := c.Start(); err != nil {
			b.Fatal(err)
		}
		time.Sleep(length / 5) // until everything has found its size
		early := processOf(b, c.Process.Pid)
		time.Sleep(length - length/5)
		late := processOf(b, c.Process.Pid)
		if err := c.Process.Signal(os.Interrupt); err != nil {
			b.Fatal(err)
		}
		if err := c.Wait(); err != nil {
			b.Fatalf("meterd stopped with %v:\n%s", err, log.String())
		}
		b.ReportMetric(100*(late.cpu-early.cpu).Seconds()/(length-length/5).Seconds(), "%cpu")
		b.ReportMetric(early.rss/1e6, "MB-at-a-fifth")
		b.ReportMetric(late.rss/1e6, "MB-at-the-end")
		b.ReportMetric(sumOf(b, log.String(), "reads"), "reads")
		b.ReportMetric(sumOf(b, log.String(), "missed"), "missed")
		b.ReportMetric(sumOf(b, log.String(), "failed"), "failed")
		b.ReportMetric(sumOf(b, log.String(), "dropped"), "dropped-batches")
		if n := strings.Count(log.String(), "msg=stopped"); n != 21 {
			b.Errorf("%d sources stopped, want 21:\n%s", n, log.String())
		}
	}
}

// buildMeterd builds the program as it is shipped: the test binary has the race detector or the benchmark's flags.
func buildMeterd(b *testing.B, dir string) string {
	b.Helper()
	bin := filepath.Join(dir, "meterd")
	if out, err := exec.Command("go", "build", "-o", bin, ".").CombinedOutput(); err != nil {
		b.Fatalf("build meterd: %v\n%s", err, out)
	}
	return bin
}

func fullLoad(dir string, ports []int) string {
	var s strings.Builder
	fmt.Fprintf(&s, "host: full\nsys_root: %s\nsources:\n  simulated: {devices: 72, interval: 10ms, low_watts: 300, high_watts: 700, cycle: 7s}\n", dir)
	fmt.Fprintf(&s, "  snmp:\n    interval: 1s\n    pdus:\n")
	for i, p := range ports {
		fmt.Fprintf(&s, "    - {name: pdu-%02d, address: '127.0.0.1:%d', community_file: %s/community}\n", i, p, dir)
	}
	return s.String()
}

// servePDUs starts one SNMP agent with n ports, each of which is a PDU, for the time of the benchmark.
func servePDUs(b *testing.B, dir string, n int) (ports []int) {
	b.Helper()
	agent := sourcetest.Tool(b, "snmpsimd")
	data, cache := filepath.Join(dir, "data"), filepath.Join(dir, "cache")
	for _, d := range []string{data, cache} {
		if err := os.Mkdir(d, 0o777); err != nil {
			b.Fatal(err)
		}
	}
	write := func(name, text string, mode os.FileMode) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), mode); err != nil {
			b.Fatal(err)
		}
	}
	write("data/load.snmprec", loadPDU, 0o644)
	write("community", "load\n", 0o600)
	for range n {
		ports = append(ports, freeUDP(b))
	}
	startAgent(b, agent, data, cache, ports...)
	return ports
}

// loadPDU is a rack PDU with a total of watts and watt-hours, in the form of snmpsim: OID|type|value.
const loadPDU = `1.3.6.1.2.1.1.1.0|4|load PDU
1.3.6.1.2.1.1.2.0|6|1.3.6.1.4.1.21239.42.1.52
1.3.6.1.2.1.1.3.0|67|123456
1.3.6.1.4.1.21239.5.2.1.2.0|4|3.4.0
1.3.6.1.4.1.21239.5.2.1.8.0|4|LOAD-1
1.3.6.1.4.1.21239.5.2.1.10.0|4|SERIAL
1.3.6.1.4.1.21239.5.2.3.1.1.1.1|2|1
1.3.6.1.4.1.21239.5.2.3.1.1.9.1|66|1017
1.3.6.1.4.1.21239.5.2.3.1.1.10.1|66|1067
1.3.6.1.4.1.21239.5.2.3.1.1.11.1|66|95
1.3.6.1.4.1.21239.5.2.3.1.1.12.1|66|8483906
`

func freeUDP(t testing.TB) int {
	t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).Port
}

// process is what a process has used.
type process struct {
	cpu time.Duration
	rss float64 // bytes
}

func processOf(b *testing.B, pid int) process {
	b.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Fatal(err)
	}
	f := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+2:])) // from the third field on, see proc(5)
	number := func(i int) float64 {
		v, err := strconv.ParseFloat(f[i-3], 64)
		if err != nil {
			b.Fatal(err)
		}
		return v
	}
	const tick = 10 * time.Millisecond // USER_HZ is 100 on every Linux that runs Go
	return process{time.Duration(number(14)+number(15)) * tick, number(24) * float64(os.Getpagesize())}
}

// sumOf adds up a number of every source's last line in the log.
func sumOf(b *testing.B, log, key string) (sum float64) {
	b.Helper()
	for _, m := range regexp.MustCompile(`msg=stopped .*\b`+key+`=(\d+)`).FindAllStringSubmatch(log, -1) {
		n, err := strconv.ParseFloat(m[1], 64)
		if err != nil {
			b.Fatal(err)
		}
		sum += n
	}
	return sum
}
