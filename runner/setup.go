package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"agentwatt/runner/internal/agent"
	"agentwatt/runner/internal/bench"
	"agentwatt/runner/internal/endpoint"
	"agentwatt/runner/internal/trajectory"
	"agentwatt/shared/bus"
	"agentwatt/shared/clock"
	"agentwatt/shared/fault"
)

// load is the load side of an experiment, ready to play.
type load struct {
	dataset *trajectory.Dataset
	client  *endpoint.Client
	probe   endpoint.Probe
	asked   endpoint.Mode // output mode asked for; the client's is the one in force
	notes   []string      // what was changed on the way, for the result
}

// openLoad reads the dataset, connects to the endpoint and finds out whether it can be measured.
func openLoad(ctx context.Context, c config, clk *clock.Clock) (*load, error) {
	data, err := trajectory.Open(c.Dataset)
	if err != nil {
		return nil, fault.Misuse(err)
	}
	l := &load{dataset: data, asked: endpoint.Mode(c.Output.Mode)}
	opt, err := endpointOptions(c, clk)
	if err != nil {
		return nil, err
	}
	if err := c.Fixed.diagnose(data, &opt); err != nil {
		return nil, err
	}
	if l.client, err = endpoint.New(opt); err != nil {
		return nil, err
	}
	if l.probe, err = l.client.Probe(ctx); err != nil {
		return nil, err
	}
	if opt.Output == endpoint.Exact && l.probe.IgnoreEOS == endpoint.Ignored {
		l.note("the endpoint does not honour ignore_eos: output mode %s instead of %s", endpoint.Recorded, endpoint.Exact)
		opt.Output = endpoint.Recorded
		if l.client, err = endpoint.New(opt); err != nil {
			return nil, err
		}
	}
	if l.probe.Closes {
		l.note("the endpoint closes connections that it says it keeps: every request gets a new one, made before it is due")
		opt.Fresh = true
		if l.client, err = endpoint.New(opt); err != nil {
			return nil, err
		}
	}
	return l, l.fit(c.DropLong)
}

func (l *load) note(format string, args ...any) {
	l.notes = append(l.notes, fmt.Sprintf(format, args...))
}

func endpointOptions(c config, clk *clock.Clock) (endpoint.Options, error) {
	key, err := c.key()
	if err != nil {
		return endpoint.Options{}, err
	}
	sampling, err := c.sampling()
	if err != nil {
		return endpoint.Options{}, err
	}
	return endpoint.Options{
		URL: c.Endpoint, Key: key, Model: c.Model, Output: endpoint.Mode(c.Output.Mode), Cap: c.Output.Cap, Fixed: c.Output.Fixed,
		Sampling: sampling, Headers: c.Headers, SessionHeader: c.SessionHeader, Timeouts: endpoint.Timeouts(c.Timeouts),
		Clock: clk,
	}, nil
}

// fit compares the dataset with the context that the endpoint admits to. Turns without a recorded prompt length are
// estimated at estimatedBytesPerToken.
func (l *load) fit(drop bool) error {
	var kept []*trajectory.Trajectory
	var first error
	for _, t := range l.dataset.Trajectories {
		err := l.probe.Fits(l.longest(t))
		if err == nil {
			kept = append(kept, t)
		} else if first == nil {
			first = fmt.Errorf("trajectory %s of %s: %w", t.ID, l.dataset.Name, err)
		}
	}
	left := len(l.dataset.Trajectories) - len(kept)
	switch {
	case left == 0:
		return nil
	case !drop || len(kept) == 0:
		return fault.Hint(fmt.Errorf("%d of %d trajectories do not fit the endpoint, first: %w", left, len(l.dataset.Trajectories), first),
			"serve the model with a longer context, lower output.cap, or leave such trajectories out with --drop-long")
	}
	l.note("%d of %d trajectories left out: longer than the model's context of %d tokens", left, len(l.dataset.Trajectories), l.probe.Context)
	l.dataset.Trajectories = kept
	return nil
}

// estimatedBytesPerToken is what code and tool output come to with today's tokenizers, on the short side.
const estimatedBytesPerToken = 4

// longest returns the largest request of a trajectory, prompt and permitted answer, in tokens.
func (l *load) longest(t *trajectory.Trajectory) (most int) {
	for _, turn := range t.Turns {
		prompt := turn.Prompt
		if prompt == 0 {
			prompt = (turn.End + len(turn.Tools)) / estimatedBytesPerToken
		}
		most = max(most, prompt+l.client.Cap(turn))
	}
	return most
}

// plan returns what the agents will play.
func (l *load) plan(c config, id string, p bench.Profile) agent.Plan {
	return agent.Plan{
		Trajectories: l.dataset.Trajectories, Seed: c.Seed, Run: id, StartTurns: p.StartTurns,
		SaltAfter: c.Salt == "after", Tools: c.ToolTime.toolTime(),
	}
}

// rules reads the tiers and the profile of an experiment.
func rules(c config) (tiers []bench.Tier, sum string, p bench.Profile, err error) {
	if tiers, sum, err = loadTiers(c.Tiers); err != nil {
		return nil, "", p, fault.Misuse(err)
	}
	if p, err = loadProfile(c.Profile); err != nil {
		return nil, "", p, fault.Misuse(err)
	}
	if c.MaxAgents > 0 {
		p.MaxAgents = c.MaxAgents
	}
	tiers, p = c.Fixed.rules(tiers, p)
	return tiers, sum, p, nil
}

// loadTiers takes a preset's name, or the path of a file.
func loadTiers(name string) ([]bench.Tier, string, error) {
	if !strings.ContainsAny(name, "./\\") {
		return bench.Preset(name)
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, "", fmt.Errorf("read tiers: %w", err)
	}
	tiers, err := bench.ParseTiers(data, name)
	sum := sha256.Sum256(data)
	return tiers, hex.EncodeToString(sum[:]), err
}

// loadProfile takes a preset's name, or the path of a file with one profile.
func loadProfile(name string) (bench.Profile, error) {
	if !strings.ContainsAny(name, "./\\") {
		return bench.ProfileNamed(name)
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return bench.Profile{}, fmt.Errorf("read profile: %w", err)
	}
	list, err := bench.ParseProfiles(data, name)
	if err == nil && len(list) != 1 {
		err = fmt.Errorf("%s: %d profiles, want one", name, len(list))
	}
	if err != nil {
		return bench.Profile{}, err
	}
	return list[0], nil
}

// defaultBus is where meterd listens unless told otherwise.
const defaultBus = "nats://127.0.0.1:4222"

// openBus connects to meterd's bus. A nil Conn means that the run goes without power, and why.
func openBus(ctx context.Context, url string, as bus.Credentials) (conn *bus.Conn, why string, err error) {
	if url == "none" {
		return nil, "power was switched off (power.bus: none)", nil
	}
	conn, err = bus.Dial(ctx, busURL(url), as)
	if err != nil && url == "auto" {
		return nil, "no meterd answers at " + defaultBus, nil
	}
	return conn, "", fault.Hint(err, "start meterd, or search without power: --bus none")
}

// busURL resolves "auto".
func busURL(url string) string {
	if url == "auto" {
		return defaultBus
	}
	return url
}

// runID returns a new run's id: 16 random hex digits.
func runID() string {
	var b [8]byte
	if _, err := io.ReadFull(rand.Reader, b[:]); err != nil {
		panic(err) // the kernel's random source cannot fail
	}
	return hex.EncodeToString(b[:])
}

// ownDigest returns the SHA-256 of the running program.
func ownDigest() (string, error) {
	path, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find own program file: %w", err)
	}
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("read own program file: %w", err)
	}
	h := sha256.New()
	_, err = io.Copy(h, f)
	return hex.EncodeToString(h.Sum(nil)), errors.Join(err, f.Close())
}
