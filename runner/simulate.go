package main

import (
	"fmt"
	"net"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"agentwatt/runner/internal/simulate"
	"agentwatt/shared/fault"
)

// hintContext is the context length, in tokens, for which the banner gives capacities.
const hintContext = 8192

// simulateFlags are the flags of runner simulate.
type simulateFlags struct {
	listen      string
	allowRemote bool
	preset      string
	params      string
	set         []string
	keyFile     string
	print       bool
	faults      simulate.Faults
}

// simulateCommand serves a simulated language model.
func simulateCommand() *cobra.Command {
	var f simulateFlags
	c := &cobra.Command{
		Use:   "simulate",
		Short: "Serve a simulated language model with known capacity and power",
		Long: `Serve a simulated language model behind the OpenAI chat completions API, with an energy counter per simulated
accelerator at /power. Its capacity and power are known, so it is what the tests compare with; it says nothing
about hardware, and every response says that it is simulated.`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error { return runSimulate(c, f) },
	}
	fs := c.Flags()
	fs.StringVar(&f.listen, "listen", "127.0.0.1:8000", "`address` to serve on")
	fs.BoolVar(&f.allowRemote, "allow-remote", false, "allow an address that other machines can reach")
	fs.StringVar(&f.preset, "preset", "demo", "parameters to start from: "+strings.Join(simulate.Presets(), ", "))
	fs.StringVar(&f.params, "params", "", "YAML `file` with parameters that replace the preset's")
	fs.StringArrayVar(&f.set, "set", nil, "`key=value` of one parameter, over --preset and --params; may be repeated")
	fs.StringVar(&f.keyFile, "key-file", "", "`file` with the API key to ask for")
	fs.BoolVar(&f.print, "print-params", false, "print the parameters as YAML and exit")
	fs.BoolVar(&f.faults.Unauthorized, "fault-unauthorized", false, "misbehave: answer every API request with 401")
	fs.BoolVar(&f.faults.NoStream, "fault-no-stream", false, "misbehave: ignore streaming")
	fs.BoolVar(&f.faults.NoUsage, "fault-no-usage", false, "misbehave: never report usage")
	fs.IntVar(&f.faults.BreakAfter, "fault-break-after", 0, "misbehave: send an error in every stream after this many `tokens`")
	return c
}

func runSimulate(c *cobra.Command, f simulateFlags) error {
	p, err := f.engine()
	if err != nil {
		return fault.Misuse(err)
	}
	if f.print {
		text, err := p.AppendYAML(nil)
		if err != nil {
			return fmt.Errorf("printing the parameters: %w", err)
		}
		_, err = c.OutOrStdout().Write(text)
		return err
	}
	if err := checkListen(f.listen, f.allowRemote); err != nil {
		return err
	}
	key, err := readKey(f.keyFile)
	if err != nil {
		return fault.Misuse(err)
	}
	o := simulate.Options{Model: simulate.ModelName(f.preset), Key: key, Faults: f.faults}
	ln, err := simulate.Listen(c.Context(), f.listen)
	if err != nil {
		return fmt.Errorf("listening on %s: %w", f.listen, err)
	}
	server, err := simulate.New(p, o)
	if err != nil {
		ln.Close()
		return fault.Misuse(err)
	}
	fmt.Fprintln(c.OutOrStdout(), simulateBanner(p, o.Model, ln.Addr().String()))
	return server.Serve(c.Context(), ln)
}

// engine puts the parameters together: the preset, the file over it, the single values over both.
func (f simulateFlags) engine() (simulate.Params, error) {
	p, err := simulate.Preset(f.preset)
	if err != nil {
		return p, err
	}
	if f.params != "" {
		data, err := os.ReadFile(f.params)
		if err != nil {
			return p, fmt.Errorf("reading the parameters: %w", err)
		}
		if p, err = simulate.ParseParams(data, f.params, p); err != nil {
			return p, fmt.Errorf("reading the parameters: %w", err)
		}
	}
	for _, set := range f.set {
		key, value, ok := strings.Cut(set, "=")
		if !ok {
			return p, fmt.Errorf("--set %s: want key=value", set)
		}
		if p, err = simulate.ParseParams([]byte(key+": "+value+"\n"), "--set "+set, p); err != nil {
			return p, err
		}
	}
	if err := p.Validate(); err != nil {
		return p, fmt.Errorf("checking the engine's parameters: %w", err)
	}
	return p, nil
}

// checkListen refuses addresses beyond this machine unless they are wanted: the server has no limits against abuse.
func checkListen(address string, allowRemote bool) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fault.Misuse(fmt.Errorf("--listen %s: %w", address, err))
	}
	if ip := net.ParseIP(host); allowRemote || host == "localhost" || ip != nil && ip.IsLoopback() {
		return nil
	}
	return fault.Hint(fault.Misuse(fmt.Errorf("--listen %s: other machines could reach it", address)),
		"add --allow-remote if that is wanted")
}

// readKey reads the API key from a file; no file, no key.
func readKey(file string) (string, error) {
	if file == "" {
		return "", nil
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("reading the API key: %w", err)
	}
	key := strings.TrimSpace(string(data))
	if key == "" {
		return "", fmt.Errorf("reading the API key: %s is empty", file)
	}
	return key, nil
}

// simulateBanner says in one line what is served and what it can do.
func simulateBanner(p simulate.Params, model, address string) string {
	var hints []string
	for _, speed := range []float64{20, 60, 180} {
		hints = append(hints, fmt.Sprintf("%d at %.0f tok/s", simulate.DecodeCapacity(p, speed, hintContext), speed))
	}
	return fmt.Sprintf("SIMULATED %s on http://%s/v1, power on http://%s/power; sequences of %d tokens that it decodes at once: %s; idle %v",
		model, address, address, hintContext, strings.Join(hints, ", "), simulate.PowerAt(p, 0, 0))
}
