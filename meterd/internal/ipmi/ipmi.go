package ipmi

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"agentwatt/meterd/internal/sampler"
	"agentwatt/shared/power"
)

// Source reads one BMC. It implements sampler.Source and sampler.Noter.
type Source struct {
	o      Options
	link   link // nil while the BMC is lost
	retry  retry
	id     identity
	device string // the node
	meters []power.Meter
	ports  []port // of the meter with the same index
	absent []string
	first  int // the port to begin with: the one after that which the last Read had no answer from
	notes  []power.Note
	proven string // GUID that the BMC proved when the first session was made
	state  string // DCMI state that was last noted
	closed bool
}

// discoverWithin bounds Open: a BMC with hundreds of sensor records, in band, takes some ten seconds.
const discoverWithin = time.Minute

// Open connects to the BMC and finds out what it measures. Errors wrap sampler.ErrUnavailable with the reason, and
// ErrRefused where the user or password is wrong: then do not try again soon, as BMCs lock accounts.
func Open(ctx context.Context, o Options) (*Source, error) {
	o, err := o.complete()
	if err != nil {
		return nil, fmt.Errorf("options for a BMC: %w", err)
	}
	s := &Source{o: o}
	ctx, cancel := context.WithTimeout(ctx, discoverWithin)
	defer cancel()
	if err := s.connect(ctx, ctx); err != nil {
		err = fmt.Errorf("open the BMC at %s: %w: %w", o.target(), err, sampler.ErrUnavailable)
		return nil, hint(err, o)
	}
	if err := s.discover(ctx); err != nil {
		err = fmt.Errorf("find the power meters of the BMC at %s: %w: %w", o.target(), err, sampler.ErrUnavailable)
		return nil, errors.Join(hint(err, o), s.Close())
	}
	return s, nil
}

// errNone is a BMC that answers and measures no power.
var errNone = errors.New("it offers none")

// discover identifies the BMC and plans the meters.
func (s *Source) discover(ctx context.Context) (err error) {
	if s.id, err = identify(ctx, s.ask); err != nil {
		return err
	}
	s.device = s.o.Name
	for _, name := range []string{s.id.guid, s.link.guid(), slug(s.o.Address), "node"} {
		if s.device == "" {
			s.device = name
		}
	}
	refused, err := s.probe(ctx)
	if err != nil {
		return err
	}
	if refused != nil {
		s.absent = append(s.absent, fmt.Sprintf("DCMI power reading: %v", refused))
	}
	var found []sensor
	if !s.o.OnlyDCMI {
		var absent []string
		found, absent, err = sensors(ctx, s.ask)
		if s.absent = append(s.absent, absent...); err != nil {
			s.absent = append(s.absent, fmt.Sprintf("sensors: %v", err))
		}
	}
	var fromSupplies bool
	s.meters, s.ports, fromSupplies = plan(s.device, s.id, refused == nil, found)
	if len(s.meters) == 0 {
		others := append(s.absent[1:], "no sensor is in watts")
		return fmt.Errorf("%w: for DCMI %w; %s", errNone, refused, strings.Join(others, "; "))
	}
	s.describe(fromSupplies)
	return nil
}

// probe reads the DCMI power once. It is a meter unless the BMC refuses it; the capabilities are noted, and not believed.
// An error means that the BMC did not answer.
func (s *Source) probe(ctx context.Context) (refused, err error) {
	if f, err := s.ask(ctx, askCapabilities(1)); err == nil {
		if version, power, err := parseCapabilities(f); err == nil {
			s.note("dcmi_version", version)
			s.note("dcmi_power_management", strconv.FormatBool(power))
		}
	}
	if f, err := s.ask(ctx, askCapabilities(5)); err == nil {
		if periods, err := parsePeriods(f); err == nil && periods != "" {
			s.note("dcmi_average_periods_seconds", periods)
		}
	}
	f, err := s.ask(ctx, askPower)
	if err != nil {
		return nil, err
	}
	stats, err := parsePower(f)
	if status(err) == power.Unsupported || status(err) == power.Denied {
		return err, nil
	}
	if err == nil {
		s.note("dcmi_average_period_seconds", strconv.FormatInt(int64(stats.period/time.Second), 10))
	}
	return nil, nil
}

// Meters lists the DCMI power reading and the sensors in watts, as they were when the source was opened.
func (s *Source) Meters() []power.Meter { return s.meters }

// Absent lists what this BMC does not offer, each with its reason.
func (s *Source) Absent() []string { return s.absent }

// Read appends one sample per meter, within Timeout. It does not fail as a whole: a BMC that does not answer says so in
// its samples, and is connected to again with growing pauses.
func (s *Source) Read(ctx context.Context, dst []power.Sample) ([]power.Sample, error) {
	if s.closed {
		return dst, fmt.Errorf("read a BMC: %w", os.ErrClosed)
	}
	if err := ctx.Err(); err != nil {
		return dst, err
	}
	bounded, cancel := context.WithTimeout(ctx, s.o.Timeout)
	defer cancel()
	begin, before := len(dst), s.o.Now()
	s.connect(ctx, bounded) // its error is in the samples' status
	if s.link != nil {
		dst = s.readAll(ctx, bounded, dst)
	}
	if err := ctx.Err(); err != nil {
		return dst[:begin], err
	}
	if s.link == nil { // whoever was read in this time before the BMC went away is not vouched for either
		t, within := sampler.Stamp(before, s.o.Now())
		dst = dst[:begin]
		for i := range s.ports {
			dst = append(dst, power.Sample{Meter: i, Time: t, Within: within, Status: s.retry.status})
		}
	}
	return dst, nil
}

// readAll reads every port. One that there is no answer from has failed, if others were answered, and so have those that
// there is no time for then; the next Read begins with them. A caller who lost patience is no reason to give the BMC up.
func (s *Source) readAll(caller, ctx context.Context, dst []power.Sample) []power.Sample {
	first, answers, silent := s.first, false, false
	for i := range s.ports {
		i = (first + i) % len(s.ports)
		sample, err := s.read(ctx, i)
		if caller.Err() != nil {
			return dst
		}
		if err != nil && !answers {
			s.lose()
			return dst
		}
		if err != nil && !silent {
			silent, s.first = true, (i+1)%len(s.ports)
		}
		answers = answers || err == nil
		dst = append(dst, sample)
	}
	s.retry = retry{}
	return dst
}

// read reads one port. An error means that the BMC did not answer.
func (s *Source) read(ctx context.Context, i int) (power.Sample, error) {
	p := s.ports[i]
	r := askPower
	if p.sensor != nil {
		r = p.sensor.ask()
	}
	sample := power.Sample{Meter: i, Status: power.Failed}
	f, before, after, err := s.patient(ctx, r)
	sample.Time, sample.Within = sampler.Stamp(before, after)
	if err != nil {
		return sample, err
	}
	raw, wrong := s.value(p, f)
	if wrong == nil && raw == 0 && p.whole {
		on, err := hostOn(ctx, s.ask)
		if err != nil {
			return sample, err
		}
		if on {
			wrong = errNoValue
		}
	}
	if sample.Status = status(wrong); wrong == nil {
		sample.Raw = raw
	}
	return sample, nil
}

// value decodes an answer, and notes a change of the DCMI state.
func (s *Source) value(p port, f frame) (int64, error) {
	if p.sensor != nil {
		return p.sensor.line.parseReading(f)
	}
	stats, err := parsePower(f)
	if err != nil {
		return 0, err
	}
	state := "deactivated"
	if stats.active {
		state = "active"
	}
	if state != s.state {
		s.state = state
		s.note("dcmi_state", state)
	}
	return stats.watts, nil
}

// Close ends the session. Closing twice is the same as once.
func (s *Source) Close() error {
	if s.link != nil {
		s.link.close(true)
		s.link = nil
	}
	s.closed = true
	return nil
}

// status is that of a sample whose answer could not be used.
func status(err error) power.Status {
	var c code
	switch {
	case err == nil:
		return power.OK
	case errors.Is(err, errOff):
		return power.Unsupported
	case !errors.As(err, &c):
		return power.Failed
	}
	switch c {
	case codeInvalid, codeInvalidLUN, codeRange, codeAbsent, codeField, codeIllegal:
		return power.Unsupported
	case codePrivilege:
		return power.Denied
	}
	return power.Failed
}
