package main

import (
	"context"
	"log/slog"
	"time"

	systemd "github.com/coreos/go-systemd/v22/daemon"
)

// notify tells systemd, if it started us.
func notify(state string) { _, _ = systemd.SdNotify(false, state) }

// watchdog tells systemd regularly that all is well, for as long as it is; otherwise systemd aborts meterd and starts another one.
func watchdog(ctx context.Context, log *slog.Logger, healthy func(time.Time) error) {
	limit, err := systemd.SdWatchdogEnabled(false)
	if err != nil {
		log.Warn("no watchdog", "err", err)
	}
	if err != nil || limit <= 0 {
		return
	}
	tick := time.NewTicker(limit / 3)
	defer tick.Stop()
	for {
		if err := healthy(time.Now()); err != nil {
			log.Error("not alive; systemd will start another meterd", "err", err)
		} else {
			notify(systemd.SdNotifyWatchdog)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
