package characterise

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"agentwatt/shared/power"
)

// stepping is a source whose one meter shows how often it was read; the second meter comes later.
type stepping struct {
	reads int
	fail  error
}

func (s *stepping) Meters() []power.Meter {
	list := []power.Meter{{ID: "a"}, {ID: "b"}}
	if s.reads < 3 {
		return list[:1]
	}
	return list
}

func (s *stepping) Read(_ context.Context, dst []power.Sample) ([]power.Sample, error) {
	if s.reads++; s.fail != nil && s.reads > 5 {
		return dst, s.fail
	}
	for i := range s.Meters() {
		dst = append(dst, power.Sample{Meter: i, Time: wall(), Raw: int64(s.reads)})
	}
	return dst, nil
}

func (s *stepping) Close() error { return nil }

func TestRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 95*time.Millisecond)
		defer cancel()
		got, err := Record(ctx, &stepping{}, 10*time.Millisecond)
		if err != nil || len(got) != 2 || got[0].Meter.ID != "a" || len(got[0].Samples) != 10 || len(got[1].Samples) != 8 {
			t.Fatalf("%+v, %v", got, err)
		}
		for i, s := range got[0].Samples {
			if d := s.Time.Sub(got[0].Samples[0].Time); d != time.Duration(i)*10*time.Millisecond || s.Raw != int64(i+1) {
				t.Errorf("sample %d: %+v", i, s)
			}
		}
		broken := errors.New("bus error")
		got, err = Record(t.Context(), &stepping{fail: broken}, time.Millisecond)
		if !errors.Is(err, broken) || len(got[0].Samples) != 5 {
			t.Errorf("%+v, %v", got, err)
		}
	})
}

func TestPrint(t *testing.T) {
	var out strings.Builder
	Result{
		Cycles: 12, Against: "reference", Period: Estimate{Value: 0.1, U: 0.0002}, Window: Estimate{Reason: "a counter has no window"},
		Gain: Estimate{Value: 0.95, U: 0.005}, Offset: Estimate{Value: -2, U: 0.5}, Idle: 80, Busy: 400, Notes: []string{"n"},
	}.Print(&out)
	for _, want := range []string{"period  100 ± 0.2 ms", "window  not known: a counter has no window", "gain    0.95 ± 0.005", "at 400.0 W it reads -5.50 % ± 0.52 %", "12 cycles, timing against the reference", "note: n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}
