package endpoint

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"agentwatt/runner/internal/bench"
	"agentwatt/shared/clock"
)

// The comparison with other clients runs each of them as a process of its own beside one server, docs/peers/sse_emit.c. Server
// and client have a processor each. All print the same account.
//
//	go test -run xxx -bench Peers -benchtime 5x ./runner/internal/endpoint        (needs cc, taskset)
//	AGENTWATT_PYTHON=python3 ... measures docs/peers/sse_client.py as well

const peerEnv = "AGENTWATT_PEER" // makes this binary a client: "engine URL STREAMS TOKENS", or "nethttp ..."

// account is what every client prints.
type account struct {
	Events int     `json:"events"`
	User   float64 `json:"user"`
	Sys    float64 `json:"sys"`
	P50    float64 `json:"p50_us"`
	P99    float64 `json:"p99_us"`
	P999   float64 `json:"p999_us"`
	Max    float64 `json:"max_us"`
	Merged int     `json:"merged"`
	Failed int     `json:"failed"`
	RSS    int     `json:"rss_kb"`
	Idle   int     `json:"rss_before_kb,omitempty"` // before the first stream
}

// perEvent returns the CPU time of an event in us.
func (a account) perEvent() float64 { return (a.User + a.Sys) * 1e6 / float64(a.Events) }

// offs gathers the errors of stamps, in ns.
type offs struct {
	clock *clock.Clock
	mu    sync.Mutex
	all   []int64
}

// note compares a stamp with the one that the server put into the token.
func (o *offs) note(at clock.Stamp, token []byte) {
	sent, err := strconv.ParseInt(string(token), 10, 64)
	if err != nil {
		return
	}
	d := int64(at.Sub(o.clock.FromWall(clock.Stamp(sent))))
	o.mu.Lock()
	o.all = append(o.all, max(d, -d))
	o.mu.Unlock()
}

// print fills in and prints the account of this process.
func (o *offs) print(a account) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	a.User, a.Sys, a.RSS = time.Duration(u.Utime.Nano()).Seconds(), time.Duration(u.Stime.Nano()).Seconds(), int(u.Maxrss)
	slices.Sort(o.all)
	at := func(q float64) float64 {
		if len(o.all) == 0 {
			return 0
		}
		return float64(o.all[int(q*float64(len(o.all)-1))]) / 1e3
	}
	a.P50, a.P99, a.P999, a.Max = at(0.5), at(0.99), at(0.999), at(1)
	if err := json.NewEncoder(os.Stdout).Encode(a); err != nil {
		os.Exit(1)
	}
}

// peer is this binary as a client.
func peer(args string) {
	var kind, url string
	var streams, tokens int
	if _, err := fmt.Sscan(args, &kind, &url, &streams, &tokens); err != nil {
		fmt.Fprintln(os.Stderr, peerEnv, args, err)
		os.Exit(2)
	}
	if os.Getenv("AGENTWATT_GARBAGE") != "" {
		go litter()
	}
	switch kind {
	case "engine":
		peerEngine(url, streams, tokens)
	case "nethttp":
		peerNetHTTP(url, streams, tokens)
	case "records":
		peerRecords(url, streams)
	}
}

// litter marshals half a megabyte again and again: the garbage collector has work, and so has the processor.
func litter() {
	parts := make([]string, 500)
	for i := range parts {
		parts[i] = strings.Repeat("x", 1000)
	}
	for {
		if _, err := json.Marshal(parts); err != nil {
			panic(err)
		}
	}
}

func peerEngine(url string, streams, tokens int) {
	o := offs{clock: clock.New()}
	c, err := New(Options{URL: url, Model: "scripted-model", Cap: tokens, Clock: o.clock, Seen: o.note})
	if err != nil {
		panic(err)
	}
	e, err := c.Engine(1)
	if err != nil {
		panic(err)
	}
	a := account{Idle: resident()}
	var events, merged, failed atomic.Int64
	var wg sync.WaitGroup
	wg.Add(streams)
	due := c.opt.Clock.Now().Add(time.Second / 2)
	for range streams {
		e.Caller().Send(due, talk(1, 100), 0, func(r bench.Reply) {
			events.Add(int64(r.Chunks))
			merged.Add(int64(r.MergedReads))
			if r.Failure != "" || r.Chunks != tokens {
				failed.Add(1)
				fmt.Fprintln(os.Stderr, r.Failure, r.Detail)
			}
			wg.Done()
		})
	}
	wg.Wait()
	a.Events, a.Merged, a.Failed = int(events.Load()), int(merged.Load()), int(failed.Load())
	o.print(a)
}

// resident returns the process's memory in KB. It does not call runtime.GC, which waits by yielding: with real-time priority on one
// processor for ever.
func resident() int {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	var size, pages int
	fmt.Sscan(string(text), &size, &pages)
	return pages * os.Getpagesize() / 1024
}

// peerNetHTTP is the straightforward client: net/http, bufio.Scanner, encoding/json of every event, time.Now.
func peerNetHTTP(url string, streams, tokens int) {
	o := offs{clock: clock.New()}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: streams, DisableCompression: true}}
	a := account{Idle: resident()}
	var events, failed atomic.Int64
	var wg sync.WaitGroup
	for range streams {
		wg.Go(func() {
			body := fmt.Sprintf(`{"model":"scripted-model","stream":true,"stream_options":{"include_usage":true},"max_tokens":%d,"messages":[{"role":"user","content":"hello"}]}`, tokens)
			resp, err := client.Post(url+"/chat/completions", "application/json", strings.NewReader(body))
			if err != nil {
				failed.Add(1)
				return
			}
			defer resp.Body.Close()
			n := 0
			for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
				if text, ok := plainEvent(lines.Bytes()); ok {
					o.note(o.clock.Now(), []byte(text))
					n++
				}
			}
			if events.Add(int64(n)); n != tokens {
				failed.Add(1)
			}
		})
	}
	wg.Wait()
	a.Events, a.Failed = int(events.Load()), int(failed.Load())
	o.print(a)
}

// plainEvent decodes a line of a stream, and returns its text if it has any.
func plainEvent(line []byte) (string, bool) {
	data, ok := bytes.CutPrefix(line, []byte("data: "))
	if !ok || string(data) == "[DONE]" {
		return "", false
	}
	var chunk struct {
		ID      string `json:"id"`
		Object  string `json:"object"`
		Created int64  `json:"created"`
		Model   string `json:"model"`
		Choices []struct {
			Index int `json:"index"`
			Delta struct {
				Role      string `json:"role"`
				Content   string `json:"content"`
				Reasoning string `json:"reasoning_content"`
			} `json:"delta"`
			Finish string `json:"finish_reason"`
		} `json:"choices"`
		Usage *struct {
			Prompt int `json:"prompt_tokens"`
			Output int `json:"completion_tokens"`
		} `json:"usage"`
	}
	if json.Unmarshal(data, &chunk) != nil || len(chunk.Choices) == 0 {
		return "", false
	}
	return chunk.Choices[0].Delta.Content, chunk.Choices[0].Delta.Content != ""
}

// rig is a comparison: a server, and clients that take turns.
type rig struct {
	b    *testing.B
	dir  string
	url  string
	pins [2][]string // commands that put a process on the server's, and the clients', processor
}

func newRig(b *testing.B, rate int) *rig {
	b.Helper()
	r := &rig{b: b, dir: b.TempDir()}
	for _, program := range []string{"sse_emit", "sse_floor"} {
		out, err := exec.Command("cc", "-O2", "-o", filepath.Join(r.dir, program), filepath.Join("..", "..", "..", "docs", "peers", program+".c")).CombinedOutput()
		if err != nil {
			b.Skipf("SKIPPED: %s cannot be built: %v\n%s", program, err, out)
		}
	}
	for cpu := range r.pins {
		r.pins[cpu] = pin(cpu)
	}
	r.url = firstLine(b, r.command(0, filepath.Join(r.dir, "sse_emit"), strconv.Itoa(rate)))
	return r
}

// pin returns what puts a process on a processor of its own, and ahead of other work where that is permitted.
func pin(cpu int) (prefix []string) {
	for _, try := range [][]string{{"taskset", "-c", strconv.Itoa(cpu)}, {"chrt", "-f", "10"}} {
		if exec.Command(try[0], append(slices.Clone(try[1:]), "true")...).Run() == nil {
			prefix = append(prefix, try...)
		}
	}
	return prefix
}

func (r *rig) command(cpu int, args ...string) *exec.Cmd {
	all := slices.Concat(r.pins[cpu], args)
	cmd := exec.Command(all[0], all[1:]...)
	cmd.Stderr = os.Stderr
	return cmd
}

// client runs one client and returns its account.
func (r *rig) client(name string, streams, tokens int, env ...string) account {
	r.b.Helper()
	s, k := strconv.Itoa(streams), strconv.Itoa(tokens)
	var cmd *exec.Cmd
	switch name {
	case "epoll", "tick", "uring":
		host := strings.TrimSuffix(strings.TrimPrefix(r.url, "http://"), "/v1")
		cmd = r.command(1, filepath.Join(r.dir, "sse_floor"), name, host, s, k)
	case "aiohttp":
		cmd = r.command(1, os.Getenv("AGENTWATT_PYTHON"), filepath.Join("..", "..", "..", "docs", "peers", "sse_client.py"), r.url, s, k)
	default:
		cmd = r.command(1, os.Args[0])
		env = append(env, peerEnv+"="+strings.Join([]string{name, r.url, s, k}, " "), "GOMAXPROCS=1")
	}
	cmd.Env = append(os.Environ(), env...)
	kill := time.AfterFunc(time.Minute, func() { cmd.Process.Kill() })
	defer kill.Stop()
	out, err := cmd.Output()
	var a account
	if err == nil {
		err = json.Unmarshal(out, &a)
	}
	if err != nil || a.Failed > 0 || a.Events != streams*tokens {
		r.b.Fatalf("%s, %d streams: %v: %s", name, streams, err, out)
	}
	return a
}

// clients lists those that can run here, the reference first.
func clients() []string {
	names := []string{"uring", "tick", "epoll", "engine", "nethttp"}
	if os.Getenv("AGENTWATT_PYTHON") != "" {
		names = append(names, "aiohttp")
	}
	return names
}

// median returns the middle and the worst of values.
func median(values []float64) (middle, worst float64) {
	slices.SortFunc(values, cmp.Compare[float64])
	return values[len(values)/2], values[len(values)-1]
}

// BenchmarkPeers compares CPU time per event and the error of the stamps, streams of 60 tokens per second for 4 s.
func BenchmarkPeers(b *testing.B) {
	const tokens = 240
	for _, streams := range []int{200, 1000} {
		b.Run(strconv.Itoa(streams), func(b *testing.B) {
			r := newRig(b, 60)
			cost, p99, p999 := map[string][]float64{}, map[string][]float64{}, map[string][]float64{}
			for b.Loop() {
				for _, name := range clients() {
					if name == "aiohttp" && streams > 300 {
						continue // it cannot
					}
					a := r.client(name, streams, tokens)
					cost[name] = append(cost[name], a.perEvent())
					p99[name] = append(p99[name], a.P99)
					p999[name] = append(p999[name], a.P999)
				}
			}
			b.ReportMetric(0, "ns/op")
			for name := range cost {
				middle, worst := median(cost[name])
				b.ReportMetric(middle, name+"-us/event")
				b.ReportMetric(worst, name+"-worst-us/event")
				middle, _ = median(p99[name])
				b.ReportMetric(middle, name+"-p99-us")
				middle, _ = median(p999[name])
				b.ReportMetric(middle, name+"-p999-us")
			}
		})
	}
}
