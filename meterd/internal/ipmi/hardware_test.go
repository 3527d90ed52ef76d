package ipmi

import (
	"testing"

	"agentwatt/meterd/internal/sampler"
	"agentwatt/meterd/internal/sourcetest"
)

// TestHardware reads the BMC of this host, if it has one: METER_REQUIRE=ipmi go test -run Hardware -v.
func TestHardware(t *testing.T) {
	probe, err := Open(t.Context(), Options{})
	sourcetest.RequireOrSkip(t, "ipmi", err)
	for _, n := range probe.Notes(nil) {
		t.Logf("%s %s=%s", n.Device, n.Key, n.Value)
	}
	if err := probe.Close(); err != nil {
		t.Fatal(err)
	}
	sourcetest.Run(t, sourcetest.Case{
		Open: func(t *testing.T) sampler.Source {
			s, err := Open(t.Context(), Options{})
			if err != nil {
				t.Fatal(err)
			}
			return s
		},
		Allocs: -1, // not what is looked at here, and a BMC is slow
		Steps:  5,
	})
}
