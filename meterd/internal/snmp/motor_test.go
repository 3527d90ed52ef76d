package snmp

import (
	"time"

	"github.com/gosnmp/gosnmp"
)

// motor makes a power and an energy move.
type motor struct {
	power, energy string
	watts         float64 // one count of power
	joules        float64 // one count of energy
	load          float64 // in watts
	total         float64 // in joules
	counts        bool
}

// move lets a power and an energy follow a load. One count is so many watts, or watt-hours.
func (r *responder) move(power, energy string, watts, wattHours, load float64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := motor{power: power, energy: energy, watts: watts, joules: 3600 * wattHours, load: load, counts: true}
	if v, ok := r.objects[energy]; ok {
		m.total = float64(decode(v).n) * m.joules
	}
	r.motors = append(r.motors, m)
}

// advance lets time pass in the device.
func (r *responder) advance(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ahead += d
	for i := range r.motors {
		m := &r.motors[i]
		if m.counts {
			m.total += m.load * d.Seconds()
		}
		for oid, n := range map[string]float64{m.power: m.load / m.watts, m.energy: m.total / m.joules} {
			if v, ok := r.objects[oid]; ok {
				v.Value = sameType(v, int64(n))
				r.objects[oid] = v
			}
		}
	}
}

func sameType(v gosnmp.SnmpPDU, n int64) any {
	if _, ok := v.Value.(int); ok {
		return int(n)
	}
	return uint32(n)
}
