package snmp

import "testing"

// One poll of a PDU with one inlet, over loopback: what meterd and gosnmp take together.
func BenchmarkRead(b *testing.B) {
	r := pdu(b)
	benchmark(b, open(b, r))
}

// The same in version 3 with authentication and privacy, to snmpsim, which is the slower side.
func BenchmarkReadPrivate(b *testing.B) {
	s, err := Open(b.Context(), simOptions(simulate(b), "raritan-pdu"))
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	benchmark(b, s)
}

func benchmark(b *testing.B, s *Source) {
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
