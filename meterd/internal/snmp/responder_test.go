package snmp

import (
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gosnmp/gosnmp"

	"agentwatt/shared/clock"
)

// responder is an SNMP v2c agent over a recorded walk, which stands for the PDU itself. Its clock stands still until
// advance moves it, and with it power and energy: energy is the integral of power.
type responder struct {
	conn net.PacketConn

	mu       sync.Mutex
	objects  map[string]gosnmp.SnmpPDU
	order    []string
	motors   []motor
	ahead    time.Duration // how far advance has moved the clock
	booted   time.Duration // when the device last started, on that clock
	silent   bool          // does not answer
	lose     int           // datagrams to lose
	mostOIDs int           // in one request before it is too big; 0: any
	refuse   string        // OID that makes it refuse a request
	garble   func([]byte) []byte
	lie      func(*gosnmp.SnmpPacket)
	requests int
	asked    []string // OIDs of the last request
}

// serve starts a responder over a walk in snmprec format.
func serve(t testing.TB, walk string) *responder {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &responder{conn: conn, objects: map[string]gosnmp.SnmpPDU{}}
	r.load(t, walk)
	var wg sync.WaitGroup
	wg.Go(r.run)
	t.Cleanup(func() {
		conn.Close()
		wg.Wait()
	})
	return r
}

// load replaces what the device says.
func (r *responder) load(t testing.TB, walk string) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.objects, r.order = map[string]gosnmp.SnmpPDU{}, nil
	for line := range strings.Lines(walk) {
		if line = strings.TrimRight(line, "\r\n"); line == "" || line[0] == '#' {
			continue
		}
		v, err := parseRecord(line)
		if err != nil {
			t.Fatal(err)
		}
		r.put(v)
	}
}

func parseRecord(line string) (gosnmp.SnmpPDU, error) {
	parts := strings.SplitN(line, "|", 3)
	if len(parts) != 3 {
		return gosnmp.SnmpPDU{}, fmt.Errorf("%q is not OID|TAG|VALUE", line)
	}
	tag, err := strconv.Atoi(strings.TrimSuffix(parts[1], "x"))
	v := gosnmp.SnmpPDU{Name: parts[0], Type: gosnmp.Asn1BER(tag)}
	text := parts[2]
	switch {
	case err != nil:
	case strings.HasSuffix(parts[1], "x"):
		v.Value, err = hex.DecodeString(text)
	case tag == 2:
		v.Value, err = strconv.Atoi(text)
	case tag == 4:
		v.Value = text
	case tag == 6, tag == 64:
		v.Value = text
	case tag == 65, tag == 66, tag == 67:
		var n uint64
		n, err = strconv.ParseUint(text, 10, 32)
		v.Value = uint32(n)
	case tag == 70:
		v.Value, err = strconv.ParseUint(text, 10, 64)
	}
	return v, err
}

// put sets one object; the caller holds the lock.
func (r *responder) put(v gosnmp.SnmpPDU) {
	if _, ok := r.objects[v.Name]; !ok {
		at, _ := slices.BinarySearchFunc(r.order, v.Name, compareOIDs)
		r.order = slices.Insert(r.order, at, v.Name)
	}
	r.objects[v.Name] = v
}

// set sets objects, each written as a line of a walk; a line with nothing but an OID takes it away.
func (r *responder) set(t testing.TB, lines ...string) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, l := range lines {
		if !strings.Contains(l, "|") {
			delete(r.objects, l)
			r.order = slices.DeleteFunc(r.order, func(o string) bool { return o == l })
			continue
		}
		v, err := parseRecord(l)
		if err != nil {
			t.Fatal(err)
		}
		r.put(v)
	}
}

// change runs f while the responder rests.
func (r *responder) change(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f()
}

// reboot starts the device again.
func (r *responder) reboot() { r.change(func() { r.booted = r.ahead }) }

func (r *responder) now() clock.Stamp {
	r.mu.Lock()
	defer r.mu.Unlock()
	return clock.At(time.Now()).Add(r.ahead)
}

func (r *responder) address() string { return r.conn.LocalAddr().String() }

func (r *responder) run() {
	buf := make([]byte, 65536)
	for {
		n, from, err := r.conn.ReadFrom(buf)
		if err != nil {
			return
		}
		if out := r.answer(buf[:n]); out != nil {
			_, _ = r.conn.WriteTo(out, from)
		}
	}
}

func (r *responder) answer(in []byte) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	p, err := (&gosnmp.GoSNMP{Version: gosnmp.Version2c}).SnmpDecodePacket(in)
	if err != nil || p.Community != "public" {
		return nil
	}
	r.requests++
	r.asked = r.asked[:0]
	for _, v := range p.Variables {
		r.asked = append(r.asked, strings.TrimPrefix(v.Name, "."))
	}
	if r.lose > 0 {
		r.lose--
		return nil
	}
	if r.silent {
		return nil
	}
	out := &gosnmp.SnmpPacket{Version: gosnmp.Version2c, Community: p.Community, PDUType: gosnmp.GetResponse, RequestID: p.RequestID}
	r.fill(p, out)
	if r.lie != nil {
		r.lie(out)
	}
	b, err := out.MarshalMsg()
	if err != nil {
		panic(err)
	}
	if r.garble != nil {
		b = r.garble(b)
	}
	return b
}

func (r *responder) fill(p, out *gosnmp.SnmpPacket) {
	if i := slices.Index(r.asked, r.refuse); i >= 0 {
		out.Error, out.ErrorIndex, out.Variables = gosnmp.GenErr, uint8(i+1), p.Variables
		return
	}
	if r.mostOIDs > 0 && len(r.asked) > r.mostOIDs {
		out.Error, out.Variables = gosnmp.TooBig, p.Variables
		return
	}
	for _, oid := range r.asked {
		switch p.PDUType {
		case gosnmp.GetRequest:
			out.Variables = append(out.Variables, r.get(oid))
		case gosnmp.GetNextRequest:
			out.Variables = append(out.Variables, r.next(oid))
		case gosnmp.GetBulkRequest:
			for range p.MaxRepetitions {
				v := r.next(oid)
				out.Variables = append(out.Variables, v)
				if oid = v.Name; v.Type == gosnmp.EndOfMibView {
					break
				}
			}
		}
	}
}

func (r *responder) get(oid string) gosnmp.SnmpPDU {
	if oid == sysUpTime {
		return gosnmp.SnmpPDU{Name: oid, Type: gosnmp.TimeTicks, Value: uint32((r.ahead-r.booted).Milliseconds()/10 + 100)}
	}
	if v, ok := r.objects[oid]; ok {
		return v
	}
	return gosnmp.SnmpPDU{Name: oid, Type: gosnmp.NoSuchInstance}
}

func (r *responder) next(oid string) gosnmp.SnmpPDU {
	at, ok := slices.BinarySearchFunc(r.order, oid, compareOIDs)
	if ok {
		at++
	}
	if at >= len(r.order) {
		return gosnmp.SnmpPDU{Name: oid, Type: gosnmp.EndOfMibView}
	}
	return r.objects[r.order[at]]
}

// read returns a file of a walk.
func read(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// options are those for a responder that answers, however busy the machine is.
func (r *responder) options() Options {
	return Options{Name: "pdu-a", Address: r.address(), Community: "public", Timeout: 10 * time.Second, Now: r.now}
}

// hasty gives up soon, for tests in which the responder does not answer.
func hasty(o *Options) { o.Timeout = 400 * time.Millisecond }

// open opens the responder's PDU with all levels.
func open(t testing.TB, r *responder, change ...func(*Options)) *Source {
	t.Helper()
	o := r.options()
	o.Levels = levelNames
	for _, f := range change {
		f(&o)
	}
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}
