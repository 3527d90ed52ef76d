package clock

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestSleep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		if !Sleep(t.Context(), time.Second) || time.Since(begin) != time.Second {
			t.Errorf("slept %v, want 1s", time.Since(begin))
		}
		if !Sleep(t.Context(), -time.Second) || time.Since(begin) != time.Second {
			t.Error("a wait that is over takes time")
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begin = time.Now()
		if Sleep(ctx, time.Hour) || time.Since(begin) != time.Second {
			t.Errorf("a context that ends after 1s was noticed after %v", time.Since(begin))
		}
		for range 100 {
			if Sleep(ctx, 0) || Sleep(ctx, time.Nanosecond) {
				t.Fatal("a dead context did not win")
			}
		}
	})
}
