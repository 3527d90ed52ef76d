package status

import (
	"time"

	"agentwatt/meterd/internal/sampler"
	"agentwatt/shared/bus"
	"agentwatt/shared/clock"
)

// Report is a picture of meterd at one time. What is not there is nil or zero.
type Report struct {
	Host, Version string
	Started       time.Time
	Sources       []Source
	Meters        []MeterValue
	Store         *bus.Stats // nil: not embedded, or it does not answer
	StoreError    string     // why it does not answer
	Direct        *bool      // publishing to a cluster: whether it can be reached
	Cursors       []Lag
	Clock         clock.State
	Segment       clock.Segment
	Segments      int // since the start
	Sink          *Sink

	Alive error // what does not move any more; nil: all does
	Ready bool  // the first readings are stored
}

// Source is a sampler. Gone: its source is, for good.
type Source struct {
	Name  string
	Gone  bool
	Stats sampler.Stats
}

// Lag is how far a reader of the store is behind.
type Lag struct {
	Name     string
	Messages uint64
}

// Sink is how forwarding to InfluxDB goes.
type Sink struct {
	Points, Requests, Retries, Rejected, Lost uint64
	LastSuccess                               time.Time
	Failing                                   bool
}

// Reasons says why meterd is not ready to be relied on; none: it is.
func (r Report) Reasons() (list []string) {
	if r.Alive != nil {
		list = append(list, r.Alive.Error())
	}
	if !r.Ready {
		list = append(list, "no readings are stored yet")
	}
	if r.StoreError != "" {
		list = append(list, "the store does not answer: "+r.StoreError)
	}
	if r.Store != nil && r.Store.Down != "" {
		list = append(list, "the store takes nothing in: "+r.Store.Down)
	}
	if r.Direct != nil && !*r.Direct {
		list = append(list, "the cluster is away")
	}
	for _, s := range r.Sources {
		if s.Gone {
			list = append(list, "source "+s.Name+" is gone")
		}
	}
	return list
}
