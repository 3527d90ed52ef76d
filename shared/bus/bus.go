// Package bus carries power batches from meterd to whoever reads them, and is the only importer of NATS.
//
// Serve runs a NATS server inside this process, with one JetStream stream on disk. A Publisher stores batches in it; a
// batch that Publish returned for is on the disk. A Conn reads them by time: those already stored, then new ones as they
// come. Nothing home-made stores or forwards.
//
// Whoever reaches the server may read, and nothing else. Readers live in a NATS account of their own that has no
// JetStream and imports two requests: information about the stream, and stateless reads from it ("direct get"). They
// create no consumers, because a consumer delivers to a subject of its creator's choice, with the server's rights.
package bus

import (
	"errors"
	"fmt"

	"agentwatt/shared/clock"
)

const (
	subjects   = subjectRoot + ".>"                   // what the stream takes in
	namesAPI   = "meter.streams"                      // request: names of streams
	infoAPI    = "meter.info."                        // and a stream: request: its state
	getAPI     = "meter.get."                         // and a stream: request: stored messages
	clockAPI   = "meter.clock."                       // and a host: request: its clock, now
	headerID   = "Nats-Msg-Id"                        // makes publishing the same batch twice harmless
	maxPayload = 1 << 20                              // bytes of one batch: some 200,000 samples
	lockName   = "meterd.lock"                        // held while a server uses the directory
	streamDir  = "jetstream/" + account + "/streams/" // below the directory, where the server keeps its streams
	account    = "METER"
)

// Message is one sealed batch or roll-up as it was stored.
type Message struct {
	Stream   string      // that it is in: Power, a roll-up's, or a hub's mirror of one
	Subject  string      // power.<host>.<source>, escaped; of a roll-up rollup.<length>.<host>.<source>
	Host     string      // from the subject
	Source   string      // from the subject
	Sequence uint64      // position in the stream, from 1
	Stored   clock.Stamp // when the server stored it, by the server's wall clock
	Payload  []byte      // exactly as received: the evidence. wire.Decode reads it
	Gap      *Gap        // not nil: the store has lost what came before this message
}

// Gap says that batches which had been stored are not any more: discarded by the stream's limits before they were read, or
// gone with their store.
type Gap struct {
	After    uint64 // the last sequence that was read
	Before   uint64 // the sequence that came next
	NewStore bool   // the stream was made anew, so sequences began again and how many are lost is not known
}

// Error says what is lost.
func (g *Gap) Error() string {
	if g.NewStore {
		return fmt.Sprintf("the store was made anew after sequence %d: batches may be lost", g.After)
	}
	return fmt.Sprintf("sequences %d to %d are not in the store any more", g.After+1, g.Before-1)
}

// ErrClosed is returned when the Server, Publisher or Conn was closed.
var ErrClosed = errors.New("closed")
