package report

import (
	"fmt"
	"slices"

	"agentwatt/runner/internal/bench"
	"agentwatt/shared/power"
)

// countedView is what was counted at one scope in the window that an answer rests on.
type countedView struct {
	Phase   int
	Answers string
	Scope   string
	Sum     string // of the scope, or why there is none
	Valid   bool
	Devices []deviceView
	Missing []string
}

// deviceView is one device, the meter counted for it, and those it was checked against.
type deviceView struct{ Device, Name, Meter, Method, Mean, Coverage, Gap, Fresh, Doubt, Checks string }

// counted lists the devices behind each answer.
func counted(r bench.Result) (list []countedView) {
	for _, p := range answerPhases(r) {
		for _, s := range p.Power {
			if s.Scope.Headline() {
				v := countedView{Phase: p.Index, Answers: answeredBy(r, p.Index), Scope: string(s.Scope), Sum: scopePower(s), Valid: s.Valid, Missing: s.Missing}
				v.Devices = deviceViews(s)
				list = append(list, v)
			}
		}
	}
	return list
}

// deviceViews walks over the uses of a scope: they stand device by device, the one counted first. A use that belongs to none
// of the counted meters is of a missing device.
func deviceViews(s bench.ScopePower) (list []deviceView) {
	var first power.Use
	next := 0
	for _, u := range s.Uses {
		if next < len(s.Meters) && u.Valid && u.Meter.ID == s.Meters[next] {
			first = u
			list = append(list, newDevice(s.Devices[next], u))
			next++
			continue
		}
		if len(list) > 0 && u.Meter.Device == first.Meter.Device {
			list[len(list)-1].check(first, u)
		}
	}
	return list
}

func newDevice(device string, u power.Use) deviceView {
	return deviceView{Device: device, Name: u.Meter.Name, Meter: u.Meter.ID, Method: method(u.Meter), Mean: u.Mean.String(),
		Coverage: coverage(u.Coverage), Gap: gapLength(u), Fresh: count(u.Fresh), Doubt: "± " + percent(u.Uncertainty.Expanded())}
}

func gapLength(u power.Use) string {
	if u.LongestGap == 0 {
		return "none"
	}
	return span(u.LongestGap)
}

// check adds how another meter of the device compares.
func (d *deviceView) check(counted, other power.Use) {
	s := other.Meter.ID + ": "
	switch {
	case !other.Valid:
		s += "not valid over the window"
	case counted.Mean <= 0:
		s += other.Mean.String()
	default:
		s += fmt.Sprintf("%s (%+.2f %%)", other.Mean, 100*(float64(other.Mean)/float64(counted.Mean)-1))
	}
	if d.Checks != "" {
		s = d.Checks + "; " + s
	}
	d.Checks = s
}

// method says how a meter's values became a mean (METHOD 6).
func method(m power.Meter) string {
	switch m.Quantity {
	case power.Counter:
		return "energy counter, difference between edges"
	case power.Instant:
		return "instant power, integrated by trapezoids"
	case power.Mean:
		return fmt.Sprintf("mean power over %s, shifted and integrated", span(m.Averaging))
	case power.Held:
		return fmt.Sprintf("held power, refreshed every %s", span(m.Period))
	}
	return m.Quantity.String()
}

// idleView is the idle power of one scope.
type idleView struct{ When, Scope, Power string }

func idleViews(r bench.Result) (list []idleView) {
	for _, side := range []struct {
		name string
		list []bench.ScopePower
	}{{"before the run", r.IdleBefore}, {"after the run", r.IdleAfter}} {
		for _, s := range side.list {
			if s.Scope.Headline() {
				list = append(list, idleView{side.name, string(s.Scope), scopePower(s)})
			}
		}
	}
	return list
}

// budgetView is the uncertainty of one figure by term.
type budgetView struct {
	Title    string
	Terms    []budgetTerm
	Expanded string
}

// budgetTerm is one standard uncertainty, relative, k = 1.
type budgetTerm struct {
	Name, Value string
	Dominant    bool
}

// budgets lists the uncertainty of every figure that has a number.
func budgets(r bench.Result) (list []budgetView) {
	for _, t := range r.Tiers {
		for _, f := range t.Figures {
			if f.Standing == bench.InvalidValue {
				continue
			}
			b := budgetView{Title: fmt.Sprintf("%s, %s", t.Tier.Name, perMegawatt(f)), Expanded: "± " + percent(f.Uncertainty.Expanded())}
			u := f.Uncertainty
			for _, term := range []struct {
				name string
				v    float64
			}{{"sensor gain", u.Gain}, {"quantisation", u.Quantisation}, {"sampling", u.Sampling}, {"window edges", u.Edges},
				{"clock", u.Clock}, {"gaps", u.Gaps}, {"bracket of N", u.Bracket}} {
				b.Terms = append(b.Terms, budgetTerm{term.name, percent(term.v), term.name == u.Dominant()})
			}
			list = append(list, b)
		}
	}
	return list
}

// TermNames lists the budget's terms, for the head of the table.
func (p page) TermNames() (names []string) {
	for _, b := range p.Budgets[:min(1, len(p.Budgets))] {
		for _, t := range b.Terms {
			names = append(names, t.Name)
		}
	}
	return slices.Clip(names)
}
