package rapl

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"agentwatt/meterd/internal/sensor"
	"agentwatt/meterd/internal/sysfs"
	"agentwatt/shared/power"
)

// zone is one power domain of the powercap tree. AMD processors appear under the same names.
type zone struct {
	dir    string
	domain string // the kernel's name: "package-0", "core", "uncore", "dram", "psys"
	parent string // the domain above it; empty for a package and for psys
}

// The mmio zones ("intel-rapl-mmio:0") are the packages' counters by another way: they count where there are no others.
var (
	zoneName = regexp.MustCompile(`^intel-rapl:([0-9]+)(?::([0-9]+))?$`)
	mmioName = regexp.MustCompile(`^intel-rapl-mmio:([0-9]+)(?::([0-9]+))?$`)
)

// zones lists the domains under class, packages before their parts; none where there is no class.
func zones(class string) ([]zone, error) {
	list, err := zonesNamed(class, zoneName)
	if err == nil && len(list) == 0 {
		return zonesNamed(class, mmioName)
	}
	return list, err
}

func zonesNamed(class string, name *regexp.Regexp) ([]zone, error) {
	entries, err := os.ReadDir(class)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	type place struct{ top, sub int }
	found := map[place]zone{}
	var order []place
	for _, e := range entries {
		m := name.FindStringSubmatch(e.Name())
		if m == nil {
			continue
		}
		p := place{number(m[1]), number(m[2])}
		dir := filepath.Join(class, e.Name())
		domain, err := sysfs.Line(filepath.Join(dir, "name"))
		if err != nil {
			return nil, fmt.Errorf("name the zone: %w", err)
		}
		found[p] = zone{dir: dir, domain: domain}
		order = append(order, p)
	}
	slices.SortFunc(order, func(a, b place) int { return cmp.Or(a.top-b.top, a.sub-b.sub) })
	var list []zone
	for _, p := range order {
		z := found[p]
		if p.sub >= 0 {
			z.parent = found[place{p.top, -1}].domain
		}
		list = append(list, z)
	}
	return list, nil
}

// number reads a zone number; none is -1.
func number(digits string) int {
	if digits == "" {
		return -1
	}
	n, _ := strconv.Atoi(digits) // the pattern admits digits only; one too large sorts last
	return n
}

// scopes says what a domain covers, by the beginning of its name, so that each joule is counted once.
var scopes = []struct {
	domain string
	scope  power.Scope
	model  string
}{
	{"package", power.CPU, "package"},  // the whole socket, its cores and uncore included
	{"dram", power.Memory, "dram"},     // beside the package, not in it
	{"psys", power.Component, "psys"},  // the platform, packages included; how much of it is up to the board, so it is no node
	{"core", power.Component, "core"},  // inside the package; on AMD only one core of it
	{"uncore", power.Component, "gpu"}, // inside the package
	{"", power.Component, "other"},
}

// meter describes the zone's counter.
func (z zone) meter() power.Meter {
	device := z.domain
	if z.parent != "" {
		device = z.parent + "/" + z.domain
	}
	m := power.Meter{
		ID: "rapl/" + device + "/energy", Device: device, Name: "RAPL " + device,
		Quantity: power.Counter, Scale: power.Scale{Num: 1, Den: 1}, // energy_uj counts microjoules
		Limit: z.limit(),
	}
	for _, s := range scopes {
		if strings.HasPrefix(z.domain, s.domain) {
			sensor.Find("rapl", s.model, "energy", "").Describe(&m)
			m.Scope, m.Model = s.scope, "rapl/"+s.model
			break
		}
	}
	if wrap, err := sysfs.Int(filepath.Join(z.dir, "max_energy_range_uj")); err == nil && wrap > 0 {
		m.Wrap = wrap // the file gives the largest value, less than the wrap by the processor's unit, 61 µJ at most
	}
	return m
}

// limit is the largest of the caps that the zone declares or has in force, long-term and short-term: a package may draw
// more than its long-term maximum for a while. 0 if it declares none.
func (z zone) limit() power.Power {
	most := int64(0)
	for n := range 3 {
		for _, what := range []string{"max_power_uw", "power_limit_uw"} {
			if v, err := sysfs.Int(filepath.Join(z.dir, fmt.Sprintf("constraint_%d_%s", n, what))); err == nil {
				most = max(most, v)
			}
		}
	}
	return power.Power(most)
}
