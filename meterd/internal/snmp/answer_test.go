package snmp

import (
	"net"
	"os"
	"testing"
	"time"

	"github.com/gosnmp/gosnmp"

	"agentwatt/shared/power"
)

// scripted is a socket on which each read gives one given datagram, and then nothing more comes.
type scripted struct {
	net.Conn
	answers [][]byte
}

func (s *scripted) Read(b []byte) (int, error) {
	if len(s.answers) == 0 {
		return 0, &net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}
	}
	n := copy(b, s.answers[0])
	s.answers = s.answers[1:]
	return n, nil
}

func (s *scripted) Write(b []byte) (int, error)      { return len(b), nil }
func (s *scripted) SetDeadline(time.Time) error      { return nil }
func (s *scripted) SetReadDeadline(time.Time) error  { return nil }
func (s *scripted) SetWriteDeadline(time.Time) error { return nil }

// answering is a client whose device answers with the given datagrams. Its first request has the number 1.
func answering(t testing.TB, answers ...[]byte) *client {
	o, err := Options{Address: "127.0.0.1:9", Community: "public", Retries: -1}.settled()
	if err != nil {
		t.Fatal(err)
	}
	c, err := connect(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	socket := c.snmp.Conn
	t.Cleanup(func() { socket.Close() })
	c.snmp.Conn = &scripted{socket, answers}
	c.snmp.SetRequestID(0)
	return c
}

// Whatever bytes come: no panic, and no value that is not one.
func FuzzAnswer(f *testing.F) {
	for _, v := range []gosnmp.SnmpPDU{
		{Type: gosnmp.Gauge32, Value: uint32(3600)}, {Type: gosnmp.Integer, Value: -1}, {Type: gosnmp.NoSuchInstance},
		{Type: gosnmp.OctetString, Value: "0.061kW"}, {Type: gosnmp.Counter64, Value: ^uint64(0)}, {Type: gosnmp.EndOfMibView},
	} {
		v.Name = "1.3.6.1.4.1.9.1"
		p := &gosnmp.SnmpPacket{Version: gosnmp.Version2c, Community: "public", PDUType: gosnmp.GetResponse, RequestID: 1, Variables: []gosnmp.SnmpPDU{v}}
		b, err := p.MarshalMsg()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte{0x30, 0x82, 0xff, 0xff, 0x02, 0x01, 0x01})
	number, written := Reading{Unit: must(parseUnit("1 W"))}, Reading{Unit: must(parseUnit("1 W")), Text: "kW"}
	f.Fuzz(func(t *testing.T, b []byte) {
		values, err := answering(t, b).get(t.Context(), []string{"1.3.6.1.4.1.9.1"})
		if err == nil && len(values) != 1 {
			t.Fatalf("%d values for one OID", len(values))
		}
		for _, v := range values {
			for _, r := range []*Reading{&number, &written} {
				if raw, status := r.raw(v); raw < 0 || raw != 0 && status != power.OK {
					t.Errorf("%+v is %d, %s", v, raw, status)
				}
			}
			_ = label(v)
		}
		if list, err := answering(t, b).walk(t.Context(), "1.3.6.1.4.1.9", 10); err == nil && len(list) > 10 {
			t.Errorf("a walk of at most 10 has %d", len(list))
		}
	})
}
