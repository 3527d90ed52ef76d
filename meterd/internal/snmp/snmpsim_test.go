package snmp

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"agentwatt/meterd/internal/sampler"
	"agentwatt/meterd/internal/sourcetest"
	"agentwatt/shared/fault"
)

// The agent under these tests is snmpsim's: another implementation of SNMP than the one that asks.
const (
	simUser    = "meter"
	simReader  = "reader" // without privacy
	simAuthKey = "authpass123"
	simPrivKey = "privpass123"
)

// simulate starts snmpsimd over all recorded walks and returns its address. The file pdu.snmprec answers to the community
// pdu, or in version 3 to the context pdu.
func simulate(t testing.TB) string {
	t.Helper()
	program := sourcetest.Tool(t, "snmpsimd")
	files, err := filepath.Glob(sourcetest.Data(t, "../../..", "pdu") + "/*.snmprec")
	if err != nil || len(files) == 0 {
		t.Fatalf("no recordings: %v", err)
	}
	root := t.TempDir()
	dirs := map[string]string{}
	for _, d := range []string{"data", "cache"} {
		dirs[d] = filepath.Join(root, d)
		if err := os.Mkdir(dirs[d], 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range files {
		name := strings.ReplaceAll(filepath.Base(f), ".subset", "")
		if err := os.WriteFile(filepath.Join(dirs["data"], name), []byte(read(t, f)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	address := freeAddress(t)
	args := []string{"--data-dir=" + dirs["data"], "--cache-dir=" + dirs["cache"]}
	if os.Getuid() == 0 {
		args = append(args, "--process-user=root", "--process-group=root") // as itself: the checkout may be closed to others
	}
	args = append(args, // in this order: the engine comes before its endpoint
		"--v3-engine-id=80001f8880e9630000d61ff449", "--agent-udpv4-endpoint="+address,
		"--v3-user="+simUser, "--v3-auth-key="+simAuthKey, "--v3-auth-proto=SHA256",
		"--v3-priv-key="+simPrivKey, "--v3-priv-proto=AES",
		"--v3-user="+simReader, "--v3-auth-key="+simAuthKey, "--v3-auth-proto=SHA")
	run(t, program, args)
	waitFor(t, address, "apc_ap8853")
	return address
}

func freeAddress(t testing.TB) string {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.LocalAddr().String()
}

// run starts a program that the end of the test stops. It dies with the test in any case.
func run(t testing.TB, program string, args []string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	said := new(strings.Builder)
	cmd.Stderr = said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s said: %.2000s", program, said)
		}
	})
}

// waitFor returns when the agent answers.
func waitFor(t testing.TB, address, community string) {
	t.Helper()
	o, err := Options{Address: address, Community: community, Timeout: 500 * time.Millisecond}.settled()
	if err != nil {
		t.Fatal(err)
	}
	for range 60 {
		c, err := connect(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.get(t.Context(), []string{sysDescr})
		c.close()
		if err == nil {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatalf("the agent at %s does not answer", address)
}

func simOptions(address, walk string) Options {
	return Options{
		Name: "pdu-a", Address: address, User: simUser, AuthKey: simAuthKey, PrivKey: simPrivKey, ContextName: walk,
		Levels: levelNames, Timeout: 10 * time.Second, // snmpsim is slow, and the test machine may be busy
	}
}

func TestSnmpsim(t *testing.T) {
	address := simulate(t)
	for _, g := range golden {
		walk := strings.ReplaceAll(g.walk, ".subset", "")
		for version, o := range map[string]Options{
			"v2c": {Name: "pdu-a", Address: address, Community: walk, Levels: levelNames, Timeout: 10 * time.Second},
			"v3":  simOptions(address, walk),
		} {
			t.Run(version+"/"+g.walk, func(t *testing.T) {
				s, err := Open(t.Context(), o)
				if err != nil {
					t.Fatal(err)
				}
				defer s.Close()
				checkGolden(t, s, g.want)
			})
		}
	}
	t.Run("switched", func(t *testing.T) {
		_, err := Open(t.Context(), simOptions(address, "sentry3_switched"))
		if !errors.Is(err, sampler.ErrUnavailable) || !strings.Contains(err.Error(), "measures no power") {
			t.Errorf("got %v, want: measures no power", err)
		}
	})
	t.Run("without privacy", func(t *testing.T) {
		o := simOptions(address, "apc_ap8853")
		o.User, o.AuthProtocol, o.PrivKey = simReader, "sha", ""
		s, err := Open(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		checkGolden(t, s, golden[0].want)
	})
	t.Run("wrong keys", func(t *testing.T) { wrongKeys(t, address) })
}

// wrongKeys wants clear words, and no secret in them.
func wrongKeys(t *testing.T, address string) {
	const secret = "not-the-key-at-all"
	for _, c := range []struct {
		name, want string
		change     func(*Options)
	}{
		{"authentication key", "does not accept the user, the authentication key", func(o *Options) { o.AuthKey = secret }},
		{"privacy key", "", func(o *Options) { o.PrivKey = secret }},
		{"level", "does not give the user this security level", func(o *Options) { o.PrivKey = "" }},
		{"user", "", func(o *Options) { o.User = "stranger" }},
	} {
		o := simOptions(address, "apc_ap8853")
		o.Timeout = 2 * time.Second
		c.change(&o)
		_, err := Open(t.Context(), o)
		if !errors.Is(err, sampler.ErrUnavailable) || !strings.Contains(err.Error(), c.want) || fault.Advice(err) == "" {
			t.Errorf("wrong %s: got %v, hint %q", c.name, err, fault.Advice(err))
		}
		if text := fmt.Sprint(err); strings.Contains(text, secret) || strings.Contains(text, simPrivKey) {
			t.Errorf("wrong %s: a secret is in the error: %v", c.name, err)
		}
	}
}
