package snmp

import (
	"context"
	"errors"
	"slices"
	"time"

	"agentwatt/meterd/internal/sampler"
	"agentwatt/shared/clock"
	"agentwatt/shared/power"
)

// answer is the outcome of one request.
type answer struct {
	time   clock.Stamp
	within time.Duration
	values []value // none if err is set
	err    error
}

// poll sends the requests of the plan, one after the other, until one gets no answer: the next would not either.
func (s *Source) poll(ctx context.Context) ([]answer, error) {
	answers := s.answers[:0]
	for _, oids := range s.plan.parts {
		before := s.options.Now()
		values, err := s.client.get(ctx, oids)
		t, within := sampler.Stamp(before, s.options.Now())
		answers = append(answers, answer{t, within, values, err})
		if errors.Is(err, errSilent) {
			return answers, err
		}
	}
	s.answers = answers
	return answers, nil
}

// sample makes the sample of one point out of the answers.
func (p *point) sample(meter int, at slot, answers []answer) power.Sample {
	if at.part < 0 {
		return power.Sample{Meter: meter, Time: answers[0].time, Within: answers[0].within, Status: power.Failed}
	}
	a := answers[at.part]
	x := power.Sample{Meter: meter, Time: a.time, Within: a.within}
	switch {
	case errors.Is(a.err, errDenied):
		x.Status = power.Denied
	case a.err != nil:
		x.Status = power.Failed
	default:
		x.Raw, x.Status = p.reading.raw(a.values[at.value])
		if at.valid > 0 && !p.available(a.values[at.valid]) {
			x.Raw, x.Status = 0, power.Unsupported
		}
		if at.stamp > 0 && x.Status == power.OK {
			x.Device = deviceTime(a.values[at.stamp])
		}
	}
	return x
}

func (p *point) available(v value) bool {
	return v.form == integer && slices.Contains(p.reading.Valid.Is, v.n)
}

// deviceTime takes seconds since 1970. A device whose clock was never set gives little or nothing.
func deviceTime(v value) clock.Stamp {
	const year2000, year2200 = 946684800, 7258118400
	if v.form != integer || v.n < year2000 || v.n > year2200 {
		return 0
	}
	return clock.Stamp(v.n) * clock.Stamp(time.Second)
}
