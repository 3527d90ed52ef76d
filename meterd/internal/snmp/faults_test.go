package snmp

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gosnmp/gosnmp"

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
