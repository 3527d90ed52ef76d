package snmp

import "testing"

// One poll of a PDU with one inlet, over loopback: what meterd and gosnmp take together.
func BenchmarkRead(b *testing.B) {
	r := pdu(b)
	s := open(b, r)
	samples, err := s.Read(b.Context(), nil)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if samples, err = s.Read(b.Context(), samples[:0]); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "reads/s")
}
