package ipmi

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"agentwatt/shared/clock"
	"agentwatt/shared/fault"
	"agentwatt/shared/power"
)

// Pauses between attempts to reach a BMC that does not answer, and one that refuses the password: BMCs lock accounts or
// addresses after a few failures within some minutes.
const (
	firstPause   = time.Second
	longestPause = 30 * time.Second
	refusedPause = 5 * time.Minute
)

// retry says when a lost BMC may be tried again.
type retry struct {
	after  clock.Stamp
	pause  time.Duration // the next one; 0 after a Read with answers
	status power.Status  // of the samples until then
}

// connect makes a link if there is none and the time has come. A caller who lost patience is no reason to wait before the
// next attempt.
func (s *Source) connect(caller, ctx context.Context) error {
	now := s.o.Now()
	if s.link != nil || now < s.retry.after {
		return nil
	}
	l, err := s.dial(ctx)
	if err != nil {
		if caller.Err() == nil {
			s.fail(err)
		}
		return err
	}
	s.link = l
	if s.device != "" { // not the first time
		s.note("bmc_session", "reopened")
	}
	return nil
}

func (s *Source) dial(ctx context.Context) (link, error) {
	if s.o.Address == "" {
		return openDevice(s.o.Device)
	}
	ctx, cancel := context.WithTimeout(ctx, s.o.Timeout)
	defer cancel()
	l, err := dial(ctx, s.o)
	if err != nil {
		return nil, err
	}
	// An address that leads to another BMC now must not go on under this node's name.
	if s.o.Name == "" && s.proven != "" && l.guid() != s.proven {
		l.close(true)
		return nil, fmt.Errorf("the BMC is another one: GUID %s, was %s", l.guid(), s.proven)
	}
	s.proven = l.guid()
	return l, nil
}

// fail sets the pause after an attempt to connect that failed.
func (s *Source) fail(err error) {
	switch {
	case errors.Is(err, ErrRefused):
		s.rest(power.Denied, refusedPause)
	case errors.Is(err, fs.ErrPermission):
		s.rest(power.Denied, firstPause)
	default:
		s.rest(power.Lost, firstPause)
	}
}

// lose gives the link up. The next Read may connect at once, as a BMC that was restarted is back and only its session is
// not; but not again and again to one that connects and then answers nothing.
func (s *Source) lose() {
	s.link.close(false)
	s.link = nil
	s.rest(power.Lost, 0)
}

// rest leaves the BMC alone for the pause that has grown so far, at least least.
func (s *Source) rest(status power.Status, least time.Duration) {
	s.retry.status = status
	s.retry.after = s.o.Now().Add(max(s.retry.pause, least))
	s.retry.pause = min(max(2*s.retry.pause, firstPause), longestPause)
}

// Attempts at a request while the BMC is busy, and the first pause between them, which then doubles. Some BMCs need three.
const (
	busyAttempts = 5
	busyPause    = 10 * time.Millisecond
)

// patient sends a request, again while the BMC is busy, and returns the last answer with the times around it. An error
// means that there was none.
func (s *Source) patient(ctx context.Context, r request) (f frame, before, after clock.Stamp, err error) {
	before = s.o.Now()
	after = before
	for i := range busyAttempts {
		if i > 0 && !clock.Sleep(ctx, busyPause<<i) {
			break // the answer stays: busy
		}
		if err = ctx.Err(); err != nil {
			break
		}
		before = s.o.Now()
		f, err = s.link.call(ctx, r)
		after = s.o.Now()
		if err != nil || len(f) == 0 || code(f[0]) != codeBusy && code(f[0]) != codeTimeout {
			break
		}
	}
	return f, before, after, err
}

// ask is patient with a time limit for the request, for when nobody looks at the clock.
func (s *Source) ask(ctx context.Context, r request) (frame, error) {
	if s.link == nil {
		return nil, errors.New("the BMC has gone away")
	}
	ctx, cancel := context.WithTimeout(ctx, s.o.Timeout)
	defer cancel()
	f, _, _, err := s.patient(ctx, r)
	return f, err
}

// hint tells what to do about an error of Open.
func hint(err error, o Options) error {
	switch {
	case errors.Is(err, ErrRefused):
		return fault.Hint(err, "check user, password file and privilege (%s) of the BMC at %s, then wait: BMCs lock accounts after a few failures", o.Privilege, o.target())
	case errors.Is(err, errSuite):
		return fault.Hint(err, "allow cipher suite 17 or 3 on the BMC, or set cipher to the one that it allows")
	case errors.Is(err, codePrivilege):
		return fault.Hint(err, "set privilege to operator, with a user of the BMC who has it: this BMC wants more than user for DCMI")
	case errors.Is(err, errNone):
		return err
	case o.Address != "":
		return fault.Hint(err, "is IPMI over LAN enabled on the BMC, and UDP port 623 open? ipmitool -I lanplus -H %s -U %s -f FILE mc info", o.Address, o.User)
	case errors.Is(err, fs.ErrNotExist):
		return fault.Hint(err, "load the driver: modprobe ipmi_devintf ipmi_si; without a BMC there is none")
	case errors.Is(err, fs.ErrPermission):
		return fault.Hint(err, `give meterd's group the device with a udev rule: KERNEL=="ipmi*", GROUP="ipmi", MODE="0660"`)
	}
	return err
}
