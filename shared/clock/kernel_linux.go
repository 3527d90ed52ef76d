package clock

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// Kernel returns the kernel's clock state (adjtimex(2), which needs no privilege to read, but which a seccomp filter such as
// systemd's ProtectClock= may forbid) and c's Epoch. It costs one system call and does not allocate.
func Kernel(c *Clock) (State, error) {
	var tx unix.Timex
	if _, err := unix.Adjtimex(&tx); err != nil {
		return State{}, fmt.Errorf("read kernel clock state: %w", err)
	}
	epoch, err := c.Epoch()
	if err != nil {
		return State{}, err
	}
	s := state(tx)
	s.Read, s.Epoch = c.Now(), epoch
	return s, nil
}

// state decodes adjtimex: the offset is in nanoseconds if STA_NANO is set, else in microseconds like the errors.
func state(tx unix.Timex) State {
	unit := time.Microsecond
	if tx.Status&unix.STA_NANO != 0 {
		unit = time.Nanosecond
	}
	return State{
		Offset:       time.Duration(tx.Offset) * unit,
		EstError:     time.Duration(tx.Esterror) * time.Microsecond,
		MaxError:     time.Duration(tx.Maxerror) * time.Microsecond,
		Synchronised: tx.Status&unix.STA_UNSYNC == 0,
	}
}

// epochs is how often the monotonic clock is read beside c's for the epoch, which is read once and for all.
const epochs = 16

// epoch returns c's stamp of the zero of CLOCK_MONOTONIC, from the tightest of several readings.
func epoch(c *Clock) (Stamp, error) {
	var best Stamp
	for i, least := 0, time.Duration(0); i < epochs; i++ {
		var ts unix.Timespec
		before := c.Now()
		if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
			return 0, fmt.Errorf("read monotonic clock: %w", err)
		}
		width := c.Now().Sub(before)
		if i == 0 || width < least {
			least, best = width, before.Add(width/2)-Stamp(ts.Nano())
		}
	}
	return best + Stamp(namespace()), nil
}

// asleepNow returns how long the machine was suspended since it was booted: CLOCK_BOOTTIME went on and CLOCK_MONOTONIC did
// not. Of a few pairs of readings the one that took least counts: a pause in between looks like sleep.
func asleepNow() (time.Duration, error) {
	var best, least time.Duration
	for i := range anchorings {
		var before, boot, after unix.Timespec
		err := errors.Join(unix.ClockGettime(unix.CLOCK_MONOTONIC, &before),
			unix.ClockGettime(unix.CLOCK_BOOTTIME, &boot), unix.ClockGettime(unix.CLOCK_MONOTONIC, &after))
		if err != nil {
			return 0, fmt.Errorf("read how long the machine was suspended: %w", err)
		}
		if width := time.Duration(after.Nano() - before.Nano()); i == 0 || width < least {
			least, best = width, time.Duration(boot.Nano()-before.Nano())-width/2
		}
	}
	return best, nil
}
