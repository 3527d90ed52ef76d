//go:build linux && cgo

package amdsmi

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// layout says where the library puts what is used of amdsmi_power_info_t: offsets of uint32 in watts.
type layout struct {
	name             string // the first version that has it
	current, average int
	board            int // ubb_power; 0: the layout has none
}

// The layouts, from amdsmi.h of the releases named: 23.4 and 24.5 to 24.7 (ROCm 6.0 to 6.3) begin with the current and the
// average power; 25 (ROCm 6.4) has a uint64 before them; 26 (ROCm 7) has the same, and between 26.1 and 26.5 the power of the
// baseboard moved into what was padding; 27 (ROCm 10) keeps all that. Before 23.4 there was an average only.
var (
	layout24 = layout{name: "23.4", current: 0, average: 4}
	layout25 = layout{name: "25", current: 8, average: 12}
	layout26 = layout{name: "26", current: 8, average: 12, board: 44}
)

// layoutOf chooses the layout by the first words of amdsmi_version_t. Up to 25 these are year, major, minor and release; 25
// has its major number twice, since it stopped counting years, and 26 left the year out.
func layoutOf(w [4]uint32) (l layout, version string, err error) {
	switch {
	case w[0] == 23 && w[1] >= 4, w[0] == 24:
		return layout24, fmt.Sprintf("%d.%d.%d.%d", w[0], w[1], w[2], w[3]), nil
	case w[0] == 25 && w[1] == 25:
		return layout25, fmt.Sprintf("%d.%d.%d", w[1], w[2], w[3]), nil
	case w[0] == 26, w[0] == 27:
		return layout26, fmt.Sprintf("%d.%d.%d", w[0], w[1], w[2]), nil
	}
	return layout{}, "", fmt.Errorf("version %d.%d.%d is not known, and so is where it puts its values; known are 23.4, 24, 25.2 to 27",
		w[0], w[1], w[2])
}

// watts reads the power at an offset. The library marks what is not there with all ones of the field, or of the 16 bits
// that the kernel has for it.
func watts(info []byte, offset int) (w int64, ok bool) {
	v := binary.NativeEndian.Uint32(info[offset:])
	return int64(v), v != 0xffff && v != 0xffffffff
}

// limits reads amdsmi_power_cap_info_t: the limit in force and the highest that can be set, in watts; 0: not known. The
// members are microwatts, and were watts before ROCm 6.1.2: no GPU has a limit below 0.1 W or above 100 kW, which tells.
func limits(info []byte) (force, most int64) {
	read := func(member int) int64 {
		v := binary.NativeEndian.Uint64(info[8*member:])
		switch {
		case v < 100_000:
			return int64(v)
		case v < 100_000_000_000:
			return int64((v + 500_000) / 1_000_000)
		}
		return 0
	}
	return read(0), read(4)
}

// printable returns the text at the beginning of b: printable ASCII up to anything else, at most 64 characters.
func printable(b []byte) []byte {
	b = b[:min(len(b), 64)]
	for i, c := range b {
		if c < ' ' || c > '~' {
			b = b[:i]
			break
		}
	}
	return bytes.TrimSpace(b)
}
