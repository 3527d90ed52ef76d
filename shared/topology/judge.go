package topology

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"agentwatt/shared/power"
)

// add judges one tier. modelled is what parts without a meter draw at most.
func (b *balancer) add(name, place string, parent, children []reading, lost loss, modelled power.Power, open []string) {
	t := Tier{Name: name, Place: place, Open: open}
	slices.SortFunc(t.Open, natural)
	above, missing := b.side(parent, &t.Parent)
	below, absent := b.side(children, &t.Children)
	missing = append(missing, absent...)
	all := append(slices.Clone(above), below...)
	switch {
	case len(missing) > 0:
		t.Verdict, t.Text = NotJudged, "no valid value over the interval: "+strings.Join(fold(missing), ", ")
	case slices.ContainsFunc(all, func(u power.Use) bool { return u.Begin != all[0].Begin || u.End != all[0].End }):
		t.Verdict, t.Text = NotJudged, "the values are of different intervals"
	default:
		t.judge(lost, modelled)
	}
	b.tiers = append(b.tiers, t)
}

// side reads the devices of one side of a tier, each once, and lists those without a valid value.
func (b *balancer) side(list []reading, to *Side) (uses []power.Use, missing []string) {
	list = slices.Clone(list)
	slices.SortFunc(list, func(x, y reading) int { return natural(x.name, y.name) })
	list = slices.Compact(list)
	to.Devices = []string{}
	for _, r := range list {
		to.Devices = append(to.Devices, r.name)
		u, ok := b.uses[r.of]
		if !ok || !u.Valid {
			missing = append(missing, r.name)
			continue
		}
		uses = append(uses, u)
		to.Simulated = to.Simulated || u.Meter.Simulated
	}
	mean, _, u, _ := power.Sum(uses)
	to.Mean, to.Uncertainty = mean, part(mean, u.Expanded())
	if mean == 0 { // a relative uncertainty says nothing about it: what a count is worth does
		for _, x := range uses {
			to.Uncertainty += power.Power(x.Meter.Scale.Num / max(x.Meter.Scale.Den, 1))
		}
	}
	return uses, missing
}

// part returns a share of p, rounded.
func part(p power.Power, share float64) power.Power {
	return power.Power(math.Round(float64(p) * share))
}

// judge compares both sides. The uncertainty of the difference takes them as independent: within a side errors of one model add
// up (power.Sum), but no error of one side is trusted to cancel one of the other.
//
// A parent that feeds children C through conversion of efficiency η draws C/η: the difference is C·(1/η - 1).
func (t *Tier) judge(lost loss, modelled power.Power) {
	c := t.Children.Mean
	t.Difference = t.Parent.Mean - c
	t.Uncertainty = power.Power(math.Round(math.Hypot(float64(t.Parent.Uncertainty), float64(t.Children.Uncertainty))))
	t.Least = part(c, lost.least/(1-lost.least))
	if t.Most = -1; lost.most >= 0 {
		t.Most = part(c, lost.most/(1-lost.most)) + modelled
	}
	d, u := t.Difference, t.Uncertainty
	switch {
	case d+u < 0:
		t.Verdict = Impossible
		t.Text = fmt.Sprintf("the parts draw %v more than goes in: something counts twice, or a scale is wrong", -d)
	case d+u < t.Least:
		t.Verdict = LittleLoss
		t.Text = fmt.Sprintf("conversion loses at least %v and only %v is: do both meter the same side of the supplies?", t.Least, max(d, 0))
	case t.Most >= 0 && d-u > t.Most:
		t.Verdict = Unmetered
		t.Text = fmt.Sprintf("%v go in that no part and no loss explains: something is not metered%s", d-t.Most, dcHint(t, lost))
	case t.Most < 0 && d > u:
		t.Verdict = Rest
		t.Text = fmt.Sprintf("%v (%.0f %%) go to %s", d, share(d, t.Parent.Mean), strings.Join(fold(t.Open), "; "))
	default:
		t.Verdict = Agrees
		t.Text = fmt.Sprintf("%.1f %% is lost on the way, as conversion does, within the uncertainty", share(d, t.Parent.Mean))
	}
}

// dcHint says that a difference may be the loss of power supplies, where children should be metered before them.
func dcHint(t *Tier, lost loss) string {
	if (t.Name != tierCords && t.Name != tierRack) || lost != noConversion {
		return ""
	}
	if d := t.Difference; d-t.Uncertainty <= part(t.Children.Mean, oneSupply.most/(1-oneSupply.most)) {
		return ", or the nodes' meters are behind their power supplies"
	}
	return ""
}

// share returns d of p in percent; 0 of nothing.
func share(d, p power.Power) float64 {
	if p == 0 {
		return 0
	}
	return 100 * float64(d) / float64(p)
}
