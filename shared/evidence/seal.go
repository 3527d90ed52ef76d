// Package evidence makes a stored stream tamper-evident, and finds what was done to one.
//
// A sealed message is a payload (a power batch, a roll-up) followed by two protobuf fields: Seal, with its position in the
// chain of its host's stream and the SHA-256 of the whole message before, and now and then a signature. They come last and
// have numbers that the payload does not use, so whoever reads the payload skips them. batch.proto describes them.
package evidence

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// Field numbers of batch.proto, for every message that is sealed.
const (
	fieldSeal      = 15
	fieldSignature = 16

	sealLink   = 1
	sealPrev   = 2
	sealSigner = 3
)

// Overhead is the most bytes that a seal adds to a payload.
const Overhead = 256

// signed goes before what is signed, so that a signature means nothing elsewhere.
const signed = "agentwatt sealed message 1\n"

// Digest is the SHA-256 of a whole sealed message. The zero Digest stands for none.
type Digest [sha256.Size]byte

// DigestOf returns the digest of a sealed message.
func DigestOf(message []byte) Digest { return sha256.Sum256(message) }

// String prints the digest in hexadecimal.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// Sealed is a sealed message, taken apart. Payload shares memory with the message.
type Sealed struct {
	Payload   []byte // what was sealed
	Link      uint64 // position in the chain, from 1
	Prev      Digest // of the message before; zero: the chain begins here
	Signer    string // public nkey; empty: not signed
	Signature []byte // Ed25519 over everything before it; nil: not signed

	body []byte // the message without its signature
}

// ErrUnsealed is returned by Open for a message that has no seal.
var ErrUnsealed = errors.New("no seal")

// seal appends a seal to a payload, and a signature if there is a key.
func seal(payload []byte, link uint64, prev Digest, key *Key) ([]byte, error) {
	var inner []byte
	inner = protowire.AppendVarint(protowire.AppendTag(inner, sealLink, protowire.VarintType), link)
	if prev != (Digest{}) {
		inner = protowire.AppendBytes(protowire.AppendTag(inner, sealPrev, protowire.BytesType), prev[:])
	}
	if key != nil {
		inner = protowire.AppendString(protowire.AppendTag(inner, sealSigner, protowire.BytesType), key.Public())
	}
	out := make([]byte, 0, len(payload)+Overhead)
	out = append(out, payload...)
	out = protowire.AppendBytes(protowire.AppendTag(out, fieldSeal, protowire.BytesType), inner)
	if key == nil {
		return out, nil
	}
	sig, err := key.sign(out)
	if err != nil {
		return nil, err
	}
	return protowire.AppendBytes(protowire.AppendTag(out, fieldSignature, protowire.BytesType), sig), nil
}

// Open takes a sealed message apart. It does not say whether the signature is good: see Sealed.Check. The error is
// ErrUnsealed for a message without a seal, and says what is wrong with one that is malformed: fields after the seal, a seal
// given twice, a digest of another length.
func Open(message []byte) (Sealed, error) {
	var s Sealed
	for at := 0; at < len(message); {
		number, kind, n := protowire.ConsumeField(message[at:])
		_ = kind
		if n < 0 {
			return Sealed{}, fmt.Errorf("open a sealed message of %d bytes: at byte %d: %w", len(message), at, protowire.ParseError(n))
		}
		if err := s.field(number, message, at, at+n); err != nil {
			return Sealed{}, fmt.Errorf("open a sealed message of %d bytes: at byte %d: %w", len(message), at, err)
		}
		at += n
	}
	switch {
	case s.Link == 0:
		return Sealed{}, fmt.Errorf("open a sealed message of %d bytes: %w", len(message), ErrUnsealed)
	case (s.Signer == "") != (s.Signature == nil):
		return Sealed{}, fmt.Errorf("open a sealed message of %d bytes: a signer without a signature, or the other way round", len(message))
	}
	return s, nil
}

// field takes message[from:to].
func (s *Sealed) field(number protowire.Number, message []byte, from, to int) error {
	switch {
	case s.Signature != nil:
		return errors.New("something after the signature")
	case number == fieldSignature && s.Link == 0:
		return errors.New("a signature before the seal")
	case number == fieldSignature:
		sig, err := bytesField(message[from:to])
		if err != nil {
			return err
		}
		if len(sig) != signatureSize {
			return fmt.Errorf("a signature of %d bytes, not %d", len(sig), signatureSize)
		}
		s.Signature = sig
	case s.Link != 0:
		return errors.New("something after the seal")
	case number == fieldSeal:
		inner, err := bytesField(message[from:to])
		if err != nil {
			return err
		}
		s.Payload, s.body = message[:from], message[:to]
		return s.inner(inner)
	}
	return nil
}

// inner reads the message Seal. It takes one form only, the one that seal writes: what can be written in two ways can be
// changed without being noticed.
func (s *Sealed) inner(data []byte) error {
	last := protowire.Number(0)
	for at := 0; at < len(data); {
		number, _, n := protowire.ConsumeField(data[at:])
		if n < 0 {
			return protowire.ParseError(n)
		}
		if number <= last {
			return errors.New("fields of the seal out of order")
		}
		last = number
		if err := s.innerField(number, data[at:at+n]); err != nil {
			return err
		}
		at += n
	}
	if s.Link == 0 {
		return errors.New("a seal without a link")
	}
	return nil
}

func (s *Sealed) innerField(number protowire.Number, field []byte) error {
	_, kind, tag := protowire.ConsumeTag(field)
	switch {
	case number == sealLink && kind == protowire.VarintType:
		s.Link, _ = protowire.ConsumeVarint(field[tag:])
		return nil
	case number == sealPrev:
		prev, err := bytesField(field)
		if err != nil {
			return err
		}
		if len(prev) != len(s.Prev) {
			return fmt.Errorf("a digest of %d bytes, not %d", len(prev), len(s.Prev))
		}
		s.Prev = Digest(prev)
		return nil
	case number == sealSigner:
		signer, err := bytesField(field)
		if err == nil && (len(signer) == 0 || len(signer) > 128 || !utf8.Valid(signer)) {
			err = errors.New("a signer that is no key")
		}
		s.Signer = string(signer)
		return err
	}
	return fmt.Errorf("field %d of the seal is not known", number)
}

func bytesField(field []byte) ([]byte, error) {
	_, kind, tag := protowire.ConsumeTag(field)
	if kind != protowire.BytesType {
		return nil, fmt.Errorf("wire type %d, not bytes", kind)
	}
	b, n := protowire.ConsumeBytes(field[tag:])
	if n < 0 {
		return nil, protowire.ParseError(n)
	}
	return b, nil
}

// Check reports whether the signature, if there is one, is that of the signer.
func (s Sealed) Check() error {
	if s.Signature == nil {
		return nil
	}
	return verify(s.Signer, signed, s.body, s.Signature)
}
