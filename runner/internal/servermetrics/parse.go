// Package servermetrics reads what an inference server tells about itself in Prometheus' text format, once a second beside a
// run, and brings the names of vLLM, SGLang, TensorRT-LLM, llama.cpp and Dynamo to common quantities.
//
//	Scraper.Read → Keep: the server's own lines of the names that are known → run directory → Parse → bench.ServerSample
//
// What is kept is the lines as they came; what they mean is worked out from the run directory, again and again.
package servermetrics

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"agentwatt/runner/internal/bench"
)

// maxKept bounds the lines kept of one read: a few names by a few hundred engines.
const maxKept = 1 << 20

// errUnknown says that a page of metrics has none of the names that are known.
var errUnknown = errors.New("no metrics of a known server among them")

// Keep returns the lines of an exposition whose names are known, as they are. Its size is bounded.
func Keep(body []byte) []byte {
	var out []byte
	for line := range bytes.Lines(body) {
		if known[nameOf(line)] && len(out)+len(line) <= maxKept {
			out = append(out, line...)
		}
	}
	if n := len(out); n > 0 && out[n-1] != '\n' {
		out = append(out, '\n')
	}
	return out
}

// nameOf returns the name that a line is about: of a sample, or of a declaration of its type. Comments have none.
func nameOf(line []byte) string {
	line = bytes.TrimLeft(line, " \t")
	if rest, ok := bytes.CutPrefix(line, []byte("# TYPE ")); ok {
		line = rest
	} else if bytes.HasPrefix(line, []byte("#")) {
		return ""
	}
	if i := bytes.IndexAny(line, "{ \t\r\n"); i >= 0 {
		line = line[:i]
	}
	return string(line)
}

// Parse brings an exposition to common quantities. It returns an error where it is none, or has no name that is known.
func Parse(text []byte) (s bench.ServerSample, err error) {
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(Keep(text)))
	if err != nil {
		return s, fmt.Errorf("parse metrics: %w", err)
	}
	s.Values = map[bench.ServerQuantity]float64{}
	for _, server := range servers {
		for _, f := range server.families {
			v, ok := f.value(families[f.name])
			if _, told := s.Values[f.quantity]; told || !ok {
				continue
			}
			s.Values[f.quantity] = v
			if s.Server == "" {
				s.Server = server.name
			}
		}
	}
	if len(s.Values) == 0 {
		return s, fmt.Errorf("parse metrics: %w", errUnknown)
	}
	running(s.Values)
	simulated, ok := family{kind: sum}.value(families[simulatedName])
	s.Simulated = ok && simulated > 0
	return s, nil
}

// running takes the waiting requests off those in flight, for servers that tell only these two.
func running(v map[bench.ServerQuantity]float64) {
	all, ok := v[bench.ServerInFlight]
	if _, told := v[bench.ServerRunning]; ok && !told {
		v[bench.ServerRunning] = max(0, all-v[bench.ServerWaiting])
	}
}

// value puts the series of a family together. ok is false where there is none with a value that makes sense.
func (f family) value(m *dto.MetricFamily) (v float64, ok bool) {
	engines := map[string]float64{}
	for _, series := range m.GetMetric() {
		x := valueOf(series)
		if math.IsNaN(x) || math.IsInf(x, 0) || x < 0 {
			continue
		}
		name := engine(series)
		engines[name] = max(engines[name], x)
	}
	for _, name := range slices.Sorted(maps.Keys(engines)) { // in order: a sum of floats depends on it
		v += engines[name]
	}
	if f.kind != sum && len(engines) > 0 {
		v /= float64(len(engines))
	}
	if f.kind == share {
		v = min(v, 1)
	}
	return v, len(engines) > 0 && !math.IsInf(v, 0)
}

func valueOf(m *dto.Metric) float64 {
	switch {
	case m.Gauge != nil:
		return m.GetGauge().GetValue()
	case m.Counter != nil:
		return m.GetCounter().GetValue()
	case m.Untyped != nil:
		return m.GetUntyped().GetValue()
	}
	return math.NaN()
}

// engine names the engine that a series is about: its labels, less the ranks within an engine.
func engine(m *dto.Metric) string {
	var labels []string
	for _, l := range m.GetLabel() {
		if !ranks[l.GetName()] {
			labels = append(labels, l.GetName()+"="+l.GetValue())
		}
	}
	slices.Sort(labels)
	return strings.Join(labels, "\x00")
}
