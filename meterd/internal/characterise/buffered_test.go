package characterise

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// A sensor whose device keeps the values and hands them over once a second is measured as if each had been read when it was taken.
func TestValuesThatADeviceKeptAreMeasuredAsRead(t *testing.T) {
	sensor, ref, marks := gpu().record(3)
	want, err := Measure(sensor, &ref, marks, Options{})
	if err != nil {
		t.Fatal(err)
	}
	kept := sensor
	kept.Meter.Buffered = true
	kept.Samples = nil
	for _, s := range sensor.Samples {
		s.Device = s.Time
		s.Time = (s.Time/1e9 + 1) * 1e9
		kept.Samples = append(kept.Samples, s)
	}
	got, err := Measure(kept, &ref, marks, Options{})
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-read +kept):\n%s", err, diff)
	}
	kept.Meter.Buffered = false
	if late, err := Measure(kept, &ref, marks, Options{}); err == nil && late.Delay.Known() && late.Delay.Value < want.Delay.Value+(100*time.Millisecond).Seconds() {
		t.Errorf("placed by the handing over the delay is %v too: the test shows nothing", late.Delay)
	}
}
