package clock

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

const (
	lookEvery = time.Second
	stepLimit = 5 * time.Millisecond
)

// Segments is a process's clock and its watch over the wall clock and the kernel's opinion of it. Now never steps, whatever
// happens to the wall clock: sources stamp with it, and whoever publishes moves the stamps onto the clock of the segment that
// he publishes in. So a stamp belongs to a segment by the batch that it is in, and none is torn or lost at a change.
//
// The exported fields are set before Watch and not changed after. Segments is safe for concurrent use.
type Segments struct {
	Changed func(Segment)                 // is told of each new segment, by the goroutine that looks; nil: nobody
	Limit   time.Duration                 // the wall clock has stepped when it is further off than this; 0: 5 ms
	Wall    func(time.Time) Stamp         // the wall clock at a reading of time.Now; nil: that reading's
	State   func(*Clock) (State, error)   // nil: Kernel
	Asleep  func() (time.Duration, error) // how long the machine was suspended since it was booted; nil: the kernel's word

	process string
	clock   *Clock
	current atomic.Pointer[Segment]
	trouble atomic.Pointer[error]

	mu                  sync.Mutex // one look at a time
	number              int
	known, synchronised bool           // what the kernel last said, if it said anything
	asleep              *time.Duration // by the last look; nil: not known
}

// NewSegments anchors a clock to the wall clock and begins the first segment, whose run id is that of the process: any text
// without a dot.
func NewSegments(process string) *Segments {
	s := &Segments{process: process, clock: New(), number: 1}
	s.current.Store(&Segment{Run: segmentRun(process, 1), Why: Started, Begin: s.clock.Now()})
	return s
}

// Now returns the present stamp on the process's clock. It does not allocate.
func (s *Segments) Now() Stamp { return s.clock.Now() }

// Current returns the segment under way. It is another pointer when, and only when, a new one has begun.
func (s *Segments) Current() *Segment { return s.current.Load() }

// Count returns how many segments there have been.
func (s *Segments) Count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.number
}

// Kernel returns the kernel's clock state with stamps of the process's clock: see Segment.State. Where the kernel does not
// tell it (Trouble) the state is the zero State, but for the epoch, which needs no permission.
func (s *Segments) Kernel() State {
	read := s.State
	if read == nil {
		read = Kernel
	}
	k, err := read(s.clock)
	if err == nil {
		s.trouble.Store(nil)
		return k
	}
	kept := err // so that err need not live on the heap when there is none
	s.trouble.Store(&kept)
	k = State{}
	k.Epoch, _ = s.clock.Epoch()
	return k
}

// Trouble returns why the kernel's state could not be read the last time; nil: it could.
func (s *Segments) Trouble() error {
	if err := s.trouble.Load(); err != nil {
		return *err
	}
	return nil
}

// Watch looks at once and then once a second until ctx ends.
func (s *Segments) Watch(ctx context.Context) {
	for s.Look(); Sleep(ctx, lookEvery); s.Look() {
	}
}

// Look compares the clock with the wall clock, and the kernel's state with that of the last look, and begins a new segment
// if the one has stepped or the other changed.
func (s *Segments) Look() {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.current.Load()
	next := Segment{shift: old.shift}
	next.Step, next.Asleep = s.step(old)
	changed := s.synchronisation(&next)
	switch {
	case next.Asleep != 0:
		next.Why = Slept
	case next.Step != 0:
		next.Why = Stepped
	case !changed:
		return
	case next.Synchronised:
		next.Why = Regained
	default:
		next.Why = Lost
	}
	next.shift += Stamp(next.Step.Round(time.Microsecond))
	s.begin(next)
}

// Renew begins a new segment on the same anchor, for whoever has to number his batches anew.
func (s *Segments) Renew() Segment {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.begin(Segment{Why: Renewed, Synchronised: s.synchronised, Known: s.known, shift: s.current.Load().shift})
}

func (s *Segments) begin(next Segment) Segment {
	s.number++
	next.Run = segmentRun(s.process, s.number)
	next.Begin = next.Stamp(s.clock.Now())
	s.current.Store(&next)
	if s.Changed != nil {
		s.Changed(next)
	}
	return next
}

// synchronisation enters the kernel's state into a segment and reports whether it changed since it was last known.
func (s *Segments) synchronisation(next *Segment) (changed bool) {
	k := s.Kernel()
	if k.Read == 0 {
		return false
	}
	next.Known, next.Synchronised = true, k.Synchronised
	changed = s.known && s.synchronised != k.Synchronised
	s.known, s.synchronised = true, k.Synchronised
	return changed
}

// step returns how far the wall clock is ahead of the segment's, if that is more than the limit and the doubt about the
// reading, and how long the machine was suspended since the last look, if it was. Slewing is not seen here, and need not be:
// the kernel slews the monotonic clock with the wall clock.
func (s *Segments) step(old *Segment) (step, asleep time.Duration) {
	limit := s.Limit
	if limit == 0 {
		limit = stepLimit
	}
	wall := s.Wall
	if wall == nil {
		wall = At
	}
	ahead, width := s.clock.compare(wall)
	step = -time.Duration(ahead + old.shift)
	if max(step, -step) <= limit+width+s.clock.err {
		step = 0
	}
	read := s.Asleep
	if read == nil {
		read = asleepNow
	}
	total, err := read()
	if err != nil {
		return step, 0
	}
	if s.asleep != nil && step != 0 && total-*s.asleep > limit { // the wall clock goes on while the machine sleeps
		asleep = total - *s.asleep
	}
	s.asleep = &total
	return step, asleep
}
