package sampler

import "agentwatt/shared/power"

// queue hands batches from the reader to the publisher without ever making the reader wait. Batches go round: the
// publisher returns each for the reader to fill again, so that steady sampling allocates nothing.
type queue struct {
	ready chan *power.Batch
	free  chan *power.Batch
}

func newQueue(depth int) *queue {
	// One batch is being filled and one published while depth wait.
	return &queue{ready: make(chan *power.Batch, depth), free: make(chan *power.Batch, depth+2)}
}

// put appends b. If the queue is full it makes room by taking out the oldest batch, which it returns.
//
// The oldest goes because the bus has been away longest for it: after the bus comes back, the record is whole from
// there to now, and what is lost is one stretch, seen as one gap in Seq, instead of a hole before every later batch.
func (q *queue) put(b *power.Batch) (dropped *power.Batch) {
	for {
		select {
		case q.ready <- b:
			return dropped
		default:
		}
		select {
		case dropped = <-q.ready: // only one goroutine puts, so the place stays free
		default:
		}
	}
}

func (q *queue) full() bool { return len(q.ready) == cap(q.ready) }

// empty returns a batch to fill, used before if possible.
func (q *queue) empty() *power.Batch {
	select {
	case b := <-q.free:
		b.Samples, b.Notes, b.Losses = b.Samples[:0], b.Notes[:0], b.Losses[:0]
		return b
	default:
		return new(power.Batch)
	}
}

// recycle takes back a batch that nobody uses any more.
func (q *queue) recycle(b *power.Batch) {
	select {
	case q.free <- b:
	default:
	}
}
