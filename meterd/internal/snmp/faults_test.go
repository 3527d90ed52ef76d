package snmp

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gosnmp/gosnmp"

	"agentwatt/meterd/internal/sampler"
	"agentwatt/shared/fault"
	"agentwatt/shared/power"
)

// step lets a second pass and reads once.
func step(t *testing.T, r *responder, s *Source) []power.Sample {
	t.Helper()
	r.advance(time.Second)
	samples, err := s.Read(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return samples
}

// statuses are those of the samples, in their order.
func statuses(samples []power.Sample) (list []string) {
	for _, x := range samples {
		list = append(list, x.Status.String())
	}
	return list
}

// events are the values of the notes with a key.
func noted(s *Source, key string) (list []string) {
	for _, n := range s.Notes(nil) {
		if n.Key == key {
			list = append(list, n.Value)
		}
	}
	return list
}

func TestOneRequestWithUptimeInFront(t *testing.T) {
	r := pdu(t)
	s := open(t, r)
	step(t, r, s)
	r.change(func() { r.requests = 0 })
	step(t, r, s)
	if r.requests != 1 {
		t.Errorf("%d requests in a read, want 1", r.requests)
	}
	if diff := cmp.Diff([]string{sysUpTime, pxSerial, pxPower, pxEnergy, pxApparent}, dropTimes(r.asked)); diff != "" {
		t.Error(diff)
	}
}

// dropTimes leaves out the columns of the device's time.
func dropTimes(oids []string) []string {
	return slices.DeleteFunc(slices.Clone(oids), func(o string) bool { return strings.Contains(o, ".5.2.3.1.5.") })
}

// One datagram that gets lost is asked for again within the read; a device that stays silent is lost, and asked less often.
func TestSilence(t *testing.T) {
	r := pdu(t)
	s := open(t, r, hasty)
	r.change(func() { r.lose = 1 })
	if got := statuses(step(t, r, s)); !slices.Equal(got, []string{"ok", "ok"}) {
		t.Errorf("after one lost datagram: %q", got)
	}
	r.change(func() { r.silent, r.requests = true, 0 })
	var got []string
	for range 60 {
		got = append(got, statuses(step(t, r, s))[0])
	}
	if got[0] != "failed" || got[1] != "lost" || got[59] != "lost" {
		t.Errorf("a silent device: %q", got)
	}
	// each poll is two datagrams: 2 polls at once, then after 1, 2, 4, 8, 16 and 30 seconds
	if r.requests < 10 || r.requests > 18 {
		t.Errorf("%d datagrams in a minute to a silent device, want about 14", r.requests)
	}
	r.change(func() { r.silent = false })
	for range 31 {
		got = statuses(step(t, r, s))
	}
	if !slices.Equal(got, []string{"ok", "ok"}) {
		t.Errorf("a device that is back: %q", got)
	}
	if diff := cmp.Diff([]string{"lost", "back"}, noted(s, "event")); diff != "" {
		t.Error(diff)
	}
}

// A read of a silent device takes one timeout, however many requests its plan has.
func TestOneTimeoutPerRead(t *testing.T) {
	r := pdu(t)
	s := open(t, r, hasty, func(o *Options) { o.MaxOIDs = 2 })
	if len(s.plan.parts) < 3 {
		t.Fatalf("%d parts, want several", len(s.plan.parts))
	}
	r.change(func() { r.silent, r.requests = true, 0 })
	step(t, r, s)
	if r.requests != 2 {
		t.Errorf("%d datagrams, want one request and its repetition", r.requests)
	}
}

// Cancelling ends a read that waits.
func TestCancelWhileWaiting(t *testing.T) {
	r := pdu(t)
	s := open(t, r, func(o *Options) { o.Timeout = time.Hour })
	r.change(func() { r.silent = true })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	given := []power.Sample{{Raw: 7}}
	got, err := s.Read(ctx, given)
	if !errors.Is(err, context.DeadlineExceeded) || len(got) != 1 {
		t.Errorf("got %v and %d samples, want the context's error and dst as it came", err, len(got))
	}
	r.change(func() { r.silent = false })
	if got := statuses(step(t, r, s)); !slices.Equal(got, []string{"ok", "ok"}) {
		t.Errorf("after a cancelled read: %q", got)
	}
}

// Whatever is wrong with an answer, there is no value, and never 0.
func TestAnswersThatMakeNoSense(t *testing.T) {
	odd := func(i int, v gosnmp.SnmpPDU) func(*gosnmp.SnmpPacket) {
		return func(p *gosnmp.SnmpPacket) {
			if v.Name == "" {
				v.Name = p.Variables[i].Name
			}
			p.Variables[i] = v
		}
	}
	for name, c := range map[string]struct {
		lie    func(*gosnmp.SnmpPacket)
		garble func([]byte) []byte
		want   []string
	}{
		"a text":            {lie: odd(2, gosnmp.SnmpPDU{Type: gosnmp.OctetString, Value: "3600"}), want: []string{"failed", "ok"}},
		"a null":            {lie: odd(2, gosnmp.SnmpPDU{Type: gosnmp.Null}), want: []string{"unsupported", "ok"}},
		"no such object":    {lie: odd(2, gosnmp.SnmpPDU{Type: gosnmp.NoSuchObject}), want: []string{"unsupported", "ok"}},
		"negative":          {lie: odd(2, gosnmp.SnmpPDU{Type: gosnmp.Integer, Value: -5}), want: []string{"unsupported", "ok"}},
		"another OID":       {lie: odd(2, gosnmp.SnmpPDU{Name: "1.3.6.1.9", Type: gosnmp.Integer, Value: 5}), want: []string{"failed", "ok"}},
		"beyond 63 bits":    {lie: odd(2, gosnmp.SnmpPDU{Type: gosnmp.Counter64, Value: ^uint64(0)}), want: []string{"failed", "ok"}},
		"too few":           {lie: func(p *gosnmp.SnmpPacket) { p.Variables = p.Variables[:2] }, want: []string{"failed", "failed"}},
		"not a response":    {lie: func(p *gosnmp.SnmpPacket) { p.PDUType = gosnmp.GetRequest }, want: []string{"failed", "failed"}},
		"another request's": {lie: func(p *gosnmp.SnmpPacket) { p.RequestID ^= 0x55 }, want: []string{"failed", "failed"}},
		"request 0":         {lie: func(p *gosnmp.SnmpPacket) { p.RequestID = 0 }, want: []string{"failed", "failed"}},
		"an error":          {lie: func(p *gosnmp.SnmpPacket) { p.Error = gosnmp.GenErr }, want: []string{"failed", "failed"}},
		"no access":         {lie: func(p *gosnmp.SnmpPacket) { p.Error = gosnmp.NoAccess }, want: []string{"denied", "denied"}},
		"cut":               {garble: func(b []byte) []byte { return b[:len(b)/2] }, want: []string{"failed", "failed"}},
		"one byte":          {garble: func([]byte) []byte { return []byte{0x30} }, want: []string{"failed", "failed"}},
		"long":              {garble: func(b []byte) []byte { return append(b, make([]byte, 9000)...) }, want: []string{"failed", "failed"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := pdu(t)
			s := open(t, r, hasty)
			step(t, r, s)
			r.change(func() { r.lie, r.garble = c.lie, c.garble })
			samples := step(t, r, s)
			if got := statuses(samples); !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
			for _, x := range samples {
				if x.Status != power.OK && x.Raw != 0 {
					t.Errorf("status %s with a value", x.Status)
				}
			}
			r.change(func() { r.lie, r.garble = nil, nil })
			for range 3 {
				samples = step(t, r, s)
			}
			if got := statuses(samples); !slices.Equal(got, []string{"ok", "ok"}) {
				t.Errorf("after good answers: %q", got)
			}
		})
	}
}

func TestRebootIsNoted(t *testing.T) {
	r := pdu(t)
	s := open(t, r)
	for range 5 {
		step(t, r, s)
	}
	r.reboot()
	r.change(func() { r.motors[0].total = 0 })
	samples := step(t, r, s)
	if samples[1].Status != power.OK || samples[1].Raw > 10 {
		t.Errorf("energy after a restart: %+v, want the counter as it is", samples[1])
	}
	if diff := cmp.Diff([]string{"reboot"}, noted(s, "event")); diff != "" {
		t.Error(diff)
	}
}

func TestUptimeThatWrapsIsNoReboot(t *testing.T) {
	for _, c := range []struct {
		before, now int64
		passed      time.Duration
		want        bool
	}{
		{100, 200, time.Second, false},
		{100, 100, time.Second, false},
		{1000, 5, time.Second, true},
		{1<<32 - 50, 50, time.Second, false},
		{1<<32 - 100_000, 50, 1000 * time.Second, false},
		{1<<32 - 100_000, 50, time.Second, true},
	} {
		if got := rebooted(c.before, c.now, c.passed); got != c.want {
			t.Errorf("%d, then %d after %v: %v, want %v", c.before, c.now, c.passed, got, c.want)
		}
	}
}

// Another device at the same address has meters of its own, and nothing that it says is the first one's.
func TestReplacedDevice(t *testing.T) {
	r := pdu(t)
	s := open(t, r)
	step(t, r, s)
	before := s.Meters()
	r.change(func() { r.motors = nil })
	r.load(t, strings.NewReplacer("PKE0000001", "PKE0000002", "|3600", "|1234").Replace(px))
	r.reboot()
	for i := range 200 {
		samples := step(t, r, s)
		if s.Meters()[0].Device == "PKE0000002/inlet-1" {
			if samples[0].Raw != 1234 {
				t.Errorf("the new device reads %d, want 1234", samples[0].Raw)
			}
			break
		}
		if samples[0].Status == power.OK {
			t.Fatalf("read %d: %+v is a value of the other device", i, samples[0])
		}
		if i == 199 {
			t.Fatal("the other device was not found")
		}
		time.Sleep(5 * time.Millisecond) // the search goes on in real time
	}
	if before[0].Device != "PKE0000001/inlet-1" {
		t.Errorf("the list that was returned before has changed: %q", before[0].Device)
	}
	if diff := cmp.Diff([]string{"replaced"}, noted(s, "event")); diff != "" {
		t.Error(diff)
	}
}

// After a restart a device may come up with less than it had; its meters stay, and say that they have no value.
func TestMetersStayAfterARestart(t *testing.T) {
	r := pdu(t)
	s := open(t, r)
	for range 5 {
		step(t, r, s)
	}
	r.reboot()
	r.set(t, pxEnergy)
	var found []string
	for range 300 { // the search begins half a minute after the restart, and goes on in real time
		step(t, r, s)
		if found = append(found, noted(s, "search")...); len(found) > 0 {
			break
		}
		time.Sleep(2 * time.Millisecond)
	}
	if diff := cmp.Diff([]string{"fewer_values"}, found); diff != "" {
		t.Error(diff)
	}
	if got := statuses(step(t, r, s)); !slices.Equal(got, []string{"ok", "unsupported"}) {
		t.Errorf("got %q", got)
	}
}

// A device that finds the requests too big gets smaller ones, each with sysUpTime.
func TestTooBig(t *testing.T) {
	r := serve(t, read(t, "testdata/rnx.snmprec"))
	s := open(t, r)
	r.change(func() { r.mostOIDs = 6 })
	var samples []power.Sample
	for range 5 {
		samples = step(t, r, s)
	}
	if slices.Contains(statuses(samples), "failed") {
		t.Errorf("got %q, want values in smaller requests", statuses(samples))
	}
	for _, p := range s.plan.parts {
		if p[0] != sysUpTime || len(p) > 6 {
			t.Errorf("a request asks %q", p)
		}
	}
}

// A value that makes the device refuse the whole request is left out for a minute; the others come.
func TestRefusedValue(t *testing.T) {
	r := pdu(t)
	s := open(t, r)
	r.change(func() { r.refuse = pxEnergy })
	step(t, r, s)
	if got := statuses(step(t, r, s)); !slices.Equal(got, []string{"ok", "failed"}) {
		t.Errorf("got %q", got)
	}
	r.change(func() { r.refuse = "" })
	var samples []power.Sample
	for range 62 {
		samples = step(t, r, s)
	}
	if got := statuses(samples); !slices.Equal(got, []string{"ok", "ok"}) {
		t.Errorf("a minute later: %q", got)
	}
}

func TestOpenSaysWhy(t *testing.T) {
	unknown := serve(t, "1.3.6.1.2.1.1.1.0|4|A printer\n1.3.6.1.2.1.1.2.0|6|1.3.6.1.4.1.11.2.3.9.1\n")
	silent := serve(t, px)
	silent.change(func() { silent.silent = true })
	known := serve(t, px)
	for _, c := range []struct {
		name, want, hint string
		r                *responder
		change           func(*Options)
	}{
		{"unknown", `no profile for sysObjectID "1.3.6.1.4.1.11.2.3.9.1" (A printer)`, "write a profile", unknown, nil},
		{"silent", "no answer", "check the address", silent, nil},
		{"community", "no answer", "check the address", known, func(o *Options) { o.Community = "wrong" }},
		{"no address", "no address", "", known, func(o *Options) { o.Address = "" }},
		{"level", `level "rack" is not one of`, "", known, func(o *Options) { o.Levels = []string{"rack"} }},
		{"port", "is not a port", "", known, func(o *Options) { o.Address = "127.0.0.1:x" }},
		{"key", "shorter than 8", "", known, func(o *Options) { o.User, o.AuthKey = "u", "short" }},
		{"profile", "no such file", "", known, func(o *Options) { o.Profiles = []string{"testdata/none.yaml"} }},
	} {
		o := c.r.options()
		hasty(&o)
		if c.change != nil {
			c.change(&o)
		}
		_, err := Open(t.Context(), o)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(fault.Advice(err), c.hint) {
			t.Errorf("%s: got %v, hint %q", c.name, err, fault.Advice(err))
		}
		if c.hint != "" && !errors.Is(err, sampler.ErrUnavailable) {
			t.Errorf("%s: %v does not say not available", c.name, err)
		}
	}
}

// A walk in a circle, or a table without end, ends.
func TestWalksEnd(t *testing.T) {
	r := pdu(t)
	o, err := r.options().settled()
	if err != nil {
		t.Fatal(err)
	}
	c, err := connect(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	r.change(func() {
		r.lie = func(p *gosnmp.SnmpPacket) {
			for i := range p.Variables {
				p.Variables[i] = gosnmp.SnmpPDU{Name: "1.3.6.1.4.1.13742.6.1", Type: gosnmp.Integer, Value: 1}
			}
		}
	})
	if _, err := c.walk(t.Context(), "1.3.6.1.4.1.13742.6", mostRows); !errors.Is(err, errGarbled) {
		t.Errorf("a circle: %v", err)
	}
	n := 0
	r.change(func() {
		r.lie = func(p *gosnmp.SnmpPacket) {
			for i := range p.Variables {
				n++
				p.Variables[i] = gosnmp.SnmpPDU{Name: "1.3.6.1.4.1.13742.6." + strconv.Itoa(n), Type: gosnmp.Integer, Value: 1}
			}
		}
	})
	if list, err := c.walk(t.Context(), "1.3.6.1.4.1.13742.6", mostRows); err != nil || len(list) != mostRows {
		t.Errorf("without end: %d values, %v; want %d", len(list), err, mostRows)
	}
}
