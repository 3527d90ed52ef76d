package bus

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"agentwatt/shared/clock"
	"agentwatt/shared/evidence"
)

// Witness is the stream of a hub's checkpoints, by host and mirror: Message.Source is the name of the mirror.
const (
	Witness      = "WITNESS"
	witnessEvery = 10 * time.Second
)

func (w *Warden) makeWitness(ctx context.Context) error {
	c := fileStream(Witness, "what the hub says it held, and when: see evidence.Checkpoint", witnessRoot+".>")
	c.DenyDelete, c.DenyPurge = true, true
	if _, err := w.js.CreateOrUpdateStream(ctx, c); err != nil {
		return fmt.Errorf("make stream %s: %w", Witness, err)
	}
	return nil
}

// walk is how far the chain of a mirror was checked.
type walk struct {
	stream   string // of the host
	host     string
	sequence uint64
	link     uint64
	digest   evidence.Digest
	said     uint64 // sequence of the last checkpoint
}

// Witness goes through what came into the mirrors since the last time, and signs how far they are, by the hub's clock. What
// does not follow what was signed before is a contradiction, which is signed, too.
func (w *Warden) Witness(ctx context.Context) error {
	var errs []error
	names := w.js.StreamNames(ctx)
	for name := range names.Name() {
		stream, host, ok := parseMirror(name)
		if !ok {
			continue
		}
		if err := w.walk(ctx, name, stream, host); err != nil {
			errs = append(errs, fmt.Errorf("witness %s: %w", name, err))
		}
	}
	return errors.Join(append(errs, names.Err())...)
}

// parseMirror takes the name of a mirror apart. Mirrors of one stream of a host, made one after the other, are told apart by name.
func parseMirror(name string) (stream, host string, ok bool) {
	for _, s := range sealed {
		if rest, found := strings.CutPrefix(name, s+"-"); found {
			rest, _, _ = strings.Cut(rest, "~")
			host, err := untoken(rest)
			return s, host, err == nil
		}
	}
	return "", "", false
}

func (w *Warden) walk(ctx context.Context, name, stream, host string) error {
	p := w.walks[name]
	if p == nil {
		var err error
		if p, err = w.resume(ctx, name, stream, host); err != nil {
			return err
		}
		w.walks[name] = p
	}
	f, err := newFetcher(w.nc, directGet(name))
	if err != nil {
		return err
	}
	defer f.close()
	for more := true; more; {
		if more, err = f.fetch(ctx, getRequest{Seq: p.sequence + 1}, func(m Message) error { return w.step(ctx, name, p, m) }); err != nil {
			delete(w.walks, name)
			return err
		}
	}
	if p.sequence == p.said {
		return nil
	}
	return w.sign(ctx, name, p, "")
}

// resume goes on from the last checkpoint.
func (w *Warden) resume(ctx context.Context, name, stream, host string) (*walk, error) {
	p := &walk{stream: stream, host: host}
	last, err := lastMessage(ctx, w.nc, Witness, witnessSubject(host, name))
	if err != nil || last.data == nil {
		return p, err
	}
	c, err := evidence.OpenCheckpoint(last.data)
	if err != nil {
		return nil, err
	}
	p.sequence, p.link, p.digest, p.said = c.Sequence, c.Link, c.Digest, c.Sequence
	return p, nil
}

// step checks one message against the one before.
func (w *Warden) step(ctx context.Context, name string, p *walk, m Message) error {
	if m.Sequence <= p.sequence {
		return nil
	}
	digest := evidence.DigestOf(m.Payload)
	sealed, err := evidence.Open(m.Payload)
	wrong := ""
	switch {
	case errors.Is(err, evidence.ErrUnsealed) && p.link == 0: // stored before there were chains
	case err != nil:
		wrong = err.Error()
	case p.sequence == 0: // the mirror begins here
	case m.Sequence == p.sequence+1 && p.link != 0 && sealed.Prev != p.digest:
		wrong = fmt.Sprintf("link %d does not follow the message before it", sealed.Link)
	case p.link != 0 && sealed.Link-p.link != m.Sequence-p.sequence: // what the host had discarded counts, too
		wrong = fmt.Sprintf("link %d at sequence %d, after link %d at sequence %d", sealed.Link, m.Sequence, p.link, p.sequence)
	}
	p.sequence, p.link, p.digest = m.Sequence, sealed.Link, digest
	if wrong == "" {
		return nil
	}
	w.log.Error("a host's chain does not hold", "stream", name, "sequence", m.Sequence, "why", wrong)
	return w.sign(ctx, name, p, wrong)
}

// sign stores a checkpoint.
func (w *Warden) sign(ctx context.Context, name string, p *walk, contradiction string) error {
	if p.link == 0 && contradiction == "" {
		return nil // nothing sealed yet
	}
	c, err := evidence.Checkpoint{
		Host: p.host, Stream: p.stream, Sequence: p.sequence, Link: p.link, Digest: p.digest,
		Time: clock.At(time.Now()), Contradiction: contradiction,
	}.Sign(w.key)
	if err != nil {
		return err
	}
	if _, err := w.js.Publish(ctx, witnessSubject(p.host, name), c.Encode(), jetstream.WithExpectStream(Witness)); err != nil {
		return fmt.Errorf("store a checkpoint: %w", err)
	}
	p.said = p.sequence
	return nil
}
