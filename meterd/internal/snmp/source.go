package snmp

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync/atomic"

	"agentwatt/meterd/internal/sampler"
	"agentwatt/shared/clock"
	"agentwatt/shared/power"
)

// Source reads one PDU.
type Source struct {
	options  Options
	profiles []*Profile // the user's

	client  *client
	layout  layout
	meters  atomic.Pointer[[]power.Meter] // replaced as a whole when the device turns out to be another one
	absent  atomic.Pointer[[]string]
	points  []*point // of the meters, then those for checks only
	plan    plan
	answers []answer               // of the last poll, to use its memory again
	refused map[string]clock.Stamp // OIDs left out until then

	retry  retry
	fresh  bool        // the next answer is the first one
	uptime int64       // of the last answer, in hundredths of a second
	upAt   clock.Stamp // when that was
	again  clock.Stamp // when to search a device that started again; 0: not
	other  bool        // another device answers: its values are not those of the meters

	search search
	checks checks
	notes  []power.Note
	closed bool
}

// Open asks the PDU what it is and what it offers. Errors wrap sampler.ErrUnavailable, with a hint, where the PDU does not
// answer, is not known, or measures no power.
func Open(ctx context.Context, o Options) (*Source, error) {
	o, err := o.settled()
	if err != nil {
		return nil, fmt.Errorf("set up the PDU %q: %w", o.Name, err)
	}
	profiles, err := LoadProfiles(o.Profiles)
	if err != nil {
		return nil, err
	}
	l, c, err := explore(ctx, o, profiles)
	if err != nil {
		return nil, fmt.Errorf("PDU %s: %w", o.Name, err)
	}
	s := &Source{options: o, profiles: profiles, client: c, fresh: true, refused: map[string]clock.Stamp{}}
	s.adopt(l)
	return s, nil
}

// explore connects to the device and finds out all about it.
func explore(ctx context.Context, o Options, profiles []*Profile) (layout, *client, error) {
	ctx, stop := context.WithTimeout(ctx, discoveryTime)
	defer stop()
	c, err := connect(ctx, o)
	if err != nil {
		return layout{}, nil, unavailable(err)
	}
	l, err := c.explore(ctx, o, profiles)
	if err != nil {
		return layout{}, nil, errors.Join(err, c.close())
	}
	return l, c, nil
}

// explore tries the profiles that fit until one finds power or energy.
func (c *client) explore(ctx context.Context, o Options, profiles []*Profile) (layout, error) {
	id, fits, err := c.identify(ctx, profiles, Builtin())
	if err != nil {
		return layout{}, err
	}
	var nothing error
	for _, m := range fits {
		id, err := c.describe(ctx, id, m)
		if err != nil {
			return layout{}, unavailable(fmt.Errorf("identify the PDU: %w", err))
		}
		l, err := c.discover(ctx, id, m, o)
		if err != nil {
			return layout{}, unavailable(err)
		}
		if len(l.rows) > 0 {
			return l, nil
		}
		if nothing == nil {
			nothing = l.nothing(c.address)
		}
	}
	return layout{}, nothing
}

// nothing is the error for a PDU that is known and measures neither power nor energy.
func (l *layout) nothing(address string) error {
	why := "no row in any table of power or energy"
	if len(l.absent) > 0 {
		why = l.absent[0]
	}
	return fmt.Errorf("the PDU at %s (%s, profile %s) measures no power: %s: %w", address, l.identity.model, l.profile.Name, why,
		sampler.ErrUnavailable)
}

// adopt makes a layout the one that is read.
func (s *Source) adopt(l layout) {
	meters := l.meters(s.options.Name)
	if old := s.meters.Load(); old == nil || !slices.Equal(*old, meters) {
		s.meters.Store(&meters)
	}
	s.absent.Store(&l.absent)
	s.layout, s.other = l, false
	s.points = s.points[:0]
	for i := range l.rows {
		r := &s.layout.rows[i]
		for _, p := range []*point{r.power, r.energy} {
			if p != nil {
				s.points = append(s.points, p)
			}
		}
	}
	for i := range l.rows {
		if r := &s.layout.rows[i]; r.whole && r.apparent != nil {
			s.points = append(s.points, r.apparent)
		}
	}
	s.plan = arrange(s.points, l.identity.serialOID, s.options.MaxOIDs, s.refused)
	s.checks = newChecks(&s.layout, s.options.Name)
	s.noteIdentity()
}

// Meters lists one meter per value of power and energy.
func (s *Source) Meters() []power.Meter { return *s.meters.Load() }

// Absent says what the PDU has no value for, and why, one line each.
func (s *Source) Absent() []string { return *s.absent.Load() }

// Read asks the PDU once. A PDU that does not answer is asked again less and less often; in between, Read says lost
// without asking.
func (s *Source) Read(ctx context.Context, dst []power.Sample) ([]power.Sample, error) {
	if s.closed {
		return dst, fmt.Errorf("read the PDU %s: %w", s.options.Name, os.ErrClosed)
	}
	if err := ctx.Err(); err != nil {
		return dst, err
	}
	s.collect()
	if s.retry.waits(s.options.Now()) {
		return s.mark(dst, power.Lost, s.options.Now()), nil
	}
	limited, stop := context.WithTimeout(ctx, s.options.Timeout)
	defer stop()
	before := s.options.Now()
	var answers []answer
	err := s.reconnect(limited)
	if err == nil {
		answers, err = s.poll(limited)
	}
	switch {
	case ctx.Err() != nil && err != nil:
		return dst, ctx.Err()
	case err != nil && len(answers) < 2: // not even the first request was answered
		return s.unanswered(dst, before), nil
	}
	for len(answers) < len(s.plan.parts) { // the answers stopped half way
		answers = append(answers, answers[len(answers)-1])
	}
	s.answers = answers
	return s.take(dst, answers), nil
}

// reconnect opens a new socket for a PDU that was lost: its address may be another one, and version 3 must begin anew.
func (s *Source) reconnect(ctx context.Context) error {
	if !s.retry.lost() {
		return nil
	}
	c, err := connect(ctx, s.options)
	if err != nil {
		return err
	}
	_ = s.client.close() // nothing was written, so nothing can be lost by it
	s.client = c
	return nil
}

// unanswered gives the samples of a poll without any answer.
func (s *Source) unanswered(dst []power.Sample, before clock.Stamp) []power.Sample {
	now := s.options.Now()
	was := s.retry.lost()
	s.retry.silent(now)
	s.checks.gap()
	if !s.retry.lost() {
		return s.mark(dst, power.Failed, before)
	}
	if !was {
		s.note(now, "", "event", "lost")
	}
	return s.mark(dst, power.Lost, before)
}

// mark appends a sample without a value for every meter.
func (s *Source) mark(dst []power.Sample, status power.Status, before clock.Stamp) []power.Sample {
	t, within := sampler.Stamp(before, s.options.Now())
	for i := range s.Meters() {
		dst = append(dst, power.Sample{Meter: i, Time: t, Within: within, Status: status})
	}
	return dst
}

// take makes the samples out of the answers, and looks at what the answers say besides.
func (s *Source) take(dst []power.Sample, answers []answer) []power.Sample {
	if s.retry.lost() {
		s.note(answers[0].time, "", "event", "back")
	}
	s.retry.answered()
	s.watch(answers)
	defer s.adapt(answers) // the plan is that of the answers until they are taken
	if s.other {
		return s.mark(dst, power.Lost, answers[0].time.Add(-answers[0].within))
	}
	from := len(dst)
	for i := range s.Meters() {
		dst = append(dst, s.points[i].sample(i, s.plan.slots[i], answers))
	}
	s.check(dst[from:], answers)
	return dst
}

// Close ends what goes on in the background and releases the socket.
func (s *Source) Close() error {
	if s.closed {
		return nil
	}
	s.closed = true
	s.search.stop()
	return s.client.close()
}
