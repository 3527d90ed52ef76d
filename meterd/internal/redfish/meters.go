package redfish

import (
	"fmt"
	"strings"

	"agentwatt/shared/power"
)

// part is what a value of a document covers.
type part struct {
	device string
	scope  power.Scope
}

// measure lists the values of the given kinds in the document at uri as meters of one thing, and reports whether there are any.
func (w *walk) measure(uri string, of part, who *thing, ks ...kind) bool {
	if uri == "" {
		return false
	}
	r, err := w.document(uri)
	if err != nil {
		w.lacks(uri, "%v", err)
		return false
	}
	list := r.offers(ks...)
	for _, p := range list {
		w.add(uri, r, p, of, who)
	}
	return len(list) > 0
}

// add makes p, in the document r at uri, a meter.
func (w *walk) add(uri string, r *resource, p point, of part, who *thing) {
	total := of.scope.Headline()
	id := "redfish/" + strings.TrimSuffix(of.device, "/"+p.name()) + "/" + p.name()
	_, around := r.value(p)
	source := string(around.DataSourceUri)
	switch before := w.source[source]; {
	case !total && !w.parts:
		return
	case source != "" && before != "":
		w.lacks(uri, "%s is the same sensor as %s", kinds[p.kind].property, before)
		return
	case p.kind == energy && r.EnergyJoules.Present:
		w.lacks(uri, "EnergykWh is the same counter as EnergyJoules, coarser")
		return
	case w.ids[id]:
		w.lacks(uri, "a second meter would be called %s", id)
		return
	case len(w.meters) >= mostMeters:
		w.lacks(uri, "more than %d meters", mostMeters)
		return
	}
	m := power.Meter{
		ID: id, Device: of.device, Scope: of.scope,
		Name:     strings.Join(strings.Fields(fmt.Sprintf("%s %s %s %s", who.Manufacturer, who.Model, short(uri), p.name())), " "),
		Quantity: kinds[p.kind].quantity, Scale: kinds[p.kind].scale,
		Accuracy: -1,
		Model:    model(who, p),
	}
	w.ids[id] = true
	p.meter = len(w.meters)
	for _, name := range p.pointers(uri) {
		w.pushed[name] = target{p.meter, p.kind}
	}
	at := uri
	if source != "" {
		w.source[source] = id
		w.pushed[source], w.pushed[source+"#/Reading"] = target{p.meter, p.kind}, target{p.meter, p.kind}
		if total {
			if s, ok := w.sensor(&m, p, source, around); ok && s.ReadingTime != "" {
				at, p.own = source, true // one GET for the value and its time
			}
		}
	}
	w.meters = append(w.meters, m)
	w.place(at, p, total)
}

// place puts p into the document at uri.
func (w *walk) place(uri string, p point, total bool) {
	d := w.byURI[uri]
	if d == nil {
		d = &document{uri: uri}
		w.byURI[uri] = d
		w.docs = append(w.docs, d)
	}
	d.points = append(d.points, p)
	d.total = d.total || total
}

// sensor reads the sensor behind an excerpt and puts what it says about itself into the meter.
func (w *walk) sensor(m *power.Meter, p point, uri string, around excerpt) (*resource, bool) {
	s, err := w.document(uri)
	if err != nil {
		w.lacks(uri, "%v", err)
		return nil, false
	}
	if !s.Reading.present {
		w.lacks(uri, "the sensor has no Reading")
		return nil, false
	}
	say := func(key string, value string) {
		if value != "" {
			w.note(m.Device, p.key(key), value)
		}
	}
	interval, known := parseDuration(string(s.SensingInterval))
	if known {
		say("sensing_interval_seconds", seconds(interval))
	}
	// Of a counter it says how often the sensor adds, not how often a step can be seen: that depends on its resolution.
	if known && m.Quantity != power.Counter {
		m.Period, m.PeriodFrom = interval, power.Specification
	}
	w.accuracy(m, s)
	say("reading_accuracy_"+unit(p.kind), s.ReadingAccuracy.text)
	say("accuracy_percent", s.Accuracy.text)
	say("precision_digits", s.Precision.text)
	say("calibration_time", string(s.CalibrationTime))
	say("implementation", string(s.Implementation))
	if n, _, err := count(s.ReadingRangeMax.text, 6); err == nil && n > 0 && m.Quantity != power.Counter {
		m.Limit = power.Power(n)
	}
	return s, true
}

// accuracy turns what the sensor says into a relative error. ReadingAccuracy is the greatest deviation in units of the
// reading, so for a power it is taken relative to the reading now; of a counter, whose reading is an arbitrary sum, it says
// nothing about the gain. The older Accuracy is a percentage of the reading.
func (w *walk) accuracy(m *power.Meter, s *resource) {
	if percent, ok := s.Accuracy.float(); ok && percent > 0 && percent < 100 {
		m.Accuracy, m.AccuracyFrom = percent/100, power.Specification
	}
	absolute, ok := s.ReadingAccuracy.float()
	reading, read := s.Reading.float()
	if ok && read && absolute > 0 && absolute < reading && m.Quantity != power.Counter {
		m.Accuracy, m.AccuracyFrom = absolute/reading, power.Specification
	}
}

func unit(k kind) string {
	switch k {
	case energy:
		return "kwh"
	case joules:
		return "joules"
	}
	return "watts"
}

// model names what meters have in common that err alike.
func model(who *thing, p point) string {
	var parts []string
	for _, s := range []text{who.Manufacturer, who.Model} {
		if s := strings.Join(strings.Fields(strings.ToLower(string(s))), "-"); s != "" {
			parts = append(parts, s)
		}
	}
	if parts == nil {
		parts = []string{"unknown"}
	}
	return "redfish/" + strings.Join(parts, "/") + "/" + kinds[p.kind].id
}
