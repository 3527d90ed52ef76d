package evidence

import (
	"bytes"
	"errors"
	"fmt"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"

	"agentwatt/shared/clock"
)

// Checkpoint is a hub's word that it held one message of a host's stream at one time, by the hub's clock. Whoever rewrites
// a host's chain later, with the host's own key even, contradicts it: it vouches for every message up to that one.
//
// A hub that gets what does not go with its last checkpoint says so in one with a Contradiction: the digest, link and
// sequence are those of the message that did not fit.
type Checkpoint struct {
	Host          string      // whose stream
	Stream        string      // "POWER", "ROLLUP_1M", ...
	Sequence      uint64      // of the message in the host's stream
	Link          uint64      // of the message in the chain; 0 only in a contradiction: the message had no seal
	Digest        Digest      // of the whole message
	Time          clock.Stamp // when the hub signed, by the hub's clock
	Contradiction string      // what does not fit, in words; empty: all is well
	Signer        string      // public nkey of the hub
	Signature     []byte      // Ed25519 over everything before it
}

// Fields of batch.proto, message Checkpoint.
const (
	checkHost          = 1
	checkStream        = 2
	checkSequence      = 3
	checkLink          = 4
	checkDigest        = 5
	checkTime          = 6
	checkContradiction = 7
	checkSigner        = 8
	checkSignature     = 16
)

// MaxCheckpoint is the most bytes of an encoded checkpoint.
const MaxCheckpoint = 4096

const (
	maxCheckpointText = 1024
	witnessed         = "agentwatt checkpoint 1\n" // goes before what is signed
)

// Sign returns the checkpoint signed by the hub's key. Signer and Signature of c are not looked at.
func (c Checkpoint) Sign(key *Key) (Checkpoint, error) {
	c.Signer, c.Signature = key.Public(), nil
	if err := c.valid(); err != nil {
		return Checkpoint{}, fmt.Errorf("sign checkpoint of %s: %w", c.Host, err)
	}
	sig, err := key.Sign(append([]byte(witnessed), c.body()...))
	if err != nil {
		return Checkpoint{}, err
	}
	c.Signature = sig
	return c, nil
}

// Encode returns the one encoding of a signed checkpoint.
func (c Checkpoint) Encode() []byte {
	return protowire.AppendBytes(protowire.AppendTag(c.body(), checkSignature, protowire.BytesType), c.Signature)
}

// Check reports whether the signature is that of the signer.
func (c Checkpoint) Check() error {
	return verify(c.Signer, witnessed, c.body(), c.Signature)
}

// body is everything that is signed.
func (c Checkpoint) body() []byte {
	var out []byte
	text := func(number protowire.Number, s string) {
		if s != "" {
			out = protowire.AppendString(protowire.AppendTag(out, number, protowire.BytesType), s)
		}
	}
	count := func(number protowire.Number, n uint64) {
		if n != 0 {
			out = protowire.AppendVarint(protowire.AppendTag(out, number, protowire.VarintType), n)
		}
	}
	text(checkHost, c.Host)
	text(checkStream, c.Stream)
	count(checkSequence, c.Sequence)
	count(checkLink, c.Link)
	out = protowire.AppendBytes(protowire.AppendTag(out, checkDigest, protowire.BytesType), c.Digest[:])
	count(checkTime, protowire.EncodeZigZag(int64(c.Time)))
	text(checkContradiction, c.Contradiction)
	text(checkSigner, c.Signer)
	return out
}

// valid reports what of a checkpoint makes no sense.
func (c Checkpoint) valid() error {
	for _, s := range []string{c.Host, c.Stream, c.Contradiction, c.Signer} {
		if len(s) > maxCheckpointText || !utf8.ValidString(s) {
			return fmt.Errorf("a text of %d bytes: longer than %d, or not UTF-8", len(s), maxCheckpointText)
		}
	}
	switch {
	case c.Stream == "" || c.Signer == "":
		return errors.New("no stream or no signer")
	case c.Sequence == 0 || c.Time == 0:
		return errors.New("no sequence or no time")
	case c.Link == 0 && c.Contradiction == "":
		return errors.New("no link")
	}
	return nil
}

// OpenCheckpoint reads what Encode wrote, and nothing else: every checkpoint has one encoding, so no byte of it can be
// changed without being noticed. It does not say whether the signature is good: see Checkpoint.Check.
func OpenCheckpoint(record []byte) (Checkpoint, error) {
	c, err := openCheckpoint(record)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("open a checkpoint of %d bytes: %w", len(record), err)
	}
	return c, nil
}

func openCheckpoint(record []byte) (c Checkpoint, err error) {
	if len(record) > MaxCheckpoint {
		return c, fmt.Errorf("longer than %d", MaxCheckpoint)
	}
	for at := 0; at < len(record); {
		number, _, n := protowire.ConsumeField(record[at:])
		if n < 0 {
			return c, fmt.Errorf("at byte %d: %w", at, protowire.ParseError(n))
		}
		if err := c.field(number, record[at:at+n]); err != nil {
			return c, fmt.Errorf("at byte %d: %w", at, err)
		}
		at += n
	}
	if err := c.valid(); err != nil {
		return c, err
	}
	if len(c.Signature) != signatureSize {
		return c, fmt.Errorf("a signature of %d bytes, not %d", len(c.Signature), signatureSize)
	}
	if !bytes.Equal(c.Encode(), record) { // order, repetition, zeros, long varints: whatever Encode would not do
		return c, errors.New("not in the form in which checkpoints are written")
	}
	return c, nil
}

func (c *Checkpoint) field(number protowire.Number, field []byte) error {
	switch number {
	case checkSequence, checkLink, checkTime:
		return c.number(number, field)
	}
	b, err := bytesField(field)
	if err != nil {
		return err
	}
	switch number {
	case checkHost:
		c.Host = string(b)
	case checkStream:
		c.Stream = string(b)
	case checkDigest:
		if len(b) != len(c.Digest) {
			return fmt.Errorf("a digest of %d bytes, not %d", len(b), len(c.Digest))
		}
		c.Digest = Digest(b)
	case checkContradiction:
		c.Contradiction = string(b)
	case checkSigner:
		c.Signer = string(b)
	case checkSignature:
		c.Signature = bytes.Clone(b)
	default:
		return fmt.Errorf("field %d is not known", number)
	}
	return nil
}

func (c *Checkpoint) number(number protowire.Number, field []byte) error {
	_, kind, tag := protowire.ConsumeTag(field)
	if kind != protowire.VarintType {
		return fmt.Errorf("wire type %d, not a number", kind)
	}
	n, _ := protowire.ConsumeVarint(field[tag:])
	switch number {
	case checkSequence:
		c.Sequence = n
	case checkLink:
		c.Link = n
	case checkTime:
		c.Time = clock.Stamp(protowire.DecodeZigZag(n))
	}
	return nil
}
