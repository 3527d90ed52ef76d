package clock

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestState(t *testing.T) {
	tests := []struct {
		name string
		tx   unix.Timex
		want State
	}{
		{"microseconds", unix.Timex{Offset: -7, Esterror: 3, Maxerror: 500},
			State{Offset: -7 * time.Microsecond, EstError: 3 * time.Microsecond, MaxError: 500 * time.Microsecond, Synchronised: true}},
		{"nanoseconds", unix.Timex{Offset: 900, Esterror: 1, Maxerror: 2, Status: unix.STA_NANO | unix.STA_PLL},
			State{Offset: 900, EstError: time.Microsecond, MaxError: 2 * time.Microsecond, Synchronised: true}},
		{"undisciplined", unix.Timex{Maxerror: 16_000_000, Status: unix.STA_UNSYNC},
			State{MaxError: 16 * time.Second}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, state(tt.tx)); diff != "" {
				t.Errorf("state (-want +got):\n%s", diff)
			}
		})
	}
}

// Two clocks of one boot, the second anchored after the wall clock was stepped, agree through their epochs.
func TestEpochComparesClocks(t *testing.T) {
	a, b := New(), New()
	b.wall += Stamp(5 * time.Second)
	sa, err := Kernel(a)
	if err != nil {
		t.Skipf("adjtimex is not allowed here: %v", err)
	}
	sb, err := Kernel(b)
	if err != nil {
		t.Fatal(err)
	}
	now := a.Now()
	got := now.Add(time.Duration(sb.Epoch - sa.Epoch)).Sub(b.Now())
	if got < -50*time.Millisecond || got > 50*time.Millisecond {
		t.Errorf("a's stamp carried over to b is off by %v", got)
	}
	if sa.Read > now || now.Sub(sa.Read) > time.Minute {
		t.Errorf("state read at %v, now is %v", sa.Read, now)
	}
}
