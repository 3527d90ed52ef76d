package report

import (
	"fmt"
	"strings"

	"agentwatt/runner/internal/bench"
)

// serverView is the server's account of one phase's window.
type serverView struct {
	Index, Agents                                                   int
	Reads                                                           string
	Running, Waiting, KV, HitRate, Preemptions, Acceptance, Out, In string
}

// serverViews lists the phases in whose windows the server was read.
func serverViews(r bench.Result) (list []serverView) {
	for _, p := range r.Phases {
		if p.Server == nil {
			continue
		}
		v := p.Server.Values
		text := func(key string, write func(float64) string) string {
			if x, ok := v[key]; ok {
				return write(x)
			}
			return "-"
		}
		both := func(key string, write, most func(float64) string) string {
			return text(key+"_mean", write) + ", " + text(key+"_max", most)
		}
		s := serverView{Index: p.Index, Agents: p.Agents, Reads: count(p.Server.Reads),
			Running: both(string(bench.ServerRunning), bare, decimal), Waiting: both(string(bench.ServerWaiting), bare, decimal), KV: both(string(bench.ServerKV), percent, percent),
			HitRate: text(string(bench.ServerHitRate), percent), Preemptions: text(string(bench.ServerPreemptions), decimal),
			Acceptance: text(string(bench.ServerAcceptance), percent),
			Out:        text(bench.ServerGenerationRate, bare), In: text(bench.ServerPromptRate, bare)}
		if x, ok := v[string(bench.ServerAcceptLen)]; ok {
			s.Acceptance += ", " + bare(x) + " tokens per step"
		}
		list = append(list, s)
	}
	return list
}

// serverWords says in one line how the server was watched.
func serverWords(m *bench.ServerMetrics) string {
	switch {
	case m == nil:
		return "server metrics: none (not read)"
	case m.None != "":
		return "server metrics: none (" + m.None + ")"
	case m.Reads == 0:
		return "server metrics: none (" + orElse(m.Failure, "nothing was read") + ")"
	}
	return fmt.Sprintf("server metrics: %s names at %s, read %s, %s failed", strings.Join(m.Servers, ", "), m.URL, plural(m.Reads, "time"), plural(m.Failed, "read"))
}
