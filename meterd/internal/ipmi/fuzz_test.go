package ipmi

import (
	"bytes"
	"testing"

	"github.com/bougou/go-ipmi/pkg/crypto"
	"github.com/bougou/go-ipmi/pkg/protocol"
	"github.com/bougou/go-ipmi/pkg/rmcpplus"

	"agentwatt/shared/power"
)

// Whatever a BMC answers, there is a value or an error, and never both.
func FuzzPower(f *testing.F) {
	for _, seed := range []string{frameNormal, frameOpenBMC, "c1", "00 dc", ""} {
		f.Add([]byte(bytesOf(f, seed)))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := parsePower(b)
		if err == nil && (len(b) < 19 || b[0] != 0 || b[1] != groupDCMI || got.watts < 0 || got.watts >= 0xffff) {
			t.Errorf("% x: %+v", b, got)
		}
		parseCapabilities(b)
		parsePeriods(b)
		parseDeviceID(b)
	})
}

func FuzzSensorRecord(f *testing.F) {
	f.Add(record(1, "Sys Power", factors{m: 4}), byte(200))
	f.Add(record(2, "PSU1 Input Power", factors{m: 8, b: 24, offset: 1, result: -1}), byte(0))
	f.Add(record(3, "P", factors{m: 511, b: -512, offset: 7, result: -8, format: 2})[:60-12], byte(255))
	f.Fuzz(func(t *testing.T, b []byte, x byte) {
		s, err := parseSensor(b)
		if err != nil {
			return
		}
		if s.line.scale.Num <= 0 || s.line.scale.Den <= 0 || s.name == "" || s.line.step <= 0 {
			t.Fatalf("% x: %+v", b, s)
		}
		if w, _ := microwatts(s.line, s.line.count(x)).Float64(); w > 2e6*mostWatts || w < -2e6*mostWatts {
			t.Errorf("% x: %d reads %v uW", b, x, w)
		}
		meters, _, _ := plan("node", identity{}, false, []sensor{s, s})
		if len(meters) != 2 || meters[0].ID == meters[1].ID || meters[0].Scope == power.Rack {
			t.Errorf("% x: %+v", b, meters)
		}
	})
}

func FuzzArea(f *testing.F) {
	f.Add(append([]byte{1, 5, 0}, "\xc4ACME\xc7Board 1\xc1"...), 3)
	f.Add([]byte{0x83, 0x29, 0xdc, 0xa6, 0x42, 0x12}, 0)
	f.Fuzz(func(t *testing.T, b []byte, at int) {
		for _, c := range []byte(parseArea(b, at&0xff)) {
			if c < ' ' || c > '~' {
				t.Errorf("% x: byte %02x", b, c)
			}
		}
	})
}

// FuzzPacket feeds packets to a session: only one that was made with its keys is taken, once.
func FuzzPacket(f *testing.F) {
	_, mine := twoSides(f)
	q := request{netFn: netFnGroup, cmd: cmdPowerReading}
	good, err := mine.seal(q.pack(1))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:headerBytes])
	f.Add(good[:len(good)-1])
	f.Add([]byte{6, 0, 0xff, 7, 6, 0xc0, 1, 0, 0, 0, 1, 0, 0, 0, 5, 0, 1, 2, 3, 4, 5, 0xff, 1, 7})
	f.Fuzz(func(t *testing.T, packet []byte) {
		ours, theirs := twoSides(t)
		if m, ok := ours.unseal(packet); ok {
			t.Errorf("% x: taken as % x", packet, m)
		}
		authentic, err := theirs.authenticate(packet) // from a BMC that is authentic and mad
		if err != nil {
			t.Fatal(err)
		}
		if m, ok := ours.unseal(authentic); ok {
			q.answer(m, 1)
		}
		_, _, _, _, body, _ := header(packet)
		new(rmcpplus.OpenSessionResponse).Unpack(body)
		for _, id := range []int{3, 17} {
			s, _ := newSuite(id)
			(&rmcpplus.RAKPMessage2{AuthAlg: s.auth}).Unpack(body)
			(&rmcpplus.RAKPMessage4{AuthAlg: s.auth}).Unpack(body)
		}
		q.answer(packet, 1)
	})
}

// twoSides returns the keys of both ends of a new session; what the second seals, the first unseals.
func twoSides(t testing.TB) (ours, theirs *keys) {
	t.Helper()
	s, err := newSuite(17)
	if err != nil {
		t.Fatal(err)
	}
	id := number32()
	k1, k2 := crypto.RandomBytes(32), crypto.RandomBytes(32)
	return &keys{suite: s, console: id, k1: k1, k2: k2}, &keys{suite: s, bmc: id, k1: k1, k2: k2}
}

// A packet is taken only as it was sent, and only once.
func TestPacketIsAuthentic(t *testing.T) {
	ours, theirs := twoSides(t)
	message := []byte("0123456789abcdef!")
	packet, err := theirs.seal(message)
	if err != nil {
		t.Fatal(err)
	}
	for i := range packet {
		if i == 1 || i == 2 { // not authenticated: a reserved byte and a sequence number that mean nothing here
			continue
		}
		bad := bytes.Clone(packet)
		bad[i] ^= 0x10
		if _, ok := ours.unseal(bad); ok {
			t.Errorf("a packet with byte %d changed is taken", i)
		}
	}
	if got, ok := ours.unseal(packet); !ok || !bytes.Equal(got, message) {
		t.Errorf("got %q, %v", got, ok)
	}
	if _, ok := ours.unseal(packet); ok {
		t.Error("a packet is taken twice")
	}
	plain := bytes.Clone(packet)
	plain[5] &^= 0xc0
	if _, ok := ours.unseal(plain); ok {
		t.Error("a packet without protection is taken")
	}
}

// An answer is taken only for the request that it answers.
func TestAnswerMatches(t *testing.T) {
	message := func(netFn, cmd, sequence byte) []byte {
		return protocol.BuildIPMIResponse(netFn, cmd, sequence, 0, []byte{groupDCMI})
	}
	good := message(netFnGroup, cmdPowerReading, 5)
	if f, ok := askPower.answer(good, 5); !ok || !bytes.Equal(f, []byte{0, groupDCMI}) {
		t.Errorf("got % x, %v", f, ok)
	}
	for name, m := range map[string][]byte{
		"another sequence number": message(netFnGroup, cmdPowerReading, 4),
		"another command":         message(netFnGroup, cmdCapabilities, 5),
		"another group":           message(netFnSensor, cmdPowerReading, 5),
		"short":                   good[:7],
		"empty":                   nil,
		"the request itself":      askPower.pack(5),
	} {
		if f, ok := askPower.answer(m, 5); ok {
			t.Errorf("%s: taken as % x", name, f)
		}
	}
}
