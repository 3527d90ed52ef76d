package ipmi

import (
	"bytes"
	"context"
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
	"agentwatt/shared/power"
)

// output runs a program, for 20 s at most.
func output(t *testing.T, path string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Stderr = &stderr
	b, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s%s", cmd, err, b, stderr.String())
	}
	return string(b)
}

// ipmitool runs ipmitool against a BMC, with the password in a file.
func ipmitool(t *testing.T, o Options, cipher int, args ...string) string {
	t.Helper()
	host, port, _ := net.SplitHostPort(o.Address)
	return output(t, sourcetest.Tool(t, "ipmitool"), append([]string{"-I", "lanplus", "-H", host, "-p", port, "-U", o.User, "-L", "USER",
		"-f", secretFile(t, o.Password), "-C", strconv.Itoa(cipher)}, args...)...)
}

// field returns the number after a label in a program's output.
func field(t *testing.T, text, label string) int64 {
	t.Helper()
	found := regexp.MustCompile(regexp.QuoteMeta(label) + `\s*:\s*(\d+)`).FindStringSubmatch(text)
	if found == nil {
		t.Fatalf("no %q in:\n%s", label, text)
	}
	n, err := strconv.ParseInt(found[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Two implementations that are not ours read the same watts from the same BMC, with both cipher suites, while the load
// changes.
func TestToolsReadTheSameWatts(t *testing.T) {
	freeipmi := sourcetest.Tool(t, "ipmi-dcmi")
	n := newNode(t)
	for _, cipher := range []int{3, 17} {
		s := n.open(func(o *Options) { o.Cipher = cipher })
		config := secretFile(t, fmt.Sprintf("username %s\npassword %s\n", testUser, testPassword))
		for second := range 3 {
			n.set(func() { n.second = 10 + 7*second })
			got, _ := read(t, s)
			if len(got) != 1 || got[0].Status != power.OK || got[0].Raw != int64(sine(n.second)) {
				t.Fatalf("second %d: got %+v, want %d W", n.second, got, int64(sine(n.second)))
			}
			theirs := ipmitool(t, n.options(), cipher, "dcmi", "power", "reading")
			if watts := field(t, theirs, "Instantaneous power reading"); watts != got[0].Raw {
				t.Errorf("suite %d: ipmitool reads %d W, we read %d W", cipher, watts, got[0].Raw)
			}
			theirs = output(t, freeipmi, "-h", n.address(), "-D", "LAN_2_0", "-I", strconv.Itoa(cipher), "-l", "USER",
				"--config-file", config, "--get-system-power-statistics")
			if watts := field(t, theirs, "Current Power"); watts != got[0].Raw {
				t.Errorf("suite %d: ipmi-dcmi reads %d W, we read %d W", cipher, watts, got[0].Raw)
			}
		}
		s.Close()
	}
}

// simulator runs OpenIPMI's ipmi_sim, an implementation of a BMC that shares nothing with go-ipmi, with sensors whose
// records are given: sensor i has number i+1 and the reading of the same index.
func simulator(t *testing.T, records [][]byte, readings []byte) Options {
	t.Helper()
	path := sourcetest.Tool(t, "ipmi_sim")
	free, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Name: "sim", Address: free.LocalAddr().String(), User: testUser, Password: "s3cret", Timeout: time.Second}
	free.Close()
	dir := t.TempDir()
	host, port, _ := net.SplitHostPort(o.Address)
	lan := "name \"sim\"\nset_working_mc 0x20\n startlan 1\n addr " + host + " " + port + "\n priv_limit admin\n"
	for _, level := range []string{"callback", "user", "operator", "admin"} {
		lan += " allowed_auths_" + level + " none md2 md5 straight\n"
	}
	lan += " guid a123456789abcdefa123456789abcdef\n endlan\n" +
		" user 2 true \"" + o.User + "\" \"" + o.Password + "\" user 10 none md2 md5 straight\n"
	emu := "mc_setbmc 0x20\nmc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02 persist_sdr\n"
	none := strings.Repeat(" 000000000000000", 4)
	for i, r := range records {
		number := i + 1
		emu += fmt.Sprintf("sensor_add 0x20 0 %d 0x0b 0x01\n", number) +
			fmt.Sprintf("sensor_set_event_support 0x20 0 %d enable scanning per-state%s\n", number, none) +
			fmt.Sprintf("sensor_set_value 0x20 0 %d %#02x 0\n", number, readings[i]) +
			fmt.Sprintf("main_sdr_add 0x20 % #x\n", r)
	}
	emu += "mc_enable 0x20\n"
	for name, text := range map[string]string{"lan.conf": lan, "sim.emu": emu} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(path, "-c", filepath.Join(dir, "lan.conf"), "-f", filepath.Join(dir, "sim.emu"), "-s", dir, "-n", "-p")
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			t.Logf("ipmi_sim said:\n%s", said.String())
		}
	})
	return o
}

// eventually opens a BMC that is starting.
func eventually(t *testing.T, o Options) *Source {
	t.Helper()
	var err error
	for range 50 {
		var s *Source
		if s, err = Open(t.Context(), o); err == nil {
			t.Cleanup(func() { s.Close() })
			return s
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatalf("after 5 s: %v", err)
	return nil
}

// Sensors of another BMC, which refuses cipher suite 17 and has no DCMI: every value is the one that ipmitool prints.
func TestSensorsAsIPMITool(t *testing.T) {
	records := [][]byte{
		record(1, "Sys Power", factors{m: 4}),
		record(2, "PSU1 Input Power", factors{m: 8, b: 24}),
		record(3, "PSU2 Input Power", factors{m: 8, b: 4}),
		record(4, "CPU Power", factors{m: 15, b: 5, offset: 1, result: -1}),
		record(5, "DIMM Power", factors{m: 1, b: 3, offset: -1, result: 1, format: 2}),
	}
	readings := []byte{0x55, 0x21, 0x22, 0x7f, 0x10}
	o := simulator(t, records, readings)
	s := eventually(t, o)
	got, meters := read(t, s)
	if len(got) != len(records) || s.link.cipher() != 3 {
		t.Fatalf("%d samples of %d records, cipher suite %d", len(got), len(records), s.link.cipher())
	}
	theirs := map[string]float64{}
	for line := range strings.Lines(ipmitool(t, o, 3, "sensor")) {
		cells := strings.Split(line, "|")
		if v, err := strconv.ParseFloat(strings.TrimSpace(cells[1]), 64); err == nil {
			theirs["ipmi/sim/"+slug(cells[0])] = v
		}
	}
	for _, sample := range got {
		m := meters[sample.Meter]
		ours := float64(sample.Raw) * float64(m.Scale.Num) / float64(m.Scale.Den) / 1e6
		if want, ok := theirs[m.ID]; !ok || sample.Status != power.OK || ours != want {
			t.Errorf("%s: we read %v W (%v), ipmitool %v of %v", m.ID, ours, sample.Status, want, theirs)
		}
	}
	if a := s.Absent(); len(a) != 1 || !strings.HasPrefix(a[0], "DCMI power reading: the BMC answers d4") {
		t.Errorf("absent: %q, want DCMI alone, with ipmi_sim's reason", a)
	}
}
