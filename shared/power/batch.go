package power

import (
	"time"

	"agentwatt/shared/clock"
)

// Status says whether a sample has a value.
type Status uint8

// The statuses of a sample. Only OK carries a value; the others are absent with a reason, never 0.
const (
	OK          Status = iota // Raw is a reading
	Failed                    // the read returned an error
	Unsupported               // the device does not offer this value
	Lost                      // the device is gone (fell off the bus, driver unloaded)
	Denied                    // not permitted
)

// Sample is one raw reading.
type Sample struct {
	Meter  int           // index into the batch's Meters
	Time   clock.Stamp   // middle of the read; whole microseconds
	Within time.Duration // the reading happened within ± this of Time: half the read's duration; whole microseconds
	Device clock.Stamp   // the device's own time of the value; zero if it gives none; whole microseconds
	Raw    int64         // count as the hardware gave it; see Meter.Scale
	Status Status        // OK, or why Raw is absent
}

// Batch is what one source on one host read in a short time: the unit of publishing and of loss accounting.
type Batch struct {
	Host    string      // host name
	Boot    string      // kernel boot id: two processes with the same boot share one clock
	Run     string      // one run of meterd; a new one is a restart
	Source  string      // e.g. "nvml"
	Seq     uint64      // from 1, without a gap within (Host, Run, Source); a gap is a lost batch
	Missed  uint64      // ticks that were due but not served since the run began, cumulative
	Clock   clock.State // the host's kernel clock when the batch was closed
	Meters  []Meter     //
	Samples []Sample    // grouped by meter after decoding, each group in reading order
	Notes   []Note      // what else the source has to say, in order of time
	Losses  []Loss      // batches, of this source or of others, that are known to be lost
}

// Loss names batches of one run of one source that were produced and are not, or not any more, in the stream. It travels in
// a later batch, so that what is missing is on record and not only a hole.
type Loss struct {
	Run, Source string
	First       uint64 // Seq of the first lost batch
	Last        uint64 // Seq of the last lost batch; 0: all from First on, and how many there were is not known
	Reason      string // one of the constants below, or the words of whoever knows better
}

// Reasons of a Loss.
const (
	LostQueue   = "queue-full"  // the bus was away or too slow for longer than the sampler's memory lasts
	LostRefused = "refused"     // the bus would never take the batch
	LostStop    = "not-stopped" // the run ended without storing what it had: killed, or power lost
	LostSize    = "max-bytes"   // discarded, the oldest first, because the store is only so large
	LostAge     = "max-age"     // discarded because it was older than is kept
)

// Note is a fact beside the samples that helps to judge them: a power limit or clock in force, an event, what was measured
// of a sensor. It never carries power or energy: those are samples.
type Note struct {
	Time   clock.Stamp // when it was read, or when it happened
	Device string      // the Device or the ID of the meters that it is about; empty: the whole source
	Key    string      // what it is, in lower case with its unit at the end, e.g. "power_limit_watts", "throttle_reasons"
	Value  string      // for machines and people: a number without unit, or a word
}
