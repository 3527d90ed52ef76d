package endpoint

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"agentwatt/runner/internal/bench"
	. "agentwatt/runner/internal/endpoint/endpointtest"
	"agentwatt/shared/clock"
)

// The benchmarks compare CPU time (user and system) of this process alone: the server is a process of its own, and the
// clients take turns within one run, so that other load on the machine hits them alike.
//
//	go test -run xxx -bench 'Streams|Turns' -benchtime 5x ./runner/internal/endpoint

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
	if args := os.Getenv(peerEnv); args != "" {
		peer(args)
		return
	}
	os.Exit(m.Run())
}

// serveBenchmark serves until standard input ends: "streams" at 60 tokens per second, "turns" answered at once, or "slow" at
// one token per second.
func serveBenchmark(what string) {
	answer := func(r *Request) []Step {
		spread := benchGap * time.Duration(r.Ordinal%benchStreams) / benchStreams // so that streams do not tick together
		return Stream(benchChunks, 1, benchGap+spread, benchGap)
	}
	switch what {
	case "turns":
		answer = always(Together(Stream(1, 1, 0, 0)...))
	case "slow":
		answer = always(Stream(60, 1, time.Second, time.Second)...)
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
	return firstLine(b, cmd)
}

// firstLine starts a program that ends with its standard input, at the end of the benchmark, and returns its first line.
func firstLine(b *testing.B, cmd *exec.Cmd) string {
	b.Helper()
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
	return strings.TrimSpace(line)
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
	e := engine(b, c)
	contenders := []contender{
		{"ours", func() (int, time.Duration) { return eventsOf(b, engineFleet(b, e, benchStreams)), 0 }},
		{"goroutines", func() (int, time.Duration) { return eventsOf(b, fleet(b, c, benchStreams)), 0 }},
	}
	compare(b, "event", contenders)
}

func eventsOf(b *testing.B, replies []bench.Reply) (events int) {
	for _, r := range replies {
		if r.Failure != "" {
			b.Fatal(r.Failure, r.Detail)
		}
		events += r.Events
	}
	return events
}
