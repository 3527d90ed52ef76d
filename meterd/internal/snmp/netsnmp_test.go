package snmp

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"agentwatt/meterd/internal/sourcetest"
)

// netSNMP runs net-snmp's agent, which is in C and the fast one, as a PDU with a total of watts and watt-hours.
func netSNMP(t testing.TB) Options {
	t.Helper()
	program := sourcetest.Tool(t, "snmpd")
	dir, address := t.TempDir(), freeAddress(t)
	conf := fmt.Sprintf("rocommunity net 127.0.0.1\nagentaddress udp:%s\nsysobjectid .1.3.6.1.4.1.21239.42.1.52\n", address)
	for _, o := range []struct{ oid, value string }{
		{"1.2.0", `octet_str "3.4.0"`}, {"1.8.0", `octet_str "NET-1"`}, {"1.10.0", `octet_str "SERIAL"`}, {"3.1.1.1.1", "integer 1"},
		{"3.1.1.9.1", "uinteger 1017"}, {"3.1.1.10.1", "uinteger 1067"}, {"3.1.1.11.1", "uinteger 95"}, {"3.1.1.12.1", "uinteger 8483906"},
	} {
		conf += fmt.Sprintf("override .1.3.6.1.4.1.21239.5.2.%s %s\n", o.oid, o.value)
	}
	file := filepath.Join(dir, "snmpd.conf")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SNMP_PERSISTENT_DIR", dir)
	run(t, program, []string{"-f", "-C", "-c", file, "-Lf", filepath.Join(dir, "log"), "-p", filepath.Join(dir, "pid")})
	waitFor(t, address, "net")
	return Options{Name: "net", Address: address, Community: "net"}
}

func TestNetSNMP(t *testing.T) {
	s, err := Open(t.Context(), netSNMP(t))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	want := map[string]string{"snmp/net/unit-1/power": "1017 W rack", "snmp/net/unit-1/energy": "8483906 Wh rack"}
	if diff := cmp.Diff(want, shown(t, s)); diff != "" {
		t.Error(diff)
	}
}

// The same to net-snmp's agent, a process of its own.
func BenchmarkReadNetSNMP(b *testing.B) {
	s, err := Open(b.Context(), netSNMP(b))
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	benchmark(b, s)
}
