package ipmi

import (
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bougou/go-ipmi/pkg/protocol"
	"github.com/bougou/go-ipmi/pkg/types"

	"agentwatt/shared/power"
)

// between puts itself before a BMC: it passes datagrams on, and for each answer sends what answers makes of it.
func between(t *testing.T, n *node, answers func(good []byte) [][]byte) (address string) {
	t.Helper()
	front := silent(t)
	back, err := net.Dial("udp", n.address())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { back.Close() })
	go func() {
		from, to := make([]byte, mostPacket), make([]byte, mostPacket)
		for {
			k, client, err := front.ReadFromUDP(from)
			if err != nil {
				return
			}
			back.Write(from[:k])
			if k, err = back.Read(to); err != nil {
				return
			}
			for _, datagram := range answers(to[:k]) {
				front.WriteToUDP(datagram, client)
			}
		}
	}()
	return front.LocalAddr().String()
}

// Datagrams of a stranger do not get through, and do not harm.
func TestStrangersDatagrams(t *testing.T) {
	n := newNode(t)
	address := between(t, n, func(good []byte) [][]byte {
		return [][]byte{{}, {6, 0, 0xff, 7}, good[:len(good)/2], good[:headerBytes-1],
			{6, 0, 0xff, 7, 6, 0xc0, 1, 0, 0, 0, 1, 0, 0, 0, 5, 0, 1, 2, 3, 4, 5, 0xff, 1, 7}, forged(good), good}
	})
	s := n.open(func(o *Options) { o.Address = address })
	for second := range 10 {
		n.set(func() { n.second = second })
		if got, _ := read(t, s); got[0].Raw != int64(sine(second)) || got[0].Status != power.OK {
			t.Errorf("second %d: %+v, want %d W", second, got[0], int64(sine(second)))
		}
	}
}

// forged is a packet of the session, without encryption and code, that says 1 W in answer to whatever was asked last.
func forged(packet []byte) []byte {
	b := slices.Clone(packet)
	if len(b) < headerBytes || b[5]&0xc0 == 0 {
		return nil
	}
	m := protocol.BuildIPMIResponse(netFnGroup, cmdPowerReading, 0, 0, append([]byte{groupDCMI, 1, 0}, make([]byte, 15)...))
	b = append(b[:headerBytes], m...)
	b[5], b[14], b[15] = 0, byte(len(m)), 0
	return b
}

// A machine that passes for the BMC without knowing the password is found out.
func TestImpostor(t *testing.T) {
	n := newNode(t)
	for _, c := range []struct {
		message types.PayloadType
		at      int // the byte that is not what the real BMC would send
		want    string
	}{
		{types.PayloadTypeRAKPMessage2, 8, "passwords differ"},  // its random number
		{types.PayloadTypeRAKPMessage2, 24, "passwords differ"}, // its GUID
		{types.PayloadTypeRAKPMessage2, 40, "passwords differ"}, // its proof
		{types.PayloadTypeRAKPMessage4, 8, "does not prove"},
		{types.PayloadTypeRmcpOpenSessionResponse, 16, "offers a weaker one"}, // authentication
		{types.PayloadTypeRmcpOpenSessionResponse, 24, "offers a weaker one"}, // integrity
		{types.PayloadTypeRmcpOpenSessionResponse, 32, "offers a weaker one"}, // encryption
		{types.PayloadTypeRmcpOpenSessionResponse, 8, ""},                     // the session's ID: the BMC itself does not know it
	} {
		address := between(t, n, func(good []byte) [][]byte {
			if types.PayloadType(good[5]) == c.message {
				good[headerBytes+c.at] ^= 1
			}
			return [][]byte{good}
		})
		o := n.options()
		o.Address, o.Cipher, o.Timeout = address, 17, 200*time.Millisecond
		s, err := Open(t.Context(), o)
		if err == nil {
			s.Close()
			t.Errorf("byte %d of message %02x: believed", c.at, c.message)
		} else if !strings.Contains(err.Error(), c.want) {
			t.Errorf("byte %d of message %02x: %v, want %q", c.at, c.message, err, c.want)
		}
	}
}
