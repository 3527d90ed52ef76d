package clock

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// Kernel returns the kernel's clock state (adjtimex(2), which needs no privilege to read) and c's Epoch.
//
// Processes of one boot (BootID) compare clocks by it: a stamp of process A becomes one of process B by adding B's Epoch
// and subtracting A's, whatever NTP did between the two anchors. Time namespaces move the monotonic clock: then it does not hold.
func Kernel(c *Clock) (State, error) {
	var tx unix.Timex
	if _, err := unix.Adjtimex(&tx); err != nil {
		return State{}, fmt.Errorf("read kernel clock state: %w", err)
	}
	epoch, err := epoch(c)
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

// epoch returns c's stamp of the zero of CLOCK_MONOTONIC, from the tightest of several readings.
func epoch(c *Clock) (Stamp, error) {
	var best Stamp
	for i, least := 0, time.Duration(0); i < anchorings; i++ {
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
	return best, nil
}
