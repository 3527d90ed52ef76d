package amdgpu

import (
	"encoding/binary"
	"fmt"
)

// metrics is what is used of one gpu_metrics table. A field that the table lacks, or that holds all ones, is absent.
type metrics struct {
	format, content uint8
	energy          uint64 // counts of 2^-16 J; absent: ^0
	socket          uint16 // W, as the firmware gives it now; absent: ^0
	average         uint16 // W, filtered; absent: ^0
	firmware        uint64 // the firmware's own clock, 10 ns; absent: ^0
}

const (
	none16 = ^uint16(0)
	none64 = ^uint64(0)
)

// layout says where the fields of one revision are; 0: the revision lacks the field.
type layout struct {
	format, content                   uint8
	size                              uint16
	energy, socket, average, firmware uint16
}

// layouts lists the tables of fixed layout: struct gpu_metrics_v1_N of the kernel's kgd_pp_interface.h, in the byte order and
// with the alignment of the hosts that have such GPUs. Revision 1.6 was changed once; its size tells which it is.
var layouts = []layout{
	{format: 1, content: 3, size: 120, energy: 24, average: 22, firmware: 96},
	{format: 1, content: 4, size: 288, energy: 24, socket: 10, firmware: 232},
	{format: 1, content: 5, size: 360, energy: 88, socket: 10, firmware: 304},
	{format: 1, content: 6, size: 384, energy: 88, socket: 10, firmware: 328},
	{format: 1, content: 6, size: 1664, energy: 16, socket: 10, firmware: 256},
	{format: 1, content: 7, size: 2208, energy: 24, socket: 10, firmware: 288},
	{format: 1, content: 8, size: 3872, energy: 24, socket: 10, firmware: 288},
}

// headerSize is that of struct metrics_table_header: u16 size of the table, u8 format, u8 content revision.
const headerSize = 4

// parse reads one table. Every byte of it is foreign: a table of unknown revision or of another size than its revision has is
// an error, never a guess.
func parse(b []byte) (metrics, error) {
	m := metrics{energy: none64, socket: none16, average: none16, firmware: none64}
	if len(b) < headerSize {
		return m, fmt.Errorf("gpu_metrics of %d bytes has no header", len(b))
	}
	size := binary.LittleEndian.Uint16(b)
	m.format, m.content = b[2], b[3]
	if int(size) > len(b) || size < headerSize {
		return m, fmt.Errorf("gpu_metrics v%d.%d says that it has %d bytes, and has %d", m.format, m.content, size, len(b))
	}
	b = b[:size]
	if m.format == 1 && m.content == 9 {
		return m, m.parseAttributes(b)
	}
	known := false
	for _, l := range layouts {
		if l.format != m.format || l.content != m.content {
			continue
		}
		if known = true; l.size == size {
			l.read(b, &m)
			return m, nil
		}
	}
	if known {
		return m, fmt.Errorf("gpu_metrics v%d.%d has %d bytes, which is not its size", m.format, m.content, size)
	}
	return m, fmt.Errorf("gpu_metrics v%d.%d is not known; known are v1.3 to v1.9", m.format, m.content)
}

// read takes the fields out of a table that has the layout's size.
func (l layout) read(b []byte, m *metrics) {
	m.energy = binary.LittleEndian.Uint64(b[l.energy:])
	m.firmware = binary.LittleEndian.Uint64(b[l.firmware:])
	if l.socket != 0 {
		m.socket = binary.LittleEndian.Uint16(b[l.socket:])
	}
	if l.average != 0 {
		m.average = binary.LittleEndian.Uint16(b[l.average:])
	}
}

// Table v1.9 describes itself: after the header an int32 with the number of attributes, then for each a u64 that says what
// follows (bits 24-31 unit, 20-23 type, 10-19 attribute, 0-9 number of values) and the values, all packed.
// From amdgpu_metrics_attr_id and DECLARE_SMU_METRICS_CLASS.
const (
	attributeSocket   = 3
	attributeEnergy   = 7
	attributeFirmware = 32

	typeU16 = 2
	typeU64 = 6

	mostAttributes = 1024 // the numbers that fit into an encoding
)

// parseAttributes walks through table v1.9. The table must be used up exactly when its attributes are.
func (m *metrics) parseAttributes(b []byte) error {
	if len(b) < headerSize+4 {
		return fmt.Errorf("gpu_metrics v1.9 of %d bytes has no attributes", len(b))
	}
	count := int32(binary.LittleEndian.Uint32(b[headerSize:]))
	if count < 0 || count > mostAttributes {
		return fmt.Errorf("gpu_metrics v1.9 says that it has %d attributes", count)
	}
	at := headerSize + 4
	for range count {
		if len(b)-at < 8 {
			return fmt.Errorf("gpu_metrics v1.9 ends within attribute at %d", at)
		}
		code := binary.LittleEndian.Uint64(b[at:])
		at += 8
		kind, id, values := code>>20&0xf, code>>10&0x3ff, int(code&0x3ff)
		if kind > 7 {
			return fmt.Errorf("gpu_metrics v1.9: attribute %d has unknown type %d", id, kind)
		}
		size := values << (kind / 2) // u8, s8, u16, s16, u32, s32, u64, s64
		if size > len(b)-at {
			return fmt.Errorf("gpu_metrics v1.9 ends within attribute %d", id)
		}
		if values == 1 {
			m.take(id, kind, b[at:])
		}
		at += size
	}
	if at != len(b) {
		return fmt.Errorf("gpu_metrics v1.9 has %d bytes after its last attribute", len(b)-at)
	}
	return nil
}

// take keeps the attribute if it is one that is used, in the type that it has.
func (m *metrics) take(id, kind uint64, value []byte) {
	switch {
	case id == attributeSocket && kind == typeU16:
		m.socket = binary.LittleEndian.Uint16(value)
	case id == attributeEnergy && kind == typeU64:
		m.energy = binary.LittleEndian.Uint64(value)
	case id == attributeFirmware && kind == typeU64:
		m.firmware = binary.LittleEndian.Uint64(value)
	}
}
