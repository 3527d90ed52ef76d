package clock

import (
	"strconv"
	"strings"
	"time"
)

// Cause says why a segment began.
type Cause string

// The causes of a segment.
const (
	Started  Cause = "start"                       // the process began
	Stepped  Cause = "clock step"                  // somebody set the wall clock: a time daemon, a person, a leap second
	Slept    Cause = "suspend"                     // the machine was suspended: the monotonic clock stood still meanwhile
	Lost     Cause = "synchronisation lost"        // the kernel says that no time daemon disciplines the clock any more
	Regained Cause = "synchronisation established" // and that one does, again or for the first time
	Renewed  Cause = "reload"                      // nothing happened to the clock: the process began anew what it does
)

// Segment is a stretch of a process's life with one anchor to the wall clock and one state of synchronisation. Stamps of
// one segment never step against each other; those of two segments are compared by their epochs (State.Epoch). A Segment is
// not changed once made.
type Segment struct {
	Run          string        // run id of the batches of this segment: the process's own, then with ".2", ".3", ... behind it
	Why          Cause         //
	Begin        Stamp         // when it was noticed, on the segment's own clock
	Step         time.Duration // how far the wall clock was found ahead of the segment before; 0: it had not stepped
	Asleep       time.Duration // how much of that the machine was suspended for
	Synchronised bool          // when it began, a time daemon disciplined the clock
	Known        bool          // that the kernel said so or the contrary; of the first segment it is not asked

	shift Stamp // what the segment's clock is ahead of the process's; whole microseconds, as stamps of samples are
}

// Stamp moves a stamp of the process's clock (Segments.Now) onto the segment's. The zero Stamp stays zero.
func (s *Segment) Stamp(t Stamp) Stamp {
	if t == 0 {
		return 0
	}
	return t + s.shift
}

// State moves a state of the process's clock (Segments.Kernel) onto the segment's.
func (s *Segment) State(k State) State {
	k.Read, k.Epoch = s.Stamp(k.Read), s.Stamp(k.Epoch)
	return k
}

// Moved reports whether the segment's clock differs from the process's, so that stamps have to be moved.
func (s *Segment) Moved() bool { return s.shift != 0 }

// Fact is what a segment has to say in a note.
type Fact struct{ Key, Value string }

// Facts returns what is worth a note when the segment begins.
func (s *Segment) Facts() (list []Fact) {
	seconds := func(key string, d time.Duration) {
		if d != 0 {
			list = append(list, Fact{key, strconv.FormatFloat(d.Seconds(), 'f', -1, 64)})
		}
	}
	seconds("clock_step_seconds", s.Step)
	seconds("suspended_seconds", s.Asleep)
	if s.Known {
		list = append(list, Fact{"clock_synchronised", strconv.FormatBool(s.Synchronised)})
	}
	return list
}

// separator stands between the run id of a process and the number of its segment. Process ids do not contain it.
const separator = "."

// segmentRun returns the run id of segment n of a process, from 1.
func segmentRun(process string, n int) string {
	if n == 1 {
		return process
	}
	return process + separator + strconv.Itoa(n)
}

// Process returns the run id of the process that a segment's run id belongs to.
func Process(run string) string {
	process, _, _ := strings.Cut(run, separator)
	return process
}
