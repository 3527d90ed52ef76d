package snmp

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"agentwatt/meterd/internal/sampler"
	"agentwatt/shared/power"
)

// spoil makes another device out of a walk: rows are missing, have other indexes and other values.
func spoil(walk string, rng *rand.Rand) string {
	var out strings.Builder
	from, to := fmt.Sprintf(".%d|", 1+rng.IntN(3)), fmt.Sprintf(".%d|", rng.IntN(500))
	for line := range strings.Lines(walk) {
		if !strings.HasPrefix(line, "1.3.6.1.4.1.") {
			out.WriteString(line)
			continue
		}
		oid, value, _ := strings.Cut(line, "|")
		switch rng.IntN(12) {
		case 0:
			continue
		case 1:
			value = "2|-1\n"
		case 2:
			value = []string{"66|4294967295\n", "4|\n", "4|N/A\n", "70|18446744073709551615\n", "5|\n", "2|0\n"}[rng.IntN(6)]
		}
		if rng.IntN(2) == 0 {
			oid = strings.TrimSuffix(strings.Replace(oid+"|", from, to, 1), "|")
		}
		out.WriteString(oid + "|" + value)
	}
	return out.String()
}

// Devices that nobody has seen: Open says that there is nothing, or every meter is one, and every value is the device's own.
func TestSpoiledWalks(t *testing.T) {
	walks, err := filepath.Glob("testdata/*.snmprec")
	if err != nil || len(walks) < 10 {
		t.Fatalf("%d walks, %v", len(walks), err)
	}
	opened := 0
	for seed := range uint64(20) {
		for _, w := range walks {
			rng := rand.New(rand.NewPCG(seed, 1))
			r := serve(t, spoil(read(t, w), rng))
			o := r.options()
			o.Levels = levelNames
			s, err := Open(t.Context(), o)
			if err != nil {
				if !errors.Is(err, sampler.ErrUnavailable) {
					t.Errorf("%s, seed %d: %v", w, seed, err)
				}
				continue
			}
			opened++
			checkSpoiled(t, fmt.Sprintf("%s, seed %d", w, seed), r, s)
			s.Close()
		}
	}
	if opened < 100 {
		t.Errorf("only %d of the devices were opened: the test shows little", opened)
	}
}

func checkSpoiled(t *testing.T, what string, r *responder, s *Source) {
	t.Helper()
	ids, whole := map[string]bool{}, map[string]string{}
	for _, m := range s.Meters() {
		if ids[m.ID] || m.Scale.Num <= 0 || m.Scale.Den <= 0 || m.Device == "" || strings.ContainsAny(m.ID, " \t") {
			t.Errorf("%s: %+v", what, m)
		}
		ids[m.ID] = true
	}
	for _, row := range s.layout.rows {
		if have, ok := whole[row.chain]; row.whole && ok && have != row.level.Power.OID.text+row.level.Energy.OID.text {
			t.Errorf("%s: two tables are the whole of unit %q", what, row.chain)
		}
		if row.whole {
			whole[row.chain] = row.level.Power.OID.text + row.level.Energy.OID.text
		}
	}
	samples, err := s.Read(t.Context(), nil)
	if err != nil || len(samples) != len(s.Meters()) {
		t.Fatalf("%s: %d samples of %d meters, %v", what, len(samples), len(s.Meters()), err)
	}
	for i, x := range samples {
		said := decode(r.objects[s.points[i].oid])
		if x.Status == power.OK && (said.form != integer || said.n != x.Raw) || x.Status != power.OK && x.Raw != 0 {
			t.Errorf("%s: %s reads %d (%s), the device says %+v", what, s.Meters()[i].ID, x.Raw, x.Status, said)
		}
	}
}
