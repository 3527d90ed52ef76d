package audit

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"agentwatt/shared/archive"
	"agentwatt/shared/clock"
	"agentwatt/shared/evidence"
	"agentwatt/shared/power"
	"agentwatt/shared/wire"
)

// world is what a host and a hub have made, and what may be done to it.
type world struct {
	t           testing.TB
	key, hub    *evidence.Key
	records     []archive.Record
	checkpoints [][]byte
	chain       evidence.Chain
	now         clock.Stamp
	seqs        map[string]uint64
}

const epoch = clock.Stamp(1_780_000_000 * 1e9)

func newKey(t testing.TB) *evidence.Key {
	k, err := evidence.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// build makes an archive of 200 messages: a run that is stopped, one that is killed, and a third that goes on.
func build(t testing.TB) *world { return buildRuns(t, "A", "B", "C") }

func buildRuns(t testing.TB, first, second, third string) *world {
	w := &world{t: t, key: newKey(t), hub: newKey(t), now: epoch, seqs: map[string]uint64{}}
	w.chain.Key = w.key
	w.journal(first, noteStart, nil)
	w.sample(first, 30)
	w.journal(first, noteStop, nil)
	w.journal(second, noteStart, nil)
	w.sample(second, 30)
	w.journal(third, noteStart, []power.Loss{{Run: second, Source: "nvml", First: 31, Reason: power.LostStop}, {Run: second, Source: "rapl", First: 31, Reason: power.LostStop}})
	w.sample(third, 38)
	return w
}

// sample stores two batches a second.
func (w *world) sample(run string, seconds int) {
	for range seconds {
		for _, source := range []string{"nvml", "rapl"} {
			b := &power.Batch{Source: source, Run: run, Meters: []power.Meter{{ID: source + "/x", Device: "x", Quantity: power.Instant, Scale: power.Scale{Num: 1000, Den: 1}}}}
			for i := range 5 {
				b.Samples = append(b.Samples, power.Sample{Time: w.now.Add(time.Duration(i) * 200 * time.Millisecond), Raw: int64(400_000 + i)})
			}
			w.store(b, false)
		}
		w.now = w.now.Add(time.Second)
	}
}

func (w *world) journal(run, what string, losses []power.Loss) {
	w.store(&power.Batch{Source: journal, Run: run, Notes: []power.Note{{Time: w.now, Key: what, Value: "x"}}, Losses: losses}, true)
}

func (w *world) store(b *power.Batch, sign bool) {
	w.seqs[b.Run+b.Source]++
	b.Host, b.Seq = "h", w.seqs[b.Run+b.Source]
	payload, err := wire.Encode(nil, b)
	if err != nil {
		w.t.Fatal(err)
	}
	w.append(payload, sign)
}

// append seals a payload and stores it; the hub signs every twentieth message.
func (w *world) append(payload []byte, sign bool) {
	stored := w.now.Add(1100 * time.Millisecond)
	message, err := w.chain.Seal(payload, sign, stored.Time())
	if err == nil {
		err = w.chain.Advance(message, stored.Time())
	}
	if err != nil {
		w.t.Fatal(err)
	}
	n := uint64(len(w.records) + 1)
	w.records = append(w.records, archive.Record{Sequence: n, Stored: stored, Payload: message})
	if n%20 == 0 {
		w.vouch(n, message, stored.Add(time.Second), "")
	}
}

func (w *world) vouch(n uint64, message []byte, at clock.Stamp, contradiction string) {
	c, err := evidence.Checkpoint{
		Host: "h", Stream: "POWER", Sequence: n, Link: n, Digest: evidence.DigestOf(message), Time: at, Contradiction: contradiction,
	}.Sign(w.hub)
	if err != nil {
		w.t.Fatal(err)
	}
	w.checkpoints = append(w.checkpoints, c.Encode())
}

// audit checks the archive with the keys known.
func (w *world) audit(o Options) Report {
	o.Keys, o.HubKeys = []string{w.key.Public()}, []string{w.hub.Public()}
	a := New(o)
	for i, c := range w.checkpoints {
		a.Checkpoint(i+1, c)
	}
	for _, r := range w.records {
		a.Add(r)
	}
	return a.Report()
}

// payload returns the content of record n (from 1) without its seal.
func (w *world) payload(n int) []byte {
	s, err := evidence.Open(w.records[n-1].Payload)
	if err != nil {
		w.t.Fatal(err)
	}
	return slices.Clone(s.Payload)
}

// forge makes a chain anew from record n on, signed by key, with what change makes of the payloads.
func (w *world) forge(n int, key *evidence.Key, change func(i int, payload []byte) []byte) {
	chain := evidence.Chain{Key: key}
	if n > 1 {
		if err := chain.Resume(w.records[n-2].Payload); err != nil {
			w.t.Fatal(err)
		}
	}
	for i := n; i <= len(w.records); i++ {
		r := &w.records[i-1]
		message, err := chain.Seal(change(i, w.payload(i)), i == n, r.Stored.Time())
		if err == nil {
			err = chain.Advance(message, r.Stored.Time())
		}
		if err != nil {
			w.t.Fatal(err)
		}
		r.Payload = message
	}
}

// flip changes one byte of a message, where offset counts from its end if it is negative.
func (w *world) flip(n, offset int) {
	p := slices.Clone(w.records[n-1].Payload)
	if offset < 0 {
		offset += len(p)
	}
	p[offset] ^= 0x01
	w.records[n-1].Payload = p
}

// TestUntouched: nothing is found where nothing was done.
func TestUntouched(t *testing.T) {
	r := build(t).audit(Options{From: epoch, Until: epoch.Add(98 * time.Second)})
	if !r.Intact() {
		t.Errorf("found %+v", r.Findings)
	}
	if r.Records != 200 || r.Batches != 200 || r.Host != "h" || len(r.Runs) != 3 || !r.Trusted || r.Checkpoints.Fit != 10 || r.Checkpoints.UpTo.Link != 200 {
		t.Errorf("report %+v", r)
	}
	if len(r.Lost) != 2 || r.Lost[0].Reason != power.LostStop {
		t.Errorf("lost %+v", r.Lost)
	}
}

// What the host's store discarded while the hub was away is missing at the hub, and no finding where loss records name all of it.
func TestDiscardedIsNoFinding(t *testing.T) {
	for _, last := range []uint64{20, 19} {
		w := build(t)
		w.journal("C", "x", []power.Loss{
			{Run: "A", Source: "nvml", First: 11, Last: last, Reason: power.LostSize}, {Run: "A", Source: "rapl", First: 11, Last: 20, Reason: power.LostSize},
		})
		w.records = slices.Delete(w.records, 21, 41) // batches 11 to 20 of both
		w.checkpoints = nil
		r := w.audit(Options{})
		if got, want := r.Intact(), last == 20; got != want {
			t.Errorf("named up to %d: intact %v, want %v: %+v", last, got, want, r.Findings)
		}
	}
}

// keep returns the payload as it is.
func keep(_ int, payload []byte) []byte { return payload }

// manipulations are what may be done to an archive, each with what has to be found and where: the record, or the link where it
// is a message that is not there.
var manipulations = []struct {
	name string
	do   func(w *world)
	kind Kind
	at   Place
}{
	{"remove a message", func(w *world) { w.records = slices.Delete(w.records, 49, 50) }, Removed, Place{Record: 50, Link: 50}},
	{"remove a stretch", func(w *world) { w.records = slices.Delete(w.records, 49, 80) }, Removed, Place{Record: 50, Link: 50}},
	{"cut the end off", func(w *world) { w.records = w.records[:170] }, Removed, Place{Record: 171, Link: 171}},
	{"cut the beginning off", func(w *world) { w.records = w.records[40:] }, Incomplete, Place{Record: 1, Link: 41}},
	{"empty it", func(w *world) { w.records = nil }, Incomplete, Place{}},
	{"swap two messages", func(w *world) { w.records[50], w.records[51] = w.records[51], w.records[50] }, Reordered, Place{Record: 51}},
	{"move a message back", func(w *world) {
		r := w.records[50]
		w.records = slices.Insert(slices.Delete(w.records, 50, 51), 90, r)
	}, Reordered, Place{Record: 91}},
	{"move a message forward", func(w *world) {
		r := w.records[90]
		w.records = slices.Insert(slices.Delete(w.records, 90, 91), 50, r)
	}, Reordered, Place{Record: 51}},
	{"repeat a message", func(w *world) { w.records = slices.Insert(w.records, 60, w.records[55]) }, Replayed, Place{Record: 61}},
	{"repeat a message long after", func(w *world) { w.records = append(w.records, w.records[3]) }, Replayed, Place{Record: 201}},
	{"change a reading", func(w *world) { w.flip(50, len(w.payload(50))-1) }, Changed, Place{Record: 50}},
	{"change a reading and sign with another key", func(w *world) {
		p := w.payload(50)
		p[len(p)-1] ^= 1
		w.forge(50, newKey(w.t), func(i int, payload []byte) []byte {
			if i == 50 {
				return p
			}
			return payload
		})
	}, OtherSigner, Place{Record: 50}},
	{"rewrite from some point with the host's own key", func(w *world) {
		w.forge(50, w.key, func(i int, payload []byte) []byte {
			if i == 50 {
				payload[len(payload)-1] ^= 1
			}
			return payload
		})
	}, Rewritten, Place{Record: 60}},
	{"change a seal", func(w *world) { w.flip(50, -20) }, Changed, Place{Record: 50}},
	{"change a signature", func(w *world) { w.flip(62, -5) }, BadSignature, Place{Record: 62}},
	{"take a signature away", func(w *world) {
		w.forge(2, nil, keep)
	}, Unsigned, Place{Record: 28}},
	{"take a seal away", func(w *world) { w.records[49].Payload = w.payload(50) }, Unsealed, Place{Record: 50}},
	{"put bytes in place of a message", func(w *world) { w.records[49].Payload = []byte("no message at all") }, Malformed, Place{Record: 50}},
	{"insert a message of one's own", func(w *world) {
		other := build(w.t)
		w.records = slices.Insert(w.records, 60, other.records[60])
	}, Inserted, Place{Record: 61}},
	{"insert a message of another host", func(w *world) {
		payload, err := wire.Encode(nil, &power.Batch{Host: "g", Run: "A", Source: "nvml", Seq: 1})
		if err != nil {
			w.t.Fatal(err)
		}
		chain := evidence.Chain{Key: w.key}
		message, err := chain.Seal(payload, true, time.Now())
		if err != nil {
			w.t.Fatal(err)
		}
		w.records = slices.Insert(w.records, 60, archive.Record{Sequence: 61, Stored: w.records[60].Stored, Payload: message})
	}, OtherHost, Place{Record: 61}},
	{"put an archive of another start behind it", func(w *world) {
		other := buildRuns(w.t, "X", "Y", "Z")
		for i, r := range other.records {
			other.records[i].Sequence = r.Sequence
			other.records[i].Stored = r.Stored.Add(200 * time.Second)
		}
		w.records = append(w.records, other.records...)
	}, Restart, Place{Record: 201}},
	{"continue from an earlier message", func(w *world) {
		fork := evidence.Chain{Key: w.key}
		if err := fork.Resume(w.records[99].Payload); err != nil {
			w.t.Fatal(err)
		}
		payload, err := wire.Encode(nil, &power.Batch{Host: "h", Run: "B", Source: "nvml", Seq: 99})
		if err != nil {
			w.t.Fatal(err)
		}
		message, err := fork.Seal(payload, true, time.Now())
		if err != nil {
			w.t.Fatal(err)
		}
		w.records = slices.Insert(w.records, 110, archive.Record{Sequence: 101, Stored: w.records[100].Stored, Payload: message})
	}, Fork, Place{Record: 111}},
	{"renumber a message", func(w *world) { w.records[49].Sequence = 500 }, Renumbered, Place{Record: 50}},
	{"put a stored time back", func(w *world) { w.records[49].Stored = w.records[49].Stored.Add(-time.Hour) }, StoredTime, Place{Record: 50}},
	{"put a stored time ahead", func(w *world) { w.records[49].Stored = w.records[49].Stored.Add(time.Hour) }, StoredTime, Place{Record: 50}},
	{"put all stored times ahead", func(w *world) {
		for i := range w.records {
			w.records[i].Stored = w.records[i].Stored.Add(time.Hour)
		}
	}, StoredTime, Place{Record: 20}},
	{"leave a batch out when storing", func(w *world) {
		w.seqs["Cnvml"]++
		w.sample("C", 1)
	}, Missing, Place{Record: 201}},
	{"store a batch twice", func(w *world) {
		w.seqs["Cnvml"]--
		w.sample("C", 1)
	}, Twice, Place{Record: 201}},
	{"go on after the end of a run", func(w *world) { w.sample("A", 1) }, AfterStop, Place{Record: 201}},
	{"a run that no later one says was cut off", func(w *world) {
		w.journal("D", noteStart, nil)
		w.sample("D", 1)
	}, NotStopped, Place{Record: 200}},
	{"a loss without sense", func(w *world) { w.journal("C", "x", []power.Loss{{Run: "C", Source: "nvml", First: 9, Last: 3}}) }, BadLoss, Place{Record: 201}},
	{"samples that go back", func(w *world) { w.now = w.now.Add(-time.Minute); w.sample("C", 1) }, Clock, Place{Record: 201}},
	{"change a checkpoint", func(w *world) { w.checkpoints[3][10] ^= 1 }, BadCheckpoint, Place{}},
	{"a checkpoint by another hub", func(w *world) {
		w.hub = newKey(w.t)
		first := w.checkpoints
		w.vouch(200, w.records[199].Payload, epoch.Add(time.Hour), "")
		w.checkpoints = append(w.checkpoints[len(first):], first...)
		w.hub = newKey(w.t)
	}, BadCheckpoint, Place{}},
	{"what a hub complained of", func(w *world) { w.vouch(77, w.records[76].Payload, epoch.Add(time.Hour), "does not follow") }, Contradiction, Place{Link: 77}},
}

// Every manipulation is found, as what it is, and where.
func TestManipulationsAreFound(t *testing.T) {
	for _, m := range manipulations {
		t.Run(m.name, func(t *testing.T) {
			w := build(t)
			m.do(w)
			r := w.audit(Options{From: epoch})
			for _, f := range r.Findings {
				if f.Kind == m.kind && (m.at.Record == 0 || f.Place.Record == m.at.Record) && (m.at.Link == 0 || f.Place.Link == m.at.Link) {
					if len(r.Findings) > 8 && m.kind != StoredTime && m.kind != BadCheckpoint {
						t.Errorf("%d findings of one manipulation", len(r.Findings))
					}
					return
				}
			}
			for _, f := range r.Findings {
				t.Logf("found %s at %v: %s", f.Kind, f.Place, f.Text)
			}
			t.Errorf("not found: %s at %+v", m.kind, m.at)
		})
	}
	if n := len(manipulations); n < 20 {
		t.Errorf("only %d kinds of manipulation", n)
	}
}

// Whatever is done at random to the records, something is found, unless nothing has changed; and nothing panics.
func TestRandomManipulations(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 300 {
		w := build(t)
		n := 1 + random.IntN(len(w.records)-2) // the end is vouched for by the hub
		what := ""
		switch kind := random.IntN(5); kind {
		case 0:
			if n == 1 {
				continue // an archive may begin anywhere near the time that it should
			}
			what = fmt.Sprintf("remove record %d", n)
			w.records = slices.Delete(w.records, n-1, n)
		case 1:
			at := random.IntN(len(w.records[n-1].Payload))
			what = fmt.Sprintf("change byte %d of record %d", at, n)
			w.flip(n, at)
		case 2:
			to := random.IntN(len(w.records))
			if to == n-1 {
				continue
			}
			what = fmt.Sprintf("move record %d to %d", n, to+1)
			r := w.records[n-1]
			w.records = slices.Insert(slices.Delete(w.records, n-1, n), to, r)
		case 3:
			to := random.IntN(len(w.records))
			what = fmt.Sprintf("copy record %d to %d", n, to+1)
			w.records = slices.Insert(w.records, to, w.records[n-1])
		case 4:
			what = fmt.Sprintf("cut record %d short", n)
			w.records[n-1].Payload = w.records[n-1].Payload[:random.IntN(len(w.records[n-1].Payload))]
		}
		if r := w.audit(Options{From: epoch}); r.Intact() {
			t.Errorf("run %d: not found: %s", i, what)
		}
	}
}
