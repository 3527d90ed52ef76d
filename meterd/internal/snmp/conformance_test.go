package snmp

import (
	"testing"
	"time"

	"github.com/gosnmp/gosnmp"

	"agentwatt/meterd/internal/sampler"
	"agentwatt/meterd/internal/sourcetest"
	"agentwatt/shared/clock"
)

// OIDs of the PDU that most tests read: a PX2 with one inlet.
const (
	pxPower    = "1.3.6.1.4.1.13742.6.5.2.3.1.4.1.1.5"
	pxEnergy   = "1.3.6.1.4.1.13742.6.5.2.3.1.4.1.1.8"
	pxApparent = "1.3.6.1.4.1.13742.6.5.2.3.1.4.1.1.6"
	pxSerial   = "1.3.6.1.4.1.13742.6.3.2.1.1.4.1"
)

const px = `
1.3.6.1.2.1.1.1.0|4|Raritan PDU, MD:PX2-2146 HW:0x10 FW:4.0.20
1.3.6.1.2.1.1.2.0|6|1.3.6.1.4.1.13742.6
1.3.6.1.4.1.13742.6.3.2.1.1.3.1|4|PX2-2146
1.3.6.1.4.1.13742.6.3.2.1.1.4.1|4|PKE0000001
1.3.6.1.4.1.13742.6.5.2.3.1.4.1.1.5|66|3600
1.3.6.1.4.1.13742.6.5.2.3.1.4.1.1.6|66|3700
1.3.6.1.4.1.13742.6.5.2.3.1.4.1.1.8|66|1000
`

// pdu is a responder that draws 3600 W: one watt-hour a second.
func pdu(t testing.TB) *responder {
	r := serve(t, px)
	r.move(pxPower, pxEnergy, 1, 1, 3600)
	return r
}

func TestConformance(t *testing.T) {
	var r *responder
	sourcetest.Run(t, sourcetest.Case{
		Open: func(t *testing.T) sampler.Source {
			r = pdu(t)
			o := r.options()
			hasty(&o)
			s, err := Open(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			return s
		},
		Now:     func() clock.Stamp { return r.now() },
		Advance: func(_ *testing.T, d time.Duration) { r.advance(d) },
		Allocs:  450, // each answer of gosnmp is some hundred small objects, and the responder is in the same process
		Step:    2 * time.Second,
		Hide:    func(t *testing.T) { r.set(t, pxEnergy) },
		Lose:    func(*testing.T) { r.change(func() { r.silent = true }) },
		Restore: func(*testing.T) { r.change(func() { r.silent = false }) },
		Reset: func(*testing.T) {
			r.change(func() {
				r.motors[0].total = 0
				r.objects[pxEnergy] = gosnmp.SnmpPDU{Name: pxEnergy, Type: gosnmp.Gauge32, Value: uint32(0)}
			})
		},
	})
}
