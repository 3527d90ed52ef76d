package ipmi

import (
	"context"
	"errors"
	"fmt"

	"github.com/bougou/go-ipmi/pkg/crypto"
	"github.com/bougou/go-ipmi/pkg/protocol"
	"github.com/bougou/go-ipmi/pkg/rmcpplus"
	"github.com/bougou/go-ipmi/pkg/types"

	"agentwatt/meterd/internal/sampler"
)

// ErrRefused is wrapped by errors of a BMC that refuses the user, the password or the privilege. It must not be
// tried again and again: BMCs lock accounts.
var ErrRefused = fmt.Errorf("the BMC refuses the user, the password or the privilege: %w", sampler.ErrRefused)

// errSuite is a BMC's refusal of a cipher suite.
var errSuite = errors.New("the BMC refuses the cipher suite")

// open makes a session with one cipher suite: Open Session and the four RAKP messages, IPMI 2.0, 13.17 to 13.24. The
// password is proved by both sides and never sent.
func (s *session) open(ctx context.Context, o Options, id int) error {
	chosen, err := newSuite(id)
	if err != nil {
		return err
	}
	s.keys = keys{suite: chosen, console: number32()}
	level := types.PrivilegeLevel(privileges[o.Privilege])
	if err := s.openSession(ctx, level); err != nil {
		return err
	}
	first := &rmcpplus.RAKPMessage1{
		MessageTag: 1, ManagedSystemSessionID: s.keys.bmc, NameOnlyLookup: true,
		RequestedMaximumPrivilegeLevel: level,
		UsernameLength:                 uint8(len(o.User)), Username: []byte(o.User),
		RemoteConsoleRandomNumber: [16]byte(crypto.RandomBytes(16)),
	}
	second, err := s.challenge(ctx, first, o.Password)
	if err != nil {
		return err
	}
	return s.prove(ctx, first, second, o.Password)
}

// openSession agrees on the algorithms and exchanges session IDs.
func (s *session) openSession(ctx context.Context, level types.PrivilegeLevel) error {
	k := &s.keys
	ask := &rmcpplus.OpenSessionRequest{RemoteConsoleSessionID: k.console, RequestedMaximumPrivilegeLevel: level}
	ask.AuthenticationPayload, ask.IntegrityPayload, ask.ConfidentialityPayload =
		rmcpplus.NewAlgorithmPayloads(k.suite.auth, k.suite.integrity, k.suite.crypt)
	var got rmcpplus.OpenSessionResponse
	err := s.plain(ctx, types.PayloadTypeRmcpOpenSessionRequest, types.PayloadTypeRmcpOpenSessionResponse, ask.Pack(),
		func(b []byte) bool { return got.Unpack(b) == nil && got.RemoteConsoleSessionID == k.console })
	if err == nil && (types.AuthAlg(got.AuthAlg) != k.suite.auth || types.IntegrityAlg(got.IntegrityAlg) != k.suite.integrity ||
		types.CryptAlg(got.CryptAlg) != k.suite.crypt) {
		err = fmt.Errorf("%w %d and offers a weaker one", errSuite, k.suite.id)
	}
	if err != nil {
		return fmt.Errorf("open a session: %w", err)
	}
	k.bmc = got.ManagedSystemSessionID
	return nil
}

// challenge names the user, and checks that the BMC knows the password too.
func (s *session) challenge(ctx context.Context, first *rmcpplus.RAKPMessage1, password string) (*rmcpplus.RAKPMessage2, error) {
	k := &s.keys
	got := &rmcpplus.RAKPMessage2{AuthAlg: k.suite.auth}
	err := s.plain(ctx, types.PayloadTypeRAKPMessage1, types.PayloadTypeRAKPMessage2, first.Pack(), func(b []byte) bool {
		return got.Unpack(b) == nil && got.RemoteConsoleSessionID == k.console
	})
	if err != nil {
		return nil, fmt.Errorf("name the user: %w", err)
	}
	want, err := crypto.RAKP2AuthCode(k.suite.auth, k.console, k.bmc, first.RemoteConsoleRandomNumber[:],
		got.ManagedSystemRandomNumber[:], got.ManagedSystemGUID[:], first.Role(), string(first.Username), crypto.PadPassword20([]byte(password)))
	if err != nil || !crypto.Equal(want, got.KeyExchangeAuthenticationCode) {
		return nil, errors.Join(fmt.Errorf("check the BMC's answer: the passwords differ: %w", ErrRefused), err)
	}
	s.id = uuid(got.ManagedSystemGUID)
	return got, nil
}

// prove shows the BMC that we know the password, and derives the keys.
func (s *session) prove(ctx context.Context, first *rmcpplus.RAKPMessage1, second *rmcpplus.RAKPMessage2, password string) error {
	k := &s.keys
	kuid := crypto.PadPassword20([]byte(password))
	user, role, ours, theirs := string(first.Username), first.Role(), first.RemoteConsoleRandomNumber[:], second.ManagedSystemRandomNumber[:]
	proof, err := crypto.RAKP3AuthCode(k.suite.auth, theirs, k.console, role, user, kuid)
	if err != nil {
		return err
	}
	sik, k1, k2, err := crypto.DeriveSessionKeys(k.suite.auth, ours, theirs, role, user, kuid)
	if err != nil {
		return err
	}
	want, err := crypto.RAKP4ICV(k.suite.auth, ours, k.bmc, second.ManagedSystemGUID[:], sik)
	if err != nil {
		return err
	}
	third := rmcpplus.RAKPMessage3{MessageTag: 2, ManagedSystemSessionID: k.bmc, KeyExchangeAuthenticationCode: proof}
	got := rmcpplus.RAKPMessage4{AuthAlg: k.suite.auth}
	err = s.plain(ctx, types.PayloadTypeRAKPMessage3, types.PayloadTypeRAKPMessage4, third.Pack(), func(b []byte) bool {
		return got.Unpack(b) == nil && got.MgmtConsoleSessionID == k.console
	})
	if err == nil && !crypto.Equal(want, got.IntegrityCheckValue) {
		err = errors.New("the BMC does not prove that it knows the session's key")
	}
	if err != nil {
		return fmt.Errorf("prove the password: %w", err)
	}
	k.k1, k.k2 = k1, k2
	return nil
}

// plain sends a message of the handshake, which has no session yet, and waits for a refusal or the answer that accept
// takes. Both begin with the tag of the message and a status; a refusal may end there, as ipmi_sim's do.
func (s *session) plain(ctx context.Context, kind, want types.PayloadType, payload []byte, accept func([]byte) bool) error {
	packet := protocol.BuildRMCPPlusPacket(byte(kind), 0, 0, 0, payload)
	var status types.RmcpStatusCode
	err := s.exchange(ctx, func() ([]byte, error) { return packet, nil }, func(p []byte) bool {
		id, _, got, flags, body, ok := header(p)
		if !ok || id != 0 || got != byte(want) || flags != got || len(body) < 2 || body[0] != payload[0] {
			return false
		}
		status = types.RmcpStatusCode(body[1])
		return status != types.RmcpStatusCodeNoErrors || accept(body)
	})
	if err != nil {
		return err
	}
	return refusal(status)
}

// refusal makes an error of a status that is not 0, IPMI 2.0, table 13-15.
func refusal(status types.RmcpStatusCode) error {
	switch status {
	case types.RmcpStatusCodeNoErrors:
		return nil
	case types.RmcpStatusCodeInvalidAuthAlg, types.RmcpStatusCodeInvalidIntegrityAlg, types.RmcpStatusCodeInvalidConfidentAlg,
		types.RmcpStatusCodeNoMatchingAuthPayload, types.RmcpStatusCodeNoMatchingIntegrityPayload, types.RmcpStatusCodeNoCipherSuiteMatch:
		return fmt.Errorf("%w: %s", errSuite, status)
	case types.RmcpStatusCodeInvalidRole, types.RmcpStatusCodeUnauthorizedRoleOfPriLevel, types.RmcpStatusCodeInvalidNameLength,
		types.RmcpStatusCodeUnauthorizedName, types.RmcpStatusCodeUnauthorizedGUID, types.RmcpStatusCodeInvalidIntegrityCheckValue:
		return fmt.Errorf("%w: %s", ErrRefused, status)
	}
	return fmt.Errorf("the BMC answers status %02x, %s", byte(status), status)
}
