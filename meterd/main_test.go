package main

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"agentwatt/shared/bus"
	"agentwatt/shared/fault"
)

// The test binary is the command, so that scripts run the real program in processes of their own.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"meterd": main, "meterd-traced": traced})
}

// The scripts read as the manual: one file per thing that a user does, or gets wrong.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			address, err := freeAddress()
			e.Setenv("LISTEN", address)
			e.Setenv("BUS", "nats://"+address)
			if err != nil {
				return err
			}
			stub, err := filepath.Abs("internal/nvml/testdata/stub/nvml_stub.c")
			e.Setenv("STUB", stub)
			return err
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"published": published, "eventually": eventually, "hubfiles": hubFiles, "damage": damage},
	})
}

// eventually repeats a meterd command until its standard output matches, which is its first argument.
func eventually(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: eventually pattern argument...")
	}
	pattern, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	for deadline := time.Now().Add(60 * time.Second); ; {
		var out, errs strings.Builder
		run(args[1:], &out, &errs)
		if pattern.MatchString(out.String()) {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("no match for %s in\n%s%s", args[0], out.String(), errs.String())
		}
	}
}

// published waits until the bus of the script has batches of the sources that its arguments name.
func published(ts *testscript.TestScript, neg bool, sources []string) {
	if neg || len(sources) == 0 {
		ts.Fatalf("usage: published source...")
	}
	deadline := time.Now().Add(20 * time.Second)
	for {
		seen, err := sourcesOn(ts.Getenv("BUS"))
		missing := ""
		for _, s := range sources {
			if !strings.Contains(seen, " "+s+" ") {
				missing = s
			}
		}
		if missing == "" {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("no batch of %s on the bus: sources %q, %v", missing, seen, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// damage cuts the last bytes off a file.
func damage(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: damage file")
	}
	name := ts.MkAbs(args[0])
	info, err := os.Stat(name)
	ts.Check(err)
	ts.Check(os.Truncate(name, info.Size()-10))
}

// hubFiles writes the configuration of a hub and of a host of it, with the keys that they need.
func hubFiles(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: hubfiles")
	}
	public := func(args ...string) string {
		var out, errs strings.Builder
		if run(append([]string{"key"}, args...), &out, &errs) != 0 {
			ts.Fatalf("%s", errs.String())
		}
		return strings.TrimSpace(out.String())
	}
	listen, err := freeAddress()
	ts.Check(err)
	hosts, err := freeAddress()
	ts.Check(err)
	ts.Setenv("HUB", "nats://"+listen)
	write := func(name, text string) { ts.Check(os.WriteFile(ts.MkAbs(name), []byte(text), 0o600)) }
	write("hub.yaml", "listen: "+listen+"\nlisten_hosts: "+hosts+"\ndir: "+ts.MkAbs("hub")+"\nhosts: [{name: gpu-1, key: "+public("--dir", ts.MkAbs("store"))+"}]\n"+
		"readers: ["+public("--file", ts.MkAbs("reader.key"))+"]\n")
	write("host.yaml", "host: gpu-1\nsys_root: nowhere\nhub: {url: 'nats://"+hosts+"'}\nbus: {flush: 100ms}\nstatus: {listen: ''}\n"+
		"sources: {nvml: {enabled: false}, simulated: {devices: 1, interval: 50ms}}\n")
}

// sourcesOn lists the sources on a bus between blanks.
func sourcesOn(url string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	conn, err := bus.Dial(ctx, url, bus.Credentials{})
	if err != nil {
		return "", err
	}
	defer conn.Close()
	hosts, err := conn.Hosts(ctx)
	names := " "
	for _, h := range hosts {
		names += h.Source + " "
	}
	return names, err
}

// freeAddress returns a loopback address that was free a moment ago.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// The exit code says who is to blame: 1 the host, 2 the user.
func TestExitCodes(t *testing.T) {
	dir := t.TempDir()
	write := func(name, yaml string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(yaml), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	none := write("none.yaml", "sys_root: "+dir+"\nsources: {nvml: {enabled: false}}\n")
	tests := []struct {
		name string
		args []string
		want int
	}{
		{"help", nil, fault.Done},
		{"version", []string{"version"}, fault.Done},
		{"config", []string{"config"}, fault.Done},
		{"unknown command", []string{"bogus"}, fault.Usage},
		{"unknown flag", []string{"run", "--bogus"}, fault.Usage},
		{"too many arguments", []string{"top", "x"}, fault.Usage},
		{"negative count", []string{"top", "-n", "-1"}, fault.Usage},
		{"no such file", []string{"run", "-c", filepath.Join(dir, "nowhere")}, fault.Usage},
		{"unknown key", []string{"probe", "-c", write("key.yaml", "x: 1\n")}, fault.Usage},
		{"remote", []string{"run", "--listen", "0.0.0.0:0"}, fault.Usage},
		{"no source", []string{"run", "-c", none, "--dir", filepath.Join(dir, "store")}, fault.Failure},
		{"nothing to probe", []string{"probe", "-c", none}, fault.Failure},
		{"no bus", []string{"top", "--bus", "nats://127.0.0.1:1", "-n", "1"}, fault.Failure},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var out, errs strings.Builder
			if code := run(test.args, &out, &errs); code != test.want {
				t.Errorf("exit code %d, want %d; %s", code, test.want, errs.String())
			}
			if failed := test.want != fault.Done; failed != strings.HasPrefix(errs.String(), "meterd: ") {
				t.Errorf("standard error is %q", errs.String())
			}
		})
	}
}
