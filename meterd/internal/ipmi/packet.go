package ipmi

import (
	"crypto/aes"
	"encoding/binary"
	"fmt"

	"github.com/bougou/go-ipmi/pkg/crypto"
	"github.com/bougou/go-ipmi/pkg/protocol"
	"github.com/bougou/go-ipmi/pkg/types"
)

// Sizes of an RMCP+ packet, IPMI 2.0, table 13-8.
const (
	rmcpBytes   = 4  // RMCP header
	headerBytes = 16 // RMCP and session header: where the payload begins
	mostPacket  = 1024
	consoleSWID = 0x81 // our address in IPMI messages: remote console software
)

// keys are what protects the packets of a session.
type keys struct {
	suite     suite
	console   uint32 // our session ID, in packets to us
	bmc       uint32 // the BMC's, in packets to it
	k1, k2    []byte // for integrity and for encryption
	sent      uint32 // sequence number of the last packet to the BMC
	delivered uint32 // highest one from it: nothing older is taken again
}

// suite is a cipher suite with integrity and encryption.
type suite struct {
	id        int
	auth      types.AuthAlg
	integrity types.IntegrityAlg
	crypt     types.CryptAlg
	mac       int // bytes of the authentication code
}

func newSuite(id int) (suite, error) {
	s := suite{id: id}
	var known, sized bool
	s.auth, s.integrity, s.crypt, known = types.GetCipherSuiteAlgorithms(types.CipherSuiteID(id))
	s.mac, sized = crypto.IntegrityAuthCodeLen(s.integrity)
	if !known || !sized || s.mac == 0 || s.crypt != types.CryptAlg_AES_CBC_128 {
		return s, fmt.Errorf("cipher suite %d is not supported", id)
	}
	return s, nil
}

// seal makes the packet that carries an IPMI message to the BMC, encrypted and authenticated.
func (k *keys) seal(message []byte) ([]byte, error) {
	payload, err := crypto.EncryptAESPayload(message, k.k2, crypto.RandomBytes(aes.BlockSize))
	if err != nil {
		return nil, err
	}
	return k.authenticate(payload)
}

// authenticate makes the packet around an encrypted payload.
func (k *keys) authenticate(payload []byte) ([]byte, error) {
	k.sent++
	flags := byte(types.PayloadFlagEncrypted | types.PayloadFlagAuthenticated)
	packet := protocol.BuildRMCPPlusPacket(byte(types.PayloadTypeIPMI), flags, k.bmc, k.sent, payload)
	pad := types.IntegrityPadLen(headerBytes-rmcpBytes, len(payload))
	for range pad {
		packet = append(packet, 0xff)
	}
	packet = append(packet, byte(pad), 0x07) // pad length, next header
	mac, err := crypto.SessionIntegrityAuthCode(k.suite.integrity, packet[rmcpBytes:], k.k1, "")
	return append(packet, mac...), err
}

// unseal returns the IPMI message in a packet of this session, and false for any other: not ours, not authentic, seen
// before.
func (k *keys) unseal(packet []byte) ([]byte, bool) {
	id, sequence, kind, flags, payload, ok := header(packet)
	end := len(packet) - k.suite.mac
	protected := flags&types.PayloadFlagEncrypted != 0 && flags&types.PayloadFlagAuthenticated != 0
	if !ok || id != k.console || kind != byte(types.PayloadTypeIPMI) || !protected || end < headerBytes+len(payload) {
		return nil, false
	}
	mac, err := crypto.SessionIntegrityAuthCode(k.suite.integrity, packet[rmcpBytes:end], k.k1, "")
	if err != nil || !crypto.Equal(mac, packet[end:]) || sequence <= k.delivered {
		return nil, false
	}
	k.delivered = sequence
	if len(payload) < 2*aes.BlockSize || len(payload)%aes.BlockSize != 0 {
		return nil, false
	}
	message, err := crypto.DecryptAESPayload(payload, k.k2)
	return message, err == nil
}

// header takes an RMCP+ packet apart, without trust.
func header(packet []byte) (id, sequence uint32, kind, flags byte, payload []byte, ok bool) {
	if len(packet) < headerBytes || packet[0] != 0x06 || packet[3] != 0x07 || packet[4] != byte(types.AuthTypeRMCPPlus) {
		return 0, 0, 0, 0, nil, false
	}
	return protocol.ParseRMCPPlusHeader(packet)
}

// pack makes the IPMI message for r, IPMI 2.0, table 13-8: two addresses, two checksums.
func (r request) pack(sequence byte) []byte {
	m := []byte{protocol.BMCAddr, r.netFn<<2 | r.lun&3, 0, consoleSWID, sequence << 2, r.cmd}
	m[2] = protocol.Checksum(m[:2])
	m = append(m, r.data...)
	return append(m, protocol.Checksum(m[3:]))
}

// answer returns what the BMC answers to r in an IPMI message, and false if the message answers something else.
func (r request) answer(message []byte, sequence byte) (frame, bool) {
	const fixed = 8 // addresses, checksums and the completion code
	if len(message) < fixed || message[1]>>2 != r.netFn|1 || message[4]>>2 != sequence || message[5] != r.cmd {
		return nil, false
	}
	return frame(message[6 : len(message)-1]), true
}

// number32 makes a random session ID that is not 0, which is no session.
func number32() uint32 { return binary.LittleEndian.Uint32(crypto.RandomBytes(4)) | 1 }
