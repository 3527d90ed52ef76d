package wire

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"

	"agentwatt/shared/power"
)

// heads are what a batch says of its meters, encoded. A source describes the same meters in batch after batch, and
// encoding them costs as much as many samples, so the Encoder keeps what it wrote.
type heads struct {
	meters  []power.Meter // as they were encoded
	encoded []byte
	ends    []int // in encoded: of the devices and kinds that meter i is the first to name, and of how its series begins

	kinds   [recent]kind   // the kinds written last
	devices [recent]string // the devices written last
	body    []byte         // the message being written
}

// recent is how many kinds and devices the Encoder looks back for one to refer to. A repetition that it misses costs
// bytes, nothing else; a host has few kinds, and its meters come device by device or kind by kind.
const recent = 16

// describe prepares the heads of meters, or returns an error if one of them cannot be encoded.
func (h *heads) describe(meters []power.Meter) error {
	if slices.Equal(h.meters, meters) {
		return nil
	}
	h.meters, h.encoded, h.ends = h.meters[:0], h.encoded[:0], h.ends[:0]
	for i := range meters {
		if err := checkMeter(&meters[i]); err != nil {
			return fmt.Errorf("meter %d: %w", i, err)
		}
	}
	devices, kinds := 0, 0
	for i := range meters {
		device := find(h.devices[:], devices, func(s *string) bool { return *s == meters[i].Device })
		if device == devices {
			h.devices[devices%recent] = meters[i].Device
			h.encoded = protowire.AppendTag(h.encoded, batchDevices, protowire.BytesType)
			h.encoded = protowire.AppendString(h.encoded, meters[i].Device)
			devices++
		}
		k, id := kindOf(&meters[i])
		at := find(h.kinds[:], kinds, func(known *kind) bool { return *known == k })
		if at == kinds {
			h.kinds[kinds%recent] = k
			h.body = appendKind(h.body[:0], &k)
			h.encoded = appendMessage(h.encoded, batchKinds, h.body)
			kinds++
		}
		h.ends = append(h.ends, len(h.encoded))
		h.encoded = appendUint(h.encoded, seriesDevice, uint64(device))
		h.encoded = appendUint(h.encoded, seriesKind, uint64(at))
		h.encoded = appendText(h.encoded, seriesID, id)
		h.ends = append(h.ends, len(h.encoded))
	}
	h.meters = append(h.meters, meters...)
	return nil
}

// of returns what goes before the series of meter i, and how that series begins.
func (h *heads) of(i int) (before, series []byte) {
	from, mid, to := 0, h.ends[2*i], h.ends[2*i+1]
	if i > 0 {
		from = h.ends[2*i-1]
	}
	return h.encoded[from:mid], h.encoded[mid:to]
}

// find returns the position of an entry among the n written so far, of which ring holds the last; n if there is none.
func find[T any](ring []T, n int, is func(*T) bool) int {
	for i := n - 1; i >= max(0, n-len(ring)); i-- {
		if is(&ring[i%len(ring)]) {
			return i
		}
	}
	return n
}

// kindOf splits a meter into its kind and the id that kind and device do not make; empty where they do.
func kindOf(m *power.Meter) (k kind, id string) {
	k.meter = *m
	k.meter.ID, k.meter.Device = "", ""
	if m.Device == "" || len(m.ID) > maxMadeID {
		return k, m.ID
	}
	before, after, found := strings.Cut(m.ID, m.Device)
	if !found {
		return k, m.ID
	}
	k.before, k.after = before, after
	return k, ""
}
