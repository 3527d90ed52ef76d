package amdgpu

import (
	"encoding/binary"
	"strings"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"
)

// The kernel's structures, field by field as in kgd_pp_interface.h: the compiler puts the fields where the kernel's does, so
// that the offsets in layouts are checked against something that was not counted by hand.
type (
	header struct {
		Size            uint16
		Format, Content uint8
	}
	v13 struct {
		header
		Temperature           [6]uint16
		Activity              [3]uint16
		AverageSocketPower    uint16
		EnergyAccumulator     uint64
		SystemClockCounter    uint64
		AverageClock, Current [7]uint16
		ThrottleStatus        uint32
		Fan, LinkWidth, Speed uint16
		_                     uint16
		GfxAcc, MemAcc        uint32
		TemperatureHBM        [4]uint16
		FirmwareTimestamp     uint64
		Voltage               [3]uint16
		_                     uint16
		IndepThrottle         uint64
	}
	head struct { // of v1.4 and later
		header
		Temperature     [3]uint16
		CurrSocketPower uint16
		Gfx, Umc        uint16
	}
	clocks struct {
		LinkWidth, LinkSpeed, XgmiWidth, XgmiSpeed uint16
		GfxAcc, MemAcc                             uint32
		Pcie                                       [5]uint64
	}
	residencies struct{ Accumulation, Prochot, Ppt, Socket, VR, HBM uint32 }
	current     struct {
		Gfx            [8]uint16
		Soc, VCLK, DCL [4]uint16
		Uclk           uint16
		Partitions     uint16 // padding before v1.6
	}
	v14 struct {
		head
		Vcn                                   [4]uint16
		EnergyAccumulator, SystemClockCounter uint64
		Throttle, Lock                        uint32
		clocks
		XgmiRead, XgmiWrite [8]uint64
		FirmwareTimestamp   uint64
		current
	}
	v15 struct {
		head
		Vcn                                   [4]uint16
		Jpeg                                  [32]uint16
		EnergyAccumulator, SystemClockCounter uint64
		Throttle, Lock                        uint32
		clocks
		NakSent, NakReceived uint32
		XgmiRead, XgmiWrite  [8]uint64
		FirmwareTimestamp    uint64
		current
	}
	v16first struct {
		head
		Vcn                                   [4]uint16
		Jpeg                                  [32]uint16
		EnergyAccumulator, SystemClockCounter uint64
		residencies
		Throttle, Lock uint32
		clocks
		NakSent, NakReceived uint32
		XgmiRead, XgmiWrite  [8]uint64
		FirmwareTimestamp    uint64
		current
	}
	partition struct { // struct amdgpu_xcp_metrics
		GfxBusy   [8]uint32
		Jpeg      [32]uint16
		Vcn       [4]uint16
		GfxBusyAc [8]uint64
	}
	v16 struct {
		head
		EnergyAccumulator, SystemClockCounter uint64
		residencies
		Lock uint32
		clocks
		NakSent, NakReceived uint32
		XgmiRead, XgmiWrite  [8]uint64
		FirmwareTimestamp    uint64
		current
		Xcp      [8]partition
		OtherEnd uint32
	}
	v17 struct {
		head
		Bandwidth                             uint64
		EnergyAccumulator, SystemClockCounter uint64
		residencies
		Lock uint32
		clocks
		NakSent, NakReceived uint32
		XgmiRead, XgmiWrite  [8]uint64
		XgmiStatus           [8]uint16
		_                    uint16
		FirmwareTimestamp    uint64
		current
		Xcp [8]struct {
			partition
			BelowHostLimit [8]uint64
		}
		OtherEnd uint32
	}
	v18 struct {
		head
		Bandwidth                             uint64
		EnergyAccumulator, SystemClockCounter uint64
		residencies
		Lock uint32
		clocks
		NakSent, NakReceived uint32
		XgmiRead, XgmiWrite  [8]uint64
		XgmiStatus           [8]uint16
		_                    uint16
		FirmwareTimestamp    uint64
		current
		Xcp [8]struct {
			GfxBusy    [8]uint32
			Jpeg       [40]uint16
			Vcn        [4]uint16
			GfxBusyAcc [8]uint64
			Below      [4][8]uint64
		}
		OtherEnd uint32
	}
)

// bytesOf returns the memory of a table after its header was set; what was not set before is all ones, as the driver leaves it.
func bytesOf[T any](content uint8, set func(*T)) []byte {
	var table T
	b := unsafe.Slice((*byte)(unsafe.Pointer(&table)), unsafe.Sizeof(table))
	for i := range b {
		b[i] = 0xff
	}
	binary.LittleEndian.PutUint16(b, uint16(len(b)))
	b[2], b[3] = 1, content
	set(&table)
	return b
}

// blob makes a table of the named revision with these values; it is the driver's side in all tests of this package.
func blob(revision string, energy uint64, watts uint16, firmware uint64) []byte {
	switch revision {
	case "1.3":
		return bytesOf(3, func(t *v13) { t.EnergyAccumulator, t.AverageSocketPower, t.FirmwareTimestamp = energy, watts, firmware })
	case "1.4":
		return bytesOf(4, func(t *v14) { t.EnergyAccumulator, t.CurrSocketPower, t.FirmwareTimestamp = energy, watts, firmware })
	case "1.5":
		return bytesOf(5, func(t *v15) { t.EnergyAccumulator, t.CurrSocketPower, t.FirmwareTimestamp = energy, watts, firmware })
	case "1.6 at first":
		return bytesOf(6, func(t *v16first) {
			t.EnergyAccumulator, t.CurrSocketPower, t.FirmwareTimestamp = energy, watts, firmware
		})
	case "1.6":
		return bytesOf(6, func(t *v16) { t.EnergyAccumulator, t.CurrSocketPower, t.FirmwareTimestamp = energy, watts, firmware })
	case "1.7":
		return bytesOf(7, func(t *v17) { t.EnergyAccumulator, t.CurrSocketPower, t.FirmwareTimestamp = energy, watts, firmware })
	case "1.8":
		return bytesOf(8, func(t *v18) { t.EnergyAccumulator, t.CurrSocketPower, t.FirmwareTimestamp = energy, watts, firmware })
	case "1.9":
		return attributes(energy, watts, firmware)
	}
	panic(revision)
}

func revisions() []string {
	return []string{"1.3", "1.4", "1.5", "1.6 at first", "1.6", "1.7", "1.8", "1.9"}
}

// attributes makes a table v1.9 with some attributes beside those that are read, arrays among them.
func attributes(energy uint64, watts uint16, firmware uint64) []byte {
	b := []byte{0, 0, 1, 9, 6, 0, 0, 0}
	add := func(unit, kind, id, values uint64, data []byte) {
		b = binary.LittleEndian.AppendUint64(b, unit<<24|kind<<20|id<<10|values)
		b = append(b, data...)
	}
	le := binary.LittleEndian
	add(2, 2, 0, 1, le.AppendUint16(nil, 45)) // hottest temperature
	add(3, 2, 3, 1, le.AppendUint16(nil, watts))
	add(0, 6, 7, 1, le.AppendUint64(nil, energy))
	add(9, 6, 29, 8, make([]byte, 64)) // data over eight links
	add(0, 4, 15, 1, make([]byte, 4))
	add(5, 6, 32, 1, le.AppendUint64(nil, firmware))
	le.PutUint16(b, uint16(len(b)))
	return b
}

func TestParse(t *testing.T) {
	const energy, firmware = 0x123456789abcde, 0x1122334455667788
	for _, revision := range revisions() {
		got, err := parse(append(blob(revision, energy, 613, firmware), make([]byte, 100)...))
		if err != nil {
			t.Errorf("v%s: %v", revision, err)
			continue
		}
		want := metrics{format: 1, content: revision[2] - '0', energy: energy, socket: 613, average: none16, firmware: firmware}
		if revision == "1.3" {
			want.socket, want.average = none16, 613
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(metrics{})); diff != "" {
			t.Errorf("v%s (-want +got):\n%s", revision, diff)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	good := blob("1.4", 1, 2, 3)
	change := func(at int, v byte) []byte {
		b := append([]byte(nil), good...)
		b[at] = v
		return b
	}
	short := attributes(1, 2, 3)
	wrong := append([]byte(nil), short...)
	wrong[8+2] = 0xf0 // the type of the first attribute
	many := append([]byte(nil), short...)
	many[4] = 7
	few := append([]byte(nil), short...)
	few[4] = 5
	negative := append([]byte(nil), short...)
	negative[7] = 0x80
	tests := []struct {
		name string
		b    []byte
		want string
	}{
		{"nothing", nil, "0 bytes has no header"},
		{"half a header", good[:3], "3 bytes has no header"},
		{"cut off", good[:100], "says that it has 288 bytes, and has 100"},
		{"no size", change(0, 0), "which is not its size"}, // 256: the high byte stays
		{"size of its header", []byte{2, 0, 1, 4}, "says that it has 2 bytes"},
		{"another revision's size", change(3, 5), "v1.5 has 288 bytes, which is not its size"},
		{"newer revision", change(3, 10), "v1.10 is not known"},
		{"older revision", change(3, 1), "v1.1 is not known"},
		{"APU", change(2, 2), "v2.4 is not known"},
		{"v1.9 without attributes", []byte{4, 0, 1, 9}, "has no attributes"},
		{"v1.9 with an unknown type", wrong, "unknown type 15"},
		{"v1.9 with one attribute too many", many, "ends within attribute"},
		{"v1.9 with one too few", few, "bytes after its last attribute"},
		{"v1.9 with a negative number of them", negative, "attributes"},
	}
	for _, test := range tests {
		if m, err := parse(test.b); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %+v, %v; want an error with %q", test.name, m, err, test.want)
		}
	}
}

// FuzzParse: whatever the bytes, there is no panic, and what is accepted is what its header says.
func FuzzParse(f *testing.F) {
	for _, revision := range revisions() {
		b := blob(revision, 1<<40, 500, 1<<30)
		f.Add(b[:min(len(b), 400)])
	}
	f.Add([]byte{8, 0, 1, 9, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := parse(b)
		if err != nil {
			return
		}
		if int(binary.LittleEndian.Uint16(b)) > len(b) || m.format != b[2] || m.content != b[3] {
			t.Errorf("accepted %x as %+v", b[:min(len(b), 16)], m)
		}
		if m.socket != none16 && m.average != none16 {
			t.Errorf("both kinds of power in one table: %+v", m)
		}
	})
}
