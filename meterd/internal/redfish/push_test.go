package redfish

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"agentwatt/meterd/internal/sampler"
	"agentwatt/shared/clock"
	"agentwatt/shared/power"
)

// reportOf writes a MetricReport event; each value is "property value offset", with the offset of its Timestamp in seconds
// after the device's start.
func (d *device) reportOf(values ...string) string {
	var list []string
	for _, v := range values {
		var property, value string
		var offset float64
		fmt.Sscan(v, &property, &value, &offset)
		at := d.online.Add(time.Duration(offset*1000) * time.Millisecond).Format(time.RFC3339Nano)
		list = append(list, fmt.Sprintf(`{"MetricProperty": %q, "MetricValue": %q, "Timestamp": %q}`, property, value, at))
	}
	return fmt.Sprintf(`{"@odata.type": "#MetricReport.v1_5_0.MetricReport", "MetricValues": [%s]}`, strings.Join(list, ","))
}

func event(report string) string { return ": ping\r\n\r\nid: 1\ndata: " + report + "\n\n" }

// listening opens the source with its event stream, and returns a function that reads until it sees done.
func listening(t *testing.T, d *device) (*Source, func(done func([]power.Sample) bool)) {
	t.Helper()
	s := d.open(t, func(o *Options) { o.NoPush = false })
	return s, func(done func([]power.Sample) bool) {
		t.Helper()
		for range 6000 {
			got, err := s.Read(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			if done(got) {
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
		t.Fatal("it did not happen in 30 s")
	}
}

// arrive waits until a pushed value waits for the next read.
func arrive(t *testing.T, s *Source) {
	t.Helper()
	for range 6000 {
		s.push.mu.Lock()
		n := len(s.push.waiting)
		s.push.mu.Unlock()
		if n > 0 {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatal("nothing arrived in 30 s")
}

func has(raw int64) func([]power.Sample) bool {
	return func(list []power.Sample) bool {
		return slices.ContainsFunc(list, func(x power.Sample) bool { return x.Raw == raw })
	}
}

// Values that the service sends between two reads come with the next one, in order of time, each once.
func TestPushedValues(t *testing.T) {
	d := host(t)
	s, _ := listening(t, d)
	const property = "/redfish/v1/Chassis/1/Sensors/Power"
	d.events <- event(d.reportOf(property+" 801.5 10", property+"#/Reading 802.5 12", property+" 801.5 10",
		"/redfish/v1/Chassis/1/EnvironmentMetrics#/PowerWatts/Reading 803.5 14", "/elsewhere 1 14", property+" null 15", property+" x 15"))
	arrive(t, s)
	got, err := s.Read(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	last := clock.Stamp(0)
	var seen []string
	for _, x := range got {
		if x.Meter != 0 {
			continue
		}
		if x.Time <= last {
			t.Errorf("out of order: %+v", got)
		}
		last = x.Time
		if x.Raw%1000 == 500 {
			seen = append(seen, fmt.Sprint(x.Raw, x.Device.Sub(clock.At(d.online))))
		}
	}
	if diff := cmp.Diff([]string{"801500 10s", "802500 12s", "803500 14s"}, seen); diff != "" {
		t.Error(diff)
	}
	d.advance(time.Minute)
	d.events <- event(d.reportOf(property+" 803.5 14", property+" 804.5 60", property+" 805.5 62.25"))
	arrive(t, s)
	if got, err = s.Read(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	var when []clock.Stamp
	for _, x := range got {
		if x.Raw%1000 == 500 {
			when = append(when, x.Time)
			if x.Raw == 804_500 && x.Within < time.Millisecond {
				t.Errorf("an older value claims to be known to %v", x.Within)
			}
		}
	}
	if len(when) != 2 || when[1].Sub(when[0]) != 2250*time.Millisecond {
		t.Errorf("pushed at %v, want two values 2.25 s apart; values that were seen before do not count", when)
	}
	if got := notes(s, "event_stream"); !slices.Equal(got, []string{": connected"}) {
		t.Errorf("noted %q", got)
	}
}

// A value that arrived before the last poll of its meter is older than that poll, and does not go back in time behind it.
// What waits when the meters change belongs to the old ones.
func TestPushedValuesThatAreLate(t *testing.T) {
	d := host(t)
	s := d.open(t, func(o *Options) { o.NoPush = false })
	at := d.now()
	read(t, s)
	body := []byte(d.reportOf("/redfish/v1/Chassis/1/Sensors/Power 801.5 10"))
	s.push.take(body, at, at, true)
	if got := s.pushed(nil); len(got) != 0 {
		t.Errorf("late: %+v", got)
	}
	s.push.rename(s.push.names)
	s.push.take(body, d.now(), d.now(), true)
	if got := len(s.push.waiting); got != 1 {
		t.Fatalf("%d values wait", got)
	}
	s.push.rename(s.push.names)
	if got := s.pushed(nil); len(got) != 0 {
		t.Errorf("of other meters: %+v", got)
	}
}

// A device whose clock is set back is still listened to; values without a time are taken as they come.
func TestPushedTimes(t *testing.T) {
	d := host(t)
	s := d.open(t, func(o *Options) { o.NoPush = false })
	const property = "/redfish/v1/Chassis/1/Sensors/Power"
	var got []int64
	for _, values := range [][]string{
		{property + " 801 36000"},
		{property + " 802 35999"},                                             // seen, or out of order
		{property + " 803 10", property + " 804 20"},                          // set back: how old 803 is cannot be known
		{property + " 805 30", property + " 806 31", property + " 807 10000"}, // too old to belong to the last
	} {
		now := d.now()
		s.push.take([]byte(d.reportOf(values...)), now, now, false)
	}
	s.push.take([]byte(`{"MetricValues": [{"MetricProperty": "`+property+`", "MetricValue": "808"}]}`), d.now(), d.now(), false)
	s.push.take([]byte(`{"MetricValues": [{"MetricProperty": "`+property+`", "MetricValue": "809"},
		{"MetricProperty": "`+property+`", "MetricValue": "810", "Timestamp": "2026-03-02T12:00:00Z"}]}`), d.now(), d.now(), false)
	for _, x := range s.pushed(nil) {
		got = append(got, x.Raw/1000)
	}
	if diff := cmp.Diff([]int64{801, 804, 807, 808, 810}, got); diff != "" {
		t.Error(diff)
	}
}

// The stream may be cut: polls go on, and it is connected again.
func TestTheStreamIsCutAndBack(t *testing.T) {
	d := host(t)
	s, until := listening(t, d)
	d.events <- event(d.reportOf("/redfish/v1/Chassis/1/Sensors/Power 801.5 1"))
	until(has(801_500))
	d.events <- "data: {\"MetricValues\": [\n\nevent: x\ndata: nonsense\n\n"
	d.events <- "cut"
	var said []string
	until(func([]power.Sample) bool {
		said = append(said, notes(s, "event_stream")...)
		return len(said) >= 3
	})
	d.advance(time.Minute)
	d.events <- event(d.reportOf("/redfish/v1/Chassis/1/Sensors/Power 802.5 70"))
	until(has(802_500))
	if diff := cmp.Diff([]string{": connected", ": cut: EOF", ": connected"}, said); diff != "" {
		t.Error(diff)
	}
}

// Without an event stream, metric reports are polled; what they held before the first look has no known age.
func TestPolledReports(t *testing.T) {
	d := host(t)
	d.docs["/redfish/v1"]["TelemetryService"] = map[string]any{"@odata.id": "/redfish/v1/TelemetryService"}
	d.docs["/redfish/v1"]["EventService"] = nil
	d.put(map[string]any{"@odata.id": "/redfish/v1/TelemetryService", "Id": "T", "Name": "T",
		"MetricReports": map[string]any{"@odata.id": "/redfish/v1/TelemetryService/MetricReports"}})
	const at = "/redfish/v1/TelemetryService/MetricReports/Power"
	set := func(values ...string) {
		var doc map[string]any
		if err := unmarshal([]byte(d.reportOf(values...)), &doc); err != nil {
			t.Fatal(err)
		}
		doc["@odata.id"] = at
		d.with(func() { d.put(doc) })
	}
	const property = "/redfish/v1/Chassis/1/Sensors/Power"
	set(property+" 801.5 1", property+" 802.5 2")
	s := d.open(t, func(o *Options) { o.NoPush = false })
	var seen []int64
	collect := func() {
		got, err := s.Read(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range got {
			if x.Raw%1000 == 500 {
				seen = append(seen, x.Raw)
			}
		}
		d.advance(10 * time.Second)
	}
	collect()
	collect() // the same report again
	set(property+" 802.5 2", property+" 803.5 7", property+" 804.5 12")
	collect()
	if diff := cmp.Diff([]int64{802_500, 803_500, 804_500}, seen); diff != "" {
		t.Error(diff)
	}
}

// What nobody takes is dropped, and said.
func TestPushIsBounded(t *testing.T) {
	d := host(t)
	s := d.open(t, func(o *Options) { o.NoPush = false })
	for i := range mostWaiting + 10 {
		s.push.take([]byte(d.reportOf(fmt.Sprintf("/redfish/v1/Chassis/1/Sensors/Power 801.5 %d", i+1))), d.now(), d.now(), true)
	}
	if n := len(s.push.waiting); n != mostWaiting {
		t.Errorf("%d values wait", n)
	}
	read(t, s)
	if got := notes(s, "event_stream_lost_values"); !slices.Equal(got, []string{": 10"}) {
		t.Errorf("noted %q", got)
	}
}

// Whatever a report says, the samples are in order of time per meter, and never before what is claimed for them.
func FuzzReport(f *testing.F) {
	f.Add(`{"MetricValues": [{"MetricProperty": "/p", "MetricValue": "1.5", "Timestamp": "2026-03-01T12:00:00Z"},
		{"MetricProperty": "/p", "MetricValue": "2", "Timestamp": "2026-03-01T12:00:01.5Z"}, {"MetricProperty": "/p", "MetricValue": null}]}`)
	f.Add(`{"MetricValues": [{"MetricProperty": "/e", "MetricValue": 7, "Timestamp": "0001-01-01T00:00:00Z"}]}`)
	f.Fuzz(func(t *testing.T, body string) {
		now := clock.At(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
		p := newPush(func() clock.Stamp { return now })
		p.rename(map[string]target{"/p": {0, watts}, "/e": {1, energy}})
		p.take([]byte(body), now-1000, now, true)
		p.take([]byte(body), now, now+1000, false)
		at, _ := sampler.Stamp(now, now+1000)
		last := map[int]clock.Stamp{}
		for _, x := range p.waiting {
			if x.Time > at || x.Time < now.Add(-oldest-time.Second) || x.Within < 0 || x.Time%1000 != 0 || x.Device%1000 != 0 || x.Status != power.OK {
				t.Fatalf("%+v", x)
			}
			if x.Device != 0 && x.Device <= last[x.Meter] {
				t.Fatalf("device times go back: %+v", p.waiting)
			}
			last[x.Meter] = x.Device
		}
	})
}
