package characterise

import (
	"math"
	"math/rand/v2"
	"time"

	"agentwatt/shared/clock"
	"agentwatt/shared/power"
)

// epoch is where recordings begin.
const epoch = clock.Stamp(1_780_000_000_000_000_000)

const (
	tick   = 1e-3 // of the simulated truth, in seconds
	before = 3.0  // of the recording before the first mark
)

// rig is a device with a known power, a sensor of known properties and a reference. Energy is the integral of power; the
// sensor sees nothing but that.
type rig struct {
	cycles         int
	busy, idle     float64 // shortest phase in seconds; the longest is twice that
	low, high      float64 // watts
	rise           float64 // time constant of the load's own rise, seconds
	wobble         float64 // relative swings of the busy power that both meters see
	period, jitter float64 // of the sensor's refresh
	window, delay  float64 // delay from the middle of the window
	gain, offset   float64
	noise          float64 // watts, of each value
	quantum        int64   // of the sensor in mW
	poll           float64
	counter        bool

	refStep     float64 // between values of the reference, each the mean over that long
	refAccuracy float64 // relative, k = 2: its true error is drawn from it
	refAhead    float64 // of its clock
}

// world is the recorded truth: energy in joules at each tick, from -before s on.
type world struct{ sum []float64 }

func (w world) to(t float64) float64 {
	x := (t + before) / tick
	i := min(max(int(x), 0), len(w.sum)-2)
	return w.sum[i] + (w.sum[i+1]-w.sum[i])*(x-float64(i))
}

// record lets a rig run.
func (g rig) record(seed uint64) (Trace, Reference, []Mark) {
	r := rand.New(rand.NewPCG(seed, 7))
	var marks []Mark
	var edges []float64
	at := 0.0
	for range g.cycles {
		for _, busy := range []bool{true, false} {
			marks = append(marks, Mark{epoch.Add(seconds(at)), busy})
			edges = append(edges, at)
			length := g.idle
			if busy {
				length = g.busy
			}
			at += length * (1 + r.Float64())
		}
	}
	w := g.truth(r, edges, at)
	return g.sense(r, w, at), g.refer(r, w, at), marks
}

// truth integrates the power: exponential rises and falls, and slow swings while busy.
func (g rig) truth(r *rand.Rand, edges []float64, end float64) world {
	var w world
	p, swing, sum := g.low, 0.0, 0.0
	next, busy := 0, false
	for t := -before; t < end+1; t += tick {
		w.sum = append(w.sum, sum)
		for next < len(edges) && t >= edges[next] {
			busy, next = !busy, next+1
		}
		goal := g.low
		swing += -swing*tick/0.3 + g.wobble*r.NormFloat64()*math.Sqrt(2*tick/0.3)
		if busy {
			goal = g.high * (1 + swing)
		}
		p += (goal - p) * (1 - math.Exp(-tick/max(g.rise, 1e-9)))
		sum += p * tick
	}
	return w
}

// sense reads the sensor at irregular times.
func (g rig) sense(r *rand.Rand, w world, end float64) Trace {
	m := power.Meter{ID: "sim/0", Device: "sim-0", Scope: power.Accelerator, Quantity: power.Instant, Scale: power.Scale{Num: 1000, Den: 1}, Accuracy: -1}
	if g.counter {
		m.Quantity = power.Counter
	}
	tr := Trace{Meter: m}
	refresh := -before + 0.5 + r.Float64()*g.period
	var raw int64
	read := refresh + g.period
	for read < end-0.1 {
		for refresh <= read {
			middle := refresh - g.delay
			if g.counter {
				raw = int64(math.Round((g.gain*w.to(middle) + g.offset*(middle+before)) * 1000))
			} else {
				v := g.gain*(w.to(middle+g.window/2)-w.to(middle-g.window/2))/g.window + g.offset + g.noise*r.NormFloat64()
				raw = int64(math.Round(v*1000/float64(g.quantum))) * g.quantum
			}
			refresh += g.period + g.jitter*r.NormFloat64()
		}
		tr.Samples = append(tr.Samples, power.Sample{Time: epoch.Add(seconds(read).Round(time.Microsecond)), Raw: raw})
		read += g.poll * (0.8 + 0.4*r.Float64())
	}
	return tr
}

// refer reads the reference: means over each of its steps, stamped in their middle.
func (g rig) refer(r *rand.Rand, w world, end float64) Reference {
	ref := Reference{Name: "analyser", Accuracy: g.refAccuracy}
	wrong := 1 + g.refAccuracy/2*r.NormFloat64()
	for t := -before + 0.1; t+g.refStep < end; t += g.refStep {
		watts := (w.to(t+g.refStep) - w.to(t)) / g.refStep * wrong
		ref.points = append(ref.points, reading{epoch.Add(seconds(t + g.refStep/2 + g.refAhead)), watts})
	}
	return ref
}
