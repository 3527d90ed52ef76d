package main

import (
	"cmp"
	"fmt"
	"io"
	"math/big"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"agentwatt/shared/power"
)

// survey is what meterd probe finds on a host.
type survey struct {
	Host    string          `json:"host"`
	Sources []sourceSurvey  `json:"sources"`
	Absent  []absenceSurvey `json:"absent"`
}

// sourceSurvey is one source that is there.
type sourceSurvey struct {
	Name   string        `json:"name"`
	Meters []meterSurvey `json:"meters"`
	Notes  []noteSurvey  `json:"notes"` // what else the source says
	Rules  []ruleSurvey  `json:"rules,omitempty"`
	Fix    string        `json:"fix,omitempty"` // what to do about meters that may not be read
}

// ruleSurvey is what a profile demands of a Redfish device, and whether the device honours it.
type ruleSurvey struct {
	Device   string `json:"device"`
	Property string `json:"property"`
	Profile  string `json:"profile"`
	Honoured bool   `json:"honoured"`
}

// noteSurvey is a fact beside the samples; see power.Note.
type noteSurvey struct {
	Device string `json:"device,omitempty"`
	Key    string `json:"key"`
	Value  string `json:"value"`
}

// meterSurvey is one meter and what it did during the probe.
type meterSurvey struct {
	power.Meter
	Status  power.Status  `json:"status"`                          // of the last read
	Raw     int64         `json:"raw"`                             // the last value; 0 unless Status is ok
	Value   string        `json:"value,omitempty"`                 // the same in W, or in Wh where the meter counts energy; empty: none
	Changes int           `json:"changes"`                         // that were seen
	Update  time.Duration `json:"measured_period_nanos,omitempty"` // between changes; 0: too few were seen to say
	Bound   bool          `json:"measured_period_is_upper_bound,omitempty"`
	ReadP50 time.Duration `json:"read_duration_p50_nanos"` // of the call that brings the value, with what else it brings
	ReadP99 time.Duration `json:"read_duration_p99_nanos"` //
}

// absenceSurvey is what cannot be metered, why, and what to do about it.
type absenceSurvey struct {
	Source string `json:"source"`
	Reason string `json:"reason"`
	Fix    string `json:"fix,omitempty"`
}

// print writes the survey for people, within 100 columns where names allow it.
func (s survey) print(w io.Writer) {
	for _, src := range s.Sources {
		fmt.Fprintf(w, "%s: %d meters\n", src.Name, len(src.Meters))
		src.print(w)
		src.printNotes(w)
		src.printRules(w)
		if src.Fix != "" {
			fold(w, "    denied: ", src.Fix)
		}
		fmt.Fprintln(w)
	}
	if len(s.Absent) > 0 {
		fmt.Fprintln(w, "not metered:")
	}
	for _, a := range s.Absent {
		fold(w, "  "+a.Source+": ", a.Reason)
		if a.Fix != "" {
			fold(w, "    fix: ", a.Fix)
		}
	}
}

// print writes the meters, grouped by device. The heading of a device is what its meters' IDs begin with.
func (s sourceSurvey) print(w io.Writer) {
	for _, device := range s.devices() {
		prefix := ""
		tab := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		for _, m := range s.Meters {
			if m.Device != device {
				continue
			}
			if prefix == "" {
				prefix = m.ID[:strings.LastIndex(m.ID, "/")+1]
				fmt.Fprintf(w, "  %s%s  %s\n", mark(m.Simulated), prefix, m.Name)
				fmt.Fprintln(tab, "    METER\tVALUE\tKIND\tSCOPE\tUPDATES\tREAD P50, P99\tACCURACY\tSTATUS")
			}
			fmt.Fprintf(tab, "    %s\t%s\t%s\t%s\t%s\t%s, %s\t%s\t%s\n",
				strings.TrimPrefix(m.ID, prefix), cmp.Or(m.Value, "-"), m.means(), m.Scope, m.updates(), brief(m.ReadP50), brief(m.ReadP99), m.gain(), m.Status)
		}
		tab.Flush()
	}
}

// printNotes writes what the source says beside its meters, one line for each device.
func (s sourceSurvey) printNotes(w io.Writer) {
	var order []string
	lines := map[string][]string{}
	for _, n := range s.Notes {
		if lines[n.Device] == nil {
			order = append(order, n.Device)
		}
		lines[n.Device] = append(lines[n.Device], n.Key+"="+n.Value)
	}
	for _, device := range order {
		fold(w, "    "+cmp.Or(device, s.Name)+": ", strings.Join(lines[device], ", "))
	}
}

// printRules says for each device how much it honours of what the profiles demand, and what it lacks.
func (s sourceSurvey) printRules(w io.Writer) {
	var order []string
	all, lacks := map[string]int{}, map[string][]string{}
	for _, r := range s.Rules {
		if all[r.Device]++; all[r.Device] == 1 {
			order = append(order, r.Device)
		}
		if !r.Honoured {
			lacks[r.Device] = append(lacks[r.Device], r.Property)
		}
	}
	for _, device := range order {
		text := fmt.Sprintf("has %d of the %d properties that OCP's profiles demand", all[device]-len(lacks[device]), all[device])
		if len(lacks[device]) > 0 {
			text += "; it lacks " + strings.Join(lacks[device], ", ")
		}
		fold(w, "    "+device+": ", text)
	}
}

// wide is where long texts are folded.
const wide = 110

// fold writes text behind first, broken at blanks; later lines are indented a little deeper than the first.
func fold(w io.Writer, first, text string) {
	indent := strings.Repeat(" ", len(first)-len(strings.TrimLeft(first, " "))+4)
	line := first
	for i, word := range strings.Fields(text) {
		switch {
		case i == 0:
			line += word
		case len([]rune(line))+1+len([]rune(word)) > wide:
			fmt.Fprintln(w, line)
			line = indent + word
		default:
			line += " " + word
		}
	}
	fmt.Fprintln(w, line)
}

// devices lists the devices in the order of their first meters.
func (s sourceSurvey) devices() (out []string) {
	for _, m := range s.Meters {
		if !slices.Contains(out, m.Device) {
			out = append(out, m.Device)
		}
	}
	return out
}

// amount writes a raw count in W, or in Wh where the meter counts energy, exactly up to a milliwatt or a milliwatt-hour.
func amount(m power.Meter, raw int64) string {
	unit, per := "W", int64(power.Watt)
	if m.Quantity == power.Counter {
		unit, per = "Wh", 3600*int64(power.Joule)
	}
	if m.Scale.Den == 0 {
		return ""
	}
	v := new(big.Rat).Mul(new(big.Rat).SetInt64(raw), big.NewRat(m.Scale.Num, m.Scale.Den))
	text := v.Quo(v, new(big.Rat).SetInt64(per)).FloatString(3)
	return strings.TrimSuffix(strings.TrimRight(text, "0"), ".") + " " + unit
}

// means says what one value is.
func (m meterSurvey) means() string {
	if m.Averaging > 0 {
		return fmt.Sprintf("%s %s", m.Quantity, brief(m.Averaging))
	}
	return m.Quantity.String()
}

// updates says how often the value changes and who says so.
func (m meterSurvey) updates() string {
	switch {
	case m.Update > 0 && m.Bound:
		return "<" + brief(m.Update) + " measured"
	case m.Update > 0:
		return brief(m.Update) + " measured"
	case m.Period > 0:
		return fmt.Sprintf("%s %s", brief(m.Period), m.PeriodFrom)
	}
	return "not known"
}

func (m meterSurvey) gain() string {
	if m.Accuracy < 0 {
		return "unknown"
	}
	return fmt.Sprintf("±%.3g %% %s", 100*m.Accuracy, m.AccuracyFrom)
}

// brief prints a duration with three digits at most.
func brief(d time.Duration) string {
	switch {
	case d >= 10*time.Second:
		return d.Round(time.Second).String()
	case d >= time.Second:
		return d.Round(10 * time.Millisecond).String()
	case d >= 10*time.Millisecond:
		return d.Round(time.Millisecond).String()
	case d >= time.Millisecond:
		return d.Round(10 * time.Microsecond).String()
	}
	return d.Round(100 * time.Nanosecond).String()
}
