package simulated

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"sync/atomic"
	"time"

	"agentwatt/meterd/internal/sampler"
	"agentwatt/shared/clock"
	"agentwatt/shared/fault"
	"agentwatt/shared/power"
)

// Remote reads the devices of a runner simulate on the same machine, so that their power follows the load.
type Remote struct {
	url    string
	client *http.Client
	now    func() clock.Stamp
	last   snapshot
	meters atomic.Pointer[[]power.Meter]
	closed bool
}

const (
	askLimit  = time.Second // for one answer
	mostBytes = 1 << 20     // in one answer: 1024 devices of at most 400 bytes fit
)

// OpenURL reads the devices at address once, to know them: http://127.0.0.1:PORT/power, any other loopback address, or
// unix:///path/of/socket, where /power is asked for. Errors wrap sampler.ErrUnavailable if nothing answers there.
//
// The time of a value on its device is kept (Sample.Device). While nothing answers, samples have status power.Lost;
// a simulator that was started again counts from 0, which is passed on as it is.
func OpenURL(ctx context.Context, address string, now func() clock.Stamp) (*Remote, error) {
	target, dial, err := loopback(address)
	if err != nil {
		return nil, fmt.Errorf("read simulated devices at %q: %w", address, err)
	}
	s := &Remote{url: target, now: now, client: &http.Client{
		Timeout: askLimit,
		Transport: &http.Transport{ // no proxy: it could answer for another machine
			DialContext: dial, DisableCompression: true, MaxConnsPerHost: 1, MaxIdleConnsPerHost: 1, MaxResponseHeaderBytes: 1 << 16,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	snap, err := s.ask(ctx)
	if err != nil {
		s.client.CloseIdleConnections()
		err = fmt.Errorf("read simulated devices at %s: %w: %w", address, err, sampler.ErrUnavailable)
		return nil, fault.Hint(err, "start the simulator first: runner simulate")
	}
	s.learn(snap)
	return s, nil
}

type dialer = func(ctx context.Context, network, address string) (net.Conn, error)

// loopback returns the URL to ask and how to connect to it, if address is on this machine.
func loopback(address string) (target string, dial dialer, err error) {
	u, err := url.Parse(address)
	if err != nil {
		return "", nil, err
	}
	d := net.Dialer{Timeout: askLimit}
	switch ip := net.ParseIP(u.Hostname()); {
	case u.Scheme == "unix" && u.Host == "" && u.Path != "":
		path := u.Path
		return "http://localhost/power", func(ctx context.Context, _, _ string) (net.Conn, error) {
			return d.DialContext(ctx, "unix", path)
		}, nil
	case u.Scheme == "http" && (u.Hostname() == "localhost" || ip.IsLoopback()):
		return address, func(ctx context.Context, network, at string) (net.Conn, error) {
			c, err := d.DialContext(ctx, network, at)
			if err != nil {
				return nil, err
			}
			if a, ok := c.RemoteAddr().(*net.TCPAddr); !ok || !a.IP.IsLoopback() { // a resolver may say anything for localhost
				return nil, errors.Join(fmt.Errorf("%s is not on this machine", c.RemoteAddr()), c.Close())
			}
			return c, nil
		}, nil
	}
	return "", nil, errors.New("only http on a loopback address, or unix:///path, is accepted: simulated power comes from this machine")
}

// errAnswer is wrapped when something answered, but not as a simulator does.
var errAnswer = errors.New("not an answer of runner simulate")

// ask gets one snapshot.
func (s *Remote) ask(ctx context.Context) (snapshot, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url, nil)
	if err != nil {
		return snapshot{}, err
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return snapshot{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, mostBytes+1))
	switch {
	case err != nil:
		return snapshot{}, err
	case resp.StatusCode != http.StatusOK:
		return snapshot{}, fmt.Errorf("%w: status %s", errAnswer, resp.Status)
	case len(body) > mostBytes:
		return snapshot{}, fmt.Errorf("%w: more than %d bytes", errAnswer, mostBytes)
	}
	snap, err := parse(body)
	if err != nil {
		return snapshot{}, fmt.Errorf("%w: %w", errAnswer, err)
	}
	return snap, nil
}

// learn keeps the devices of snap as the meters from now on.
func (s *Remote) learn(snap snapshot) {
	meters := snap.meters()
	s.last = snap
	s.meters.Store(&meters)
}

// Meters lists a counter and a power reading per device of the last answer.
func (s *Remote) Meters() []power.Meter { return *s.meters.Load() }

// Read asks once. Every answer is a sample of every meter, also if the values have not changed since the last.
func (s *Remote) Read(ctx context.Context, dst []power.Sample) ([]power.Sample, error) {
	if s.closed {
		return dst, fmt.Errorf("read simulated devices: %w", os.ErrClosed)
	}
	before := s.now()
	snap, err := s.ask(ctx)
	t, within := sampler.Stamp(before, s.now())
	if ctx.Err() != nil {
		return dst, ctx.Err()
	}
	if err != nil {
		status := power.Lost
		if errors.Is(err, errAnswer) {
			status = power.Failed
		}
		for i := range s.Meters() {
			dst = append(dst, power.Sample{Meter: i, Time: t, Within: within, Status: status})
		}
		return dst, nil
	}
	if !snap.same(s.last) {
		s.learn(snap)
	}
	for i, d := range snap.Devices {
		x := power.Sample{Time: t, Within: within, Device: clock.Stamp(d.Changed / 1000 * 1000)}
		energy, mean := x, x
		energy.Meter, energy.Raw = 2*i, int64(d.Energy)
		mean.Meter, mean.Raw = 2*i+1, int64(d.Power)
		dst = append(dst, energy, mean)
	}
	return dst, nil
}

// Close closes the connection.
func (s *Remote) Close() error {
	s.closed = true
	s.client.CloseIdleConnections()
	return nil
}
