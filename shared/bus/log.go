package bus

import (
	"fmt"
	"log/slog"
	"strings"
	"sync"
)

// serverLog passes what the embedded server says on, and keeps its last complaint: the server reports some failures to
// its log only.
type serverLog struct {
	log   *slog.Logger
	alarm func(why string) // is told when a stream cannot be written to any more: who publishes gets no answer then

	mu    sync.Mutex
	worst string // the last error or warning
	fatal bool   // the server gave up
}

func (l *serverLog) Noticef(format string, v ...any) { l.log.Debug(line(format, v)) }
func (l *serverLog) Debugf(string, ...any)           {}
func (l *serverLog) Tracef(string, ...any)           {}

func (l *serverLog) Warnf(format string, v ...any) {
	if strings.HasPrefix(format, "Plaintext passwords") {
		return // ours are random, live as long as the process, and are in no file
	}
	l.log.Warn(line(format, v))
	l.keep(line(format, v), false)
}

func (l *serverLog) Errorf(format string, v ...any) {
	said := line(format, v)
	l.log.Error(said)
	l.keep(said, false)
	if strings.Contains(said, "critical write error") {
		l.alarm(said)
	}
}

// Fatalf must not end the process, which is ours.
func (l *serverLog) Fatalf(format string, v ...any) {
	l.log.Error(line(format, v))
	l.keep(line(format, v), true)
}

func (l *serverLog) keep(s string, fatal bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.worst, l.fatal = s, l.fatal || fatal
}

// complaint returns the last complaint, and whether the server gave up.
func (l *serverLog) complaint() (string, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.worst == "" {
		return "the server gave no reason", l.fatal
	}
	return l.worst, l.fatal
}

func line(format string, v []any) string {
	return "nats: " + strings.TrimSpace(fmt.Sprintf(format, v...))
}
