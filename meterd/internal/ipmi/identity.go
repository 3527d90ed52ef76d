package ipmi

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/bougou/go-ipmi/pkg/types"
)

// Commands that identify a BMC, IPMI 2.0, 20.1, 20.8 and 22.14, and the state of the host, 28.2.
const (
	netFnChassis     = 0x00
	cmdChassisStatus = 0x01
	cmdDeviceID      = 0x01
	cmdDeviceGUID    = 0x08
	cmdSystemGUID    = 0x37
)

// identity is what a BMC says of itself.
type identity struct {
	manufacturer uint32 // IANA enterprise number
	product      uint16
	firmware     string
	guid         string // of the system, or else of the BMC; empty: neither has a usable one
	model        string // of the product or board, for people; empty: not told
}

// identify asks a BMC who it is. Only the first question must be answered: some BMCs are silent where others say no.
func identify(ctx context.Context, ask asker) (identity, error) {
	f, err := ask(ctx, request{netFn: netFnApp, cmd: cmdDeviceID})
	if err != nil {
		return identity{}, err
	}
	id, err := parseDeviceID(f)
	if err != nil {
		return id, fmt.Errorf("ask for the device ID: %w", err)
	}
	for _, cmd := range []byte{cmdSystemGUID, cmdDeviceGUID} {
		if f, err := ask(ctx, request{netFn: netFnApp, cmd: cmd}); err == nil && id.guid == "" {
			if b, err := f.body(16); err == nil {
				id.guid = uuid([16]byte(b))
			}
		}
	}
	id.model = model(ctx, ask)
	return id, nil
}

// parseDeviceID decodes the answer to Get Device ID.
func parseDeviceID(f frame) (identity, error) {
	b, err := f.body(11)
	if err != nil {
		return identity{}, err
	}
	return identity{
		manufacturer: uint32(b[6]) | uint32(b[7])<<8 | uint32(b[8]&0xf)<<16, // 20 bits
		product:      binary.LittleEndian.Uint16(b[9:]),
		firmware:     fmt.Sprintf("%d.%02x", b[2]&0x7f, b[3]), // the minor number is BCD
	}, nil
}

// maker is the manufacturer's name, or its number.
func (id identity) maker() string {
	if name := types.OEM(id.manufacturer).String(); name != "" && id.manufacturer != 0 && !strings.Contains(strings.ToLower(name), "unknown") {
		return name
	}
	return fmt.Sprintf("manufacturer %d", id.manufacturer)
}

// name is for people.
func (id identity) name() string {
	if id.model != "" {
		return id.model
	}
	return fmt.Sprintf("%s, product %d", id.maker(), id.product)
}

// uuid writes a GUID as IPMI 2.0, 20.8, orders it: least significant byte first. One whose bytes are all the same is none.
func uuid(b [16]byte) string {
	var r [16]byte
	same := true
	for i := range b {
		r[i] = b[15-i]
		same = same && b[i] == b[0]
	}
	if same {
		return ""
	}
	h := hex.EncodeToString(r[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// hostOn reports whether the host has power; on where the BMC does not say.
func hostOn(ctx context.Context, ask asker) (bool, error) {
	f, err := ask(ctx, request{netFn: netFnChassis, cmd: cmdChassisStatus})
	if err != nil {
		return true, err
	}
	b, err := f.body(1)
	return err != nil || b[0]&1 != 0, nil
}
