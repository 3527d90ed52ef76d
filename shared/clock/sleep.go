package clock

import (
	"context"
	"time"
)

// Sleep waits for d, if positive, and reports whether ctx is still alive. Cancellation wins over a timer that is ready too.
func Sleep(ctx context.Context, d time.Duration) bool {
	if d > 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-ctx.Done():
		case <-t.C:
		}
	}
	return ctx.Err() == nil
}
