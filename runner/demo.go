package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"agentwatt/runner/internal/endpoint"
	"agentwatt/runner/internal/trajectory"
	"agentwatt/shared/fault"
)

func demoCommand() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "The whole job on this machine, simulated, in under three minutes",
		Long: `Demo starts a simulated endpoint (runner simulate) and meterd with simulated accelerators whose power follows the load,
searches the endpoint's capacity with very short phases, joins the power, and writes a report. No hardware is measured:
everything is labelled SIMULATED.`,
		Example: `  runner demo -o demo-run`,
		Args:    usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return demo(cmd.Context(), out, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	cmd.Flags().StringVarP(&out, "output", "o", "demo-run", "run directory to make")
	return cmd
}

// demoTiers fit the demo engine. The limits on the first token are wide, so that a busy machine does not make phases invalid.
const demoTiers = `tiers:
  - name: easy
    objectives: ["p25(output_speed) >= 40", "p95(ttft) <= 10s"]
  - name: brisk
    objectives: ["p25(output_speed) >= 80", "p95(ttft) <= 5s"]
`

// demoProfile is the profile quick with shorter phases and a coarser search.
const demoProfile = `profiles:
  demo:
    spawn_per_second: 50
    start_turns: 3
    hold: 500ms
    settle: 500ms
    min_window: 3s
    min_trajectories: 6
    min_trajectories_per_agent: 1
    phase_timeout: 60s
    extend: 1
    max_agents: 64
    step: 1
    relative_step: 0.15
    retests: 1
`

// demo runs the endpoint and meterd as the separate programs they are, and the search in this one.
func demo(ctx context.Context, out string, stdout, stderr io.Writer) (err error) {
	runtime.LockOSThread() // the children's Pdeathsig is about the thread that started them
	defer runtime.UnlockOSThread()
	dir, err := os.MkdirTemp("", "agentwatt-demo-")
	if err != nil {
		return fmt.Errorf("make a directory for the demo: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find own program file: %w", err)
	}
	meterd, err := findMeterd(self)
	if err != nil {
		return err
	}
	var children children
	defer children.stop()
	engine, err := children.start(ctx, regexp.MustCompile(`http://\S+?/v1`), self, "simulate", "--listen", "127.0.0.1:0", "--preset", "demo")
	if err != nil {
		return err
	}
	config := filepath.Join(dir, "meterd.yaml")
	settings := fmt.Sprintf(demoMeterd, filepath.Join(dir, "bus"), strings.TrimSuffix(engine, "/v1")+"/power")
	if err := os.WriteFile(config, []byte(settings), 0o600); err != nil {
		return fmt.Errorf("configure the demo's meterd: %w", err)
	}
	bus, err := children.start(ctx, regexp.MustCompile(`nats://[^\s"]+`), meterd, "run", "-c", config)
	if err != nil {
		return err
	}
	c, err := demoConfig(dir, engine, bus)
	if err != nil {
		return err
	}
	fmt.Fprintf(stderr, "SIMULATED endpoint %s, SIMULATED power on %s\n", engine, bus)
	return runSearch(ctx, c, out, stdout, stderr)
}

// demoMeterd is meterd's configuration: a bus of its own on a free port, and nothing but the simulated accelerators.
const demoMeterd = `bus:
  listen: 127.0.0.1:0
  dir: %s
sources:
  nvml: {enabled: false}
  rapl: {enabled: false}
  hwmon: {enabled: false}
  simulated: {enabled: true, interval: 20ms, url: %s}
`

// demoConfig writes dataset and tiers and returns the experiment.
func demoConfig(dir, engine, bus string) (config, error) {
	c := defaults()
	c.Endpoint, c.Model, c.Power.Bus, c.Power.Idle = engine, "simulated/demo", bus, 3*time.Second
	c.Output.Mode, c.ToolTime.Mode = string(endpoint.Exact), "recorded"
	c.Dataset, c.Tiers, c.Profile = filepath.Join(dir, "demo.jsonl"), filepath.Join(dir, "tiers.yaml"), filepath.Join(dir, "profile.yaml")
	c.System = systemConfig{Name: "simulated engine", Accelerator: "simulated accelerator", Accelerators: 2, Systems: 1, Submitter: "demo"}
	d := trajectory.Synth(trajectory.SynthOptions{Seed: c.Seed, Profile: trajectory.Demo})
	if err := trajectory.Create(c.Dataset, d, false); err != nil {
		return c, err
	}
	for path, text := range map[string]string{c.Tiers: demoTiers, c.Profile: demoProfile} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return c, fmt.Errorf("write the demo's rules: %w", err)
		}
	}
	return c, nil
}

// findMeterd looks beside this program, then in PATH.
func findMeterd(self string) (string, error) {
	beside := filepath.Join(filepath.Dir(self), "meterd")
	if _, err := os.Stat(beside); err == nil {
		return beside, nil
	}
	path, err := exec.LookPath("meterd")
	return path, fault.Hint(err, "build it beside runner: make build")
}

// children are the programs that the demo started.
type children struct {
	list []*exec.Cmd
	wg   sync.WaitGroup
}

// startLimit is how long a child may take until it says where it listens.
const startLimit = 20 * time.Second

// start runs a program until the demo ends and returns the first match of its output with ready.
func (c *children) start(ctx context.Context, ready *regexp.Regexp, program string, args ...string) (string, error) {
	name := filepath.Base(program) + " " + args[0]
	cmd := exec.Command(program, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM} // Ctrl-C is for the search to handle first
	r, w, err := os.Pipe()
	if err != nil {
		return "", fmt.Errorf("start %s: %w", name, err)
	}
	cmd.Stdout, cmd.Stderr = w, w
	err = cmd.Start()
	w.Close()
	if err != nil {
		return "", errors.Join(fmt.Errorf("start %s: %w", name, err), r.Close())
	}
	c.list = append(c.list, cmd)
	found := make(chan string, 1)
	said := make(chan string, 1)
	c.wg.Go(func() { listen(r, ready, found, said) })
	select {
	case s := <-found:
		return s, nil
	case lines := <-said:
		return "", fmt.Errorf("start %s: it ended: %s", name, lines)
	case <-time.After(startLimit):
		return "", fmt.Errorf("start %s: it did not say where it listens within %v", name, startLimit)
	case <-ctx.Done():
		return "", fmt.Errorf("start %s: %w", name, context.Cause(ctx))
	}
}

// listen reads a child's output to its end, so that the child never blocks on it.
func listen(r io.ReadCloser, ready *regexp.Regexp, found, said chan<- string) {
	defer r.Close()
	var lines []string
	in := bufio.NewScanner(r)
	for in.Scan() {
		if m := ready.FindString(in.Text()); m != "" {
			select {
			case found <- m:
			default:
			}
		}
		if len(lines) < 20 {
			lines = append(lines, in.Text())
		}
	}
	said <- strings.Join(lines, "\n")
}

// stop ends the children, last first, and waits for them.
func (c *children) stop() {
	for i := len(c.list) - 1; i >= 0; i-- {
		cmd := c.list[i]
		_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended
		kill := time.AfterFunc(5*time.Second, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
		kill.Stop()
	}
	c.wg.Wait()
}
