package endpoint

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	. "agentwatt/runner/internal/endpoint/endpointtest"
	"agentwatt/runner/internal/trajectory"
	"agentwatt/shared/clock"
)

// The benchmarks compare CPU time (user and system) of this process alone: the server is a process of its own, and the
// clients take turns within one run, so that other load on the machine hits them alike.
//
//	go test -run xxx -bench 'Streams|Turns' -benchtime 5x ./runner/internal/endpoint
//	AGENTWATT_PYTHON=python3 ... measures docs/peers/sse_client.py as well

const (
	benchStreams = 200
	benchChunks  = 150
	benchGap     = time.Second / 60
	serveEnv     = "AGENTWATT_ENDPOINTTEST" // makes this binary the server of the benchmarks
)

func TestMain(m *testing.M) {
	if what := os.Getenv(serveEnv); what != "" {
		serveBenchmark(what)
		return
	}
	os.Exit(m.Run())
}

// serveBenchmark serves until standard input ends: "streams" at 60 tokens per second, or "turns" answered at once.
func serveBenchmark(what string) {
	answer := func(r *Request) []Step {
		spread := benchGap * time.Duration(r.Ordinal%benchStreams) / benchStreams // so that streams do not tick together
		return Stream(benchChunks, 1, benchGap+spread, benchGap)
	}
	if what == "turns" {
		answer = always(Together(Stream(1, 1, 0, 0)...))
	}
	s, err := Serve(Script{Forget: true, Answer: answer})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(s.URL)
	io.Copy(io.Discard, os.Stdin)
	s.Close()
}

// startServer runs serveBenchmark in a process of its own and returns its URL.
func startServer(b *testing.B, what string) string {
	b.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), serveEnv+"="+what)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { in.Close(); cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	return line[:len(line)-1]
}

// cpu returns the CPU time that this process has used.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// contender is one client in a comparison: run does the work and returns how many units it did, and in what CPU time if
// not in this process's.
type contender struct {
	name string
	run  func() (units int, used time.Duration)
}

// compare lets the contenders take turns, b.N rounds, and reports the median and the worst CPU time per unit of each.
func compare(b *testing.B, unit string, contenders []contender) {
	b.Helper()
	cost := make([][]float64, len(contenders))
	for b.Loop() {
		for i, c := range contenders {
			before := cpu(b)
			units, used := c.run()
			if used == 0 {
				used = cpu(b) - before
			}
			cost[i] = append(cost[i], used.Seconds()*1e6/float64(units))
		}
	}
	b.ReportMetric(0, "ns/op") // wall time says nothing here
	for i, c := range contenders {
		slices.Sort(cost[i])
		b.ReportMetric(cost[i][len(cost[i])/2], c.name+"-us/"+unit)
		b.ReportMetric(cost[i][len(cost[i])-1], c.name+"-worst-us/"+unit)
	}
}

// BenchmarkStreams measures CPU per streamed event with 200 streams of 60 tokens per second.
func BenchmarkStreams(b *testing.B) {
	url := startServer(b, "streams")
	c, err := New(Options{URL: url, Model: "scripted-model", Clock: clock.New()})
	if err != nil {
		b.Fatal(err)
	}
	contenders := []contender{
		{"ours", func() (events int, _ time.Duration) {
			for _, r := range fleet(b, c, benchStreams) {
				if r.Failure != "" {
					b.Fatal(r.Failure, r.Detail)
				}
				events += r.Events
			}
			return events, 0
		}},
		{"net/http", func() (int, time.Duration) { return plainFleet(b, url), 0 }},
	}
	if python := os.Getenv("AGENTWATT_PYTHON"); python != "" {
		contenders = append(contenders, contender{"python", func() (int, time.Duration) { return pythonFleet(b, python, url) }})
	}
	compare(b, "event", contenders)
}

// plainFleet is the straightforward client: net/http, bufio.Scanner, encoding/json of every event.
func plainFleet(b *testing.B, url string) int {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: benchStreams, DisableCompression: true}}
	defer client.CloseIdleConnections()
	events := make([]int, benchStreams)
	var wg sync.WaitGroup
	for i := range benchStreams {
		wg.Go(func() {
			body := `{"model":"scripted-model","stream":true,"stream_options":{"include_usage":true},"max_tokens":16384,"messages":[{"role":"user","content":"hello"}]}`
			resp, err := client.Post(url+"/chat/completions", "application/json", bytes.NewReader([]byte(body)))
			if err != nil {
				b.Error(err)
				return
			}
			defer resp.Body.Close()
			var times []time.Time
			for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
				data, ok := bytes.CutPrefix(lines.Bytes(), []byte("data: "))
				if !ok || string(data) == "[DONE]" {
					continue
				}
				var chunk struct {
					ID      string `json:"id"`
					Model   string `json:"model"`
					Choices []struct {
						Delta struct {
							Content   string `json:"content"`
							Reasoning string `json:"reasoning_content"`
						} `json:"delta"`
						Finish string `json:"finish_reason"`
					} `json:"choices"`
					Usage *struct {
						Output int `json:"completion_tokens"`
					} `json:"usage"`
				}
				if err := json.Unmarshal(data, &chunk); err != nil {
					b.Error(err)
					return
				}
				events[i]++
				if len(chunk.Choices) > 0 && chunk.Choices[0].Delta.Content != "" {
					times = append(times, time.Now())
				}
			}
		})
	}
	wg.Wait()
	sum := 0
	for _, n := range events {
		sum += n
	}
	return sum
}

func pythonFleet(b *testing.B, python, url string) (int, time.Duration) {
	script := filepath.Join("..", "..", "..", "docs", "peers", "sse_client.py")
	out, err := exec.Command(python, script, url, strconv.Itoa(benchStreams)).Output()
	if err != nil {
		b.Fatalf("%s %s: %v", python, script, err)
	}
	var r struct {
		CPU    float64 `json:"cpu_seconds"`
		Events int     `json:"events"`
		Ended  int     `json:"ended"`
	}
	if err := json.Unmarshal(out, &r); err != nil || r.Ended != benchStreams {
		b.Fatalf("%s: %s (%v)", script, out, err)
	}
	return r.Events, time.Duration(r.CPU * float64(time.Second))
}

// BenchmarkTurns measures CPU per turn with a history of 500 KB: a request, and an answer of one event in one write. The
// floor writes the same bytes ready made on a connection and reads the answer's bytes.
func BenchmarkTurns(b *testing.B) {
	const turns = 100
	url := startServer(b, "turns")
	play := talk(50, 10<<10)
	last := len(play.Turns) - 1
	c, err := New(Options{URL: url, Model: "scripted-model", Clock: clock.New()})
	if err != nil {
		b.Fatal(err)
	}
	l := c.Lane()
	defer l.Close()
	ready, _ := c.chat(nil, play, last, false, DefaultCap)
	conn, err := net.Dial("tcp", c.addr)
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	answer := len(Together(Stream(1, 1, 0, 0)...).Bytes)
	marshal := marshaller(b, url, play, last)
	compare(b, "turn", []contender{
		{"ours", func() (int, time.Duration) {
			for range turns {
				if r := l.Send(context.Background(), play, last); r.Failure != "" {
					b.Fatal(r.Failure, r.Detail)
				}
			}
			return turns, 0
		}},
		{"floor", func() (int, time.Duration) {
			buf := make([]byte, answer)
			for range turns {
				bufs := net.Buffers(slices.Clone(ready.bufs))
				if _, err := bufs.WriteTo(conn); err != nil {
					b.Fatal(err)
				}
				if _, err := io.ReadFull(conn, buf); err != nil {
					b.Fatal(err)
				}
			}
			return turns, 0
		}},
		{"marshal+net/http", func() (int, time.Duration) {
			for range turns {
				marshal()
			}
			return turns, 0
		}},
	})
}

type message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

func history(b *testing.B, play trajectory.Play, turn int) (messages []message) {
	pieces := play.Pieces(turn)
	if err := json.Unmarshal([]byte("["+string(bytes.Join(pieces[:], nil))+"]"), &messages); err != nil {
		b.Fatal(err)
	}
	return messages
}

// marshaller returns the usual way: marshal the whole history, post it, drain the answer.
func marshaller(b *testing.B, url string, play trajectory.Play, turn int) func() {
	messages := history(b, play, turn)
	client := new(http.Client)
	b.Cleanup(client.CloseIdleConnections)
	return func() {
		body, err := json.Marshal(map[string]any{"model": "scripted-model", "stream": true, "max_tokens": DefaultCap, "messages": messages})
		if err != nil {
			b.Fatal(err)
		}
		resp, err := client.Post(url+"/chat/completions", "application/json", bytes.NewReader(body))
		if err != nil {
			b.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
}

// BenchmarkBuild measures the building of a request alone. 512 KB of history is a context of about 128K tokens.
func BenchmarkBuild(b *testing.B) {
	c, err := New(Options{URL: "http://h/v1", Model: "scripted-model", Clock: clock.New()})
	if err != nil {
		b.Fatal(err)
	}
	for _, kb := range []int{8, 64, 512} {
		play := talk(kb/8, 8<<10)
		last := len(play.Turns) - 1
		b.Run(fmt.Sprintf("ours/%dKB", kb), func(b *testing.B) {
			b.ReportAllocs()
			var lead []byte
			for b.Loop() {
				_, lead = c.chat(lead, play, last, false, DefaultCap)
			}
		})
		b.Run(fmt.Sprintf("marshal/%dKB", kb), func(b *testing.B) {
			b.ReportAllocs()
			messages := history(b, play, last)
			for b.Loop() {
				if _, err := json.Marshal(map[string]any{"model": "scripted-model", "stream": true, "messages": messages}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkParse measures what follows a stream: 500 events.
func BenchmarkParse(b *testing.B) {
	const n = 500
	c, err := New(Options{URL: "http://h/v1", Model: "m", Clock: clock.New()})
	if err != nil {
		b.Fatal(err)
	}
	got := new(capture)
	for i, s := range Stream(n, 1, 0, 0) {
		room, err := got.room()
		if err != nil {
			b.Fatal(err)
		}
		if _, err := got.add(copy(room, s.Bytes), receipt{at: clock.Stamp(i + 1)}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		r := newReply()
		if c.answer(&r, got, nil); r.Failure != "" || r.Chunks != n {
			b.Fatal(r.Failure, r.Detail)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/event")
}
