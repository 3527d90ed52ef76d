package redfish

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"agentwatt/meterd/internal/sampler"
	"agentwatt/shared/clock"
	"agentwatt/shared/fault"
	"agentwatt/shared/power"
)

// Source reads one Redfish service. It implements sampler.Source and sampler.Noter.
type Source struct {
	options Options
	now     func() clock.Stamp
	client  *client
	layout  atomic.Pointer[layout]
	latest  []clock.Stamp // of the last sample of each meter
	next    int           // part that is polled first
	notes   []power.Note
	closed  bool

	lost  bool          // the service does not answer
	retry clock.Stamp   // when it is asked again
	wait  time.Duration // after the next failure
	ahead time.Duration // its clock, by HTTP; noted when it changes
	dated clock.Stamp   // when that was last looked at; 0: never

	search  bool               // devices seem to have come or gone
	looked  clock.Stamp        // when they were last looked for
	pause   time.Duration      // until they are looked for again
	wanted  chan struct{}      // asks for a search
	fresh   chan *layout       // brings what it found
	push    *push              // nil: not listening
	stop    context.CancelFunc // ends what runs beside the reads
	running sync.WaitGroup
}

const (
	searchAgain = time.Minute      // at least, between searches for devices
	searchMost  = time.Hour        // longest pause between searches that fail
	loseMost    = 30 * time.Second // longest pause between tries to reach a lost service
	dateAgain   = time.Minute      // between looks at the service's clock
	skewNoted   = 2 * time.Second  // change of its clock that is worth a note; HTTP counts whole seconds
	mostNotes   = 4096             // that wait to be taken
)

// Open logs in and finds the meters. Errors wrap sampler.ErrUnavailable with the reason, and a hint where the user can act.
func Open(ctx context.Context, o Options) (*Source, error) {
	o, base, err := o.complete()
	if err != nil {
		return nil, fmt.Errorf("open redfish: %w: %w", err, sampler.ErrUnavailable)
	}
	c, err := newClient(o, base)
	if err != nil {
		return nil, fmt.Errorf("open redfish %s: %w: %w", o.Name, err, sampler.ErrUnavailable)
	}
	l, err := discover(ctx, o, c)
	if err == nil && len(l.meters) == 0 {
		err = cmp.Or(l.failed, l.denied, fmt.Errorf("the service has no power or energy value: %s", strings.Join(l.absent[:min(len(l.absent), 3)], "; ")))
	}
	if err != nil {
		leave, cancel := context.WithTimeout(context.WithoutCancel(ctx), o.Timeout)
		defer cancel()
		_ = c.login.leave(leave, c)
		c.wire.CloseIdleConnections()
		if refused(err) && !errors.Is(err, errRefused) {
			err = fmt.Errorf("%w: %w", err, errRefused)
		}
		err = fmt.Errorf("open redfish %s: %w: %w", o.Name, err, sampler.ErrUnavailable)
		return nil, fault.Hint(err, "%s", remedy(err))
	}
	s := &Source{
		options: o, now: o.Now, client: c, looked: o.Now(),
		wanted: make(chan struct{}, 1), fresh: make(chan *layout, 1),
	}
	if !o.NoPush {
		s.push = newPush(o.Now)
	}
	s.search, s.pause = l.failed != nil, searchAgain
	s.use(l)
	s.begin(ctx, l.events)
	return s, nil
}

// begin starts what runs beside the reads until Close: the search for devices and the event stream.
func (s *Source) begin(ctx context.Context, events string) {
	ctx, s.stop = context.WithCancel(context.WithoutCancel(ctx))
	s.running.Go(func() { s.searches(ctx) })
	if events != "" && s.push != nil {
		s.running.Go(func() { s.push.listen(ctx, s.client, events) })
	}
}

// refused reports whether err is about the user or the password.
func refused(err error) bool {
	var status *statusError
	return errors.Is(err, errRefused) || errors.As(err, &status) && status.code == http.StatusUnauthorized
}

// remedy says what to do about an error of Open.
func remedy(err error) string {
	var status *statusError
	switch {
	case refused(err):
		return "check user and password; a read-only account is enough"
	case errors.As(err, &status) && status.code == http.StatusForbidden:
		return "give the account the role ReadOnly"
	case certificate(err):
		return "name the authority that signed the device's certificate (ca_file), or pin the certificate (fingerprint)"
	}
	return "check the address, and that the device's Redfish service is switched on: curl -k https://HOST/redfish/v1/"
}

// certificate reports whether err is about whom to believe.
func certificate(err error) bool {
	var v *tls.CertificateVerificationError
	return errors.As(err, &v) || errors.Is(err, errPinned)
}

// use takes over a layout: the first one, or what a search found. Meters that are the same stay the same slice.
func (s *Source) use(l *layout) {
	if old := s.layout.Load(); old != nil {
		l.keepSteps(old.meters)
		if slices.Equal(old.meters, l.meters) {
			return
		}
	}
	s.latest = make([]clock.Stamp, len(l.meters))
	for _, n := range l.notes {
		s.note(n.Device, n.Key, n.Value)
	}
	s.next = 0
	s.layout.Store(l)
	if s.push != nil {
		s.push.rename(l.pushed)
	}
}

// keepSteps takes over what the readings have shown of the meters' resolution: a search does not look at readings.
func (l *layout) keepSteps(known []power.Meter) {
	for i := range l.meters {
		if k := slices.IndexFunc(known, func(m power.Meter) bool { return m.ID == l.meters[i].ID }); k >= 0 {
			l.meters[i].Step = known[k].Step
		}
	}
}

// Meters lists what is read.
func (s *Source) Meters() []power.Meter { return s.layout.Load().meters }

// Absent lists what the service does not offer, each with its reason.
func (s *Source) Absent() []string { return s.layout.Load().absent }

func (s *Source) meterOf(p *point) *power.Meter { return &s.layout.Load().meters[p.meter] }

// Read polls the totals, then as many of the parts as its time allows, going on there in the next Read; values that the
// service pushed since the last Read come in front. Cancelled in the middle, it returns what it has.
func (s *Source) Read(ctx context.Context, dst []power.Sample) ([]power.Sample, error) {
	if s.closed {
		return dst, fmt.Errorf("read redfish %s after its end: %w", s.options.Name, sampler.ErrGone)
	}
	if err := ctx.Err(); err != nil {
		return dst, err
	}
	s.adopt()
	within, cancel := context.WithTimeout(ctx, s.options.Timeout)
	defer cancel()
	l := s.layout.Load()
	s.collect(within)
	dst = s.pushed(dst)
	for _, d := range l.docs[:l.totals] {
		dst = s.poll(within, d, dst)
	}
	parts := l.docs[l.totals:]
	for n, began := 0, time.Now(); n < len(parts) && time.Since(began) < s.options.Parts; n++ {
		dst = s.poll(within, parts[s.next%len(parts)], dst)
		s.next = (s.next + 1) % len(parts)
	}
	dst = s.pushed(dst)
	s.look()
	return dst, nil
}

// note keeps a note until it is taken.
func (s *Source) note(device, key, value string) {
	if len(s.notes) < mostNotes {
		s.notes = append(s.notes, power.Note{Time: s.now(), Device: device, Key: key, Value: value})
	}
}

// Notes appends what came up since the last call: what the devices say of themselves, the service's clock, readings that
// contradict themselves, losses and returns.
func (s *Source) Notes(dst []power.Note) []power.Note {
	dst = append(dst, s.notes...)
	s.notes = s.notes[:0]
	return dst
}

// Close ends the session and all connections. Closing twice is the same as once.
func (s *Source) Close() error {
	if s.closed {
		return nil
	}
	s.closed = true
	s.stop()
	s.running.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), s.options.Timeout)
	defer cancel()
	err := s.client.login.leave(ctx, s.client)
	s.client.wire.CloseIdleConnections()
	if err != nil && !s.lost {
		return fmt.Errorf("close redfish %s: %w", s.options.Name, err)
	}
	return nil
}
