package sampler

import (
	"slices"
	"sync"

	"agentwatt/shared/power"
)

// losses are the dropped batches that no stored batch has named yet. Both sides of the queue drop. Between two batches that
// are stored, all that is lost of one run is one range, so there are few.
type losses struct {
	mu   sync.Mutex
	lost []power.Loss // disjoint ranges, no two of which touch; the first ones are attached to the batch under way
}

// mostLosses is how many ranges one batch names, well below what the codec takes; the rest waits for the next one.
const mostLosses = 100

// add takes in a batch. It makes one range of those that touch; a range of which the bus refused each batch when it was asked
// is refused, any other is the queue's.
func (l *losses) add(b *power.Batch, reason string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	x := power.Loss{Run: b.Run, Source: b.Source, First: b.Seq, Last: b.Seq, Reason: reason}
	for i := 0; i < len(l.lost); {
		y := l.lost[i]
		if y.Run != x.Run || y.Source != x.Source || y.Last+1 < x.First || x.Last+1 < y.First {
			i++
			continue
		}
		x.First, x.Last = min(x.First, y.First), max(x.Last, y.Last)
		if y.Reason != x.Reason {
			x.Reason = power.LostQueue
		}
		l.lost = slices.Delete(l.lost, i, i+1)
	}
	l.lost = append(l.lost, x)
}

// attach appends what is to be said to dst, for a batch that is about to be published. Without losses it allocates nothing.
func (l *losses) attach(dst []power.Loss) []power.Loss {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append(dst, l.lost[:min(len(l.lost), mostLosses)]...)
}

// said takes note that a batch with the first n is stored. What was dropped meanwhile came after that batch, so it touches none
// of them and stands behind them.
func (l *losses) said(n int) {
	if n == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lost = slices.Delete(l.lost, 0, n)
}

func (l *losses) list() []power.Loss {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.lost)
}
