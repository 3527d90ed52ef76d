package evidence

import (
	"fmt"
	"time"
)

// SignEvery is how old a signature may be before the next message is signed: METHOD asks for one every 10 s at least, and a
// message comes every second.
const SignEvery = 5 * time.Second

// Chain seals the messages of one stream of one host. The zero Chain with a key is the start of a chain; Resume continues
// one. It is not safe for concurrent use.
type Chain struct {
	Key *Key // nil: nothing is signed

	link   uint64 // of the last message; 0: none yet
	prev   Digest // of the last message
	signed time.Time
}

// Resume makes last, a sealed message that is already stored, the one that the next is tied to. The next message is signed.
func (c *Chain) Resume(last []byte) error {
	s, err := Open(last)
	if err != nil {
		return fmt.Errorf("resume the chain: %w", err)
	}
	c.link, c.prev, c.signed = s.Link, DigestOf(last), time.Time{}
	return nil
}

// Link returns the position of the last message, 0 before the first.
func (c *Chain) Link() uint64 { return c.link }

// Digest returns the digest of the last message.
func (c *Chain) Digest() Digest { return c.prev }

// Seal seals a payload as the next message, signed if sign is true, if it is the first since the chain was begun or resumed, or
// if the last signature is older than SignEvery at the time now. It does not advance the chain: Advance does, once the
// message is stored.
func (c *Chain) Seal(payload []byte, sign bool, now time.Time) ([]byte, error) {
	var key *Key
	if sign || c.signed.IsZero() || now.Sub(c.signed) >= SignEvery || now.Before(c.signed) {
		key = c.Key
	}
	message, err := seal(payload, c.link+1, c.prev, key)
	if err != nil {
		return nil, fmt.Errorf("seal message %d of the chain: %w", c.link+1, err)
	}
	return message, nil
}

// Advance takes a message that Seal made as stored at the time now.
func (c *Chain) Advance(message []byte, now time.Time) error {
	s, err := Open(message)
	if err != nil {
		return fmt.Errorf("advance the chain: %w", err)
	}
	if s.Link != c.link+1 || s.Prev != c.prev {
		return fmt.Errorf("advance the chain: message %d does not follow message %d", s.Link, c.link)
	}
	c.link, c.prev = s.Link, DigestOf(message)
	if s.Signature != nil {
		c.signed = now
	}
	return nil
}
