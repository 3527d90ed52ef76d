package amdgpu

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"agentwatt/meterd/internal/sysfs"
)

// place is where one card is in the tree.
type place struct {
	pci   string // address, e.g. "0000:c1:00.0"
	dir   string // its device directory
	hwmon string // its hwmon directory; empty if it has none
}

var (
	cardName   = regexp.MustCompile(`^card[0-9]+$`) // not its connectors, "card0-DP-1", nor renderD128
	pciAddress = regexp.MustCompile(`^[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$`)
)

const amd = "0x1002" // PCI vendor id

// findCards lists the AMD cards under class (/sys/class/drm) in the order of their numbers; none where there is no class. A
// partition of a GPU is a card too, on a platform device "amdgpu_xcp.N": it has no PCI address, and no power.
func findCards(class string) ([]place, error) {
	entries, err := os.ReadDir(class)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	slices.SortFunc(entries, func(a, b os.DirEntry) int {
		return cmp.Or(len(a.Name())-len(b.Name()), cmp.Compare(a.Name(), b.Name())) // card2 before card10
	})
	var list []place
	for _, e := range entries {
		if !cardName.MatchString(e.Name()) {
			continue
		}
		p := place{dir: filepath.Join(class, e.Name(), "device")}
		p.pci = sysfs.Target(p.dir)
		vendor, err := sysfs.Line(filepath.Join(p.dir, "vendor"))
		if err != nil || vendor != amd || !pciAddress.MatchString(p.pci) {
			continue // gone since the directory was read, or not a GPU of AMD's
		}
		p.hwmon = hwmonOf(p.dir)
		list = append(list, p)
	}
	return list, nil
}

// hwmonOf returns the directory of the card's hwmon chip; empty if it has none.
func hwmonOf(dir string) string {
	entries, err := os.ReadDir(filepath.Join(dir, "hwmon"))
	if err != nil {
		return ""
	}
	for _, e := range entries {
		d := filepath.Join(dir, "hwmon", e.Name())
		if name, err := sysfs.Line(filepath.Join(d, "name")); err == nil && name == "amdgpu" {
			return d
		}
	}
	return ""
}
