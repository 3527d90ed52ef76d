package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"runner": func() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) },
	})
}

// TestScripts runs testdata/script/*.txtar: the manual of the command, with real endpoints and a real meterd as separate
// programs. `endpoint FLAGS...` starts a simulated endpoint and sets ENDPOINT; `meterd` starts meterd on its power and
// sets BUS.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"endpoint": func(ts *testscript.TestScript, _ bool, args []string) {
				program, err := exec.LookPath("runner")
				ts.Check(err)
				url, cmd, err := startUntil(regexp.MustCompile(`http://\S+?/v1`), program, append([]string{"simulate", "--listen", "127.0.0.1:0"}, args...)...)
				ts.Check(err)
				ts.Defer(func() { stop(cmd, syscall.SIGTERM) })
				ts.Setenv("ENDPOINT", url)
			},
			"meterd": func(ts *testscript.TestScript, _ bool, _ []string) {
				power := strings.TrimSuffix(ts.Getenv("ENDPOINT"), "/v1") + "/power"
				url, cmd, err := startMeterd(ts.MkAbs("bus"), power, "127.0.0.1:0")
				ts.Check(err)
				ts.Defer(func() { stop(cmd, syscall.SIGTERM) })
				ts.Setenv("BUS", url)
			},
			// exits CODE PROGRAM ARGS...: the program ends with exactly this code.
			"exits": func(ts *testscript.TestScript, _ bool, args []string) {
				err := ts.Exec(args[1], args[2:]...)
				code := 0
				var exit *exec.ExitError
				if errors.As(err, &exit) {
					code = exit.ExitCode()
				} else {
					ts.Check(err)
				}
				if fmt.Sprint(code) != args[0] {
					ts.Fatalf("exit code %d, want %s", code, args[0])
				}
			},
		},
	})
}

// startUntil starts a program and waits for the first match in its output.
func startUntil(ready *regexp.Regexp, program string, args ...string) (string, *exec.Cmd, error) {
	var c children
	match, err := c.start(context.Background(), ready, program, args...)
	if err != nil {
		c.stop()
		return "", nil, err
	}
	return match, c.list[0], nil
}

// stop ends a program with a signal and waits for it.
func stop(cmd *exec.Cmd, sig syscall.Signal) {
	_ = cmd.Process.Signal(sig)
	_ = cmd.Wait()
}

// meterdProgram is built once for all tests, from the tree under test.
var meterdProgram = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "meterd-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "meterd")
	if out, err := exec.Command("go", "build", "-o", path, "../meterd").CombinedOutput(); err != nil {
		return "", fmt.Errorf("build meterd: %w\n%s", err, out)
	}
	return path, nil
})

func startMeterd(dir, power, listen string) (string, *exec.Cmd, error) {
	program, err := meterdProgram()
	if err != nil {
		return "", nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", nil, err
	}
	config := filepath.Join(dir, "meterd.yaml")
	text := strings.Replace(fmt.Sprintf(demoMeterd, filepath.Join(dir, "store"), power), "127.0.0.1:0", listen, 1)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return "", nil, err
	}
	return startUntil(regexp.MustCompile(`nats://[^\s"]+`), program, "run", "-c", config)
}
