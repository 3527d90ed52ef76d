package snmp

import (
	"errors"
	"strconv"
	"strings"
	"testing"

	"github.com/gosnmp/gosnmp"

	"agentwatt/meterd/internal/sampler"
	"agentwatt/shared/fault"
)

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
