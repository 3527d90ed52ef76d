package evidence

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protowire"

	"agentwatt/shared/clock"
)

func aCheckpoint(t testing.TB, key *Key) Checkpoint {
	t.Helper()
	c, err := Checkpoint{
		Host: "gpu-01", Stream: "POWER", Sequence: 812, Link: 790, Digest: DigestOf([]byte("m")), Time: clock.At(time.Unix(1700000000, 7)),
	}.Sign(key)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCheckpointComesBack(t *testing.T) {
	key := newKey(t)
	plain := aCheckpoint(t, key)
	odd := plain
	odd.Contradiction, odd.Link = "message 812 has no seal", 0
	odd, err := odd.Sign(key)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []Checkpoint{plain, odd} {
		got, err := OpenCheckpoint(want.Encode())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("came back changed (-want +got):\n%s", diff)
		}
		if err := got.Check(); err != nil {
			t.Error(err)
		}
	}
}

func TestEveryByteOfACheckpointCounts(t *testing.T) {
	record := aCheckpoint(t, newKey(t)).Encode()
	for i := range record {
		for bit := range 8 {
			m := bytes.Clone(record)
			m[i] ^= 1 << bit
			if c, err := OpenCheckpoint(m); err == nil && c.Check() == nil {
				t.Errorf("bit %d of byte %d of %d can be changed unseen", bit, i, len(m))
			}
		}
		if _, err := OpenCheckpoint(record[:i]); err == nil {
			t.Errorf("cut to %d bytes it is still a checkpoint", i)
		}
	}
}

// A signature on a message is none on a checkpoint, and the other way round.
func TestSignaturesMeanOneThing(t *testing.T) {
	key := newKey(t)
	c := aCheckpoint(t, key)
	var err error
	if c.Signature, err = key.sign(c.body()); err != nil {
		t.Fatal(err)
	}
	if c.Check() == nil {
		t.Error("a message's signature passes for a checkpoint's")
	}
}

func TestOpenCheckpointRefuses(t *testing.T) {
	good := aCheckpoint(t, newKey(t))
	record := good.Encode()
	swapped := good
	swapped.Link, swapped.Contradiction = 0, ""
	long := good
	long.Host = strings.Repeat("h", maxCheckpointText+1)
	short := good
	short.Signature = good.Signature[1:]
	for _, c := range []struct {
		name, want string
		record     []byte
	}{
		{"nothing", "no stream", nil},
		{"a number too much", "is not known", append(protowire.AppendBytes(protowire.AppendTag(nil, 9, protowire.BytesType), nil), record...)},
		{"the host twice", "not in the form", append(protowire.AppendString(protowire.AppendTag(nil, checkHost, protowire.BytesType), "x"), record...)},
		{"something behind it", "not in the form", append(bytes.Clone(record), record[len(record)-67:]...)},
		{"a short signature", "signature of 63 bytes", short.Encode()},
		{"no link", "no link", swapped.Encode()},
		{"a long host", "longer than", long.Encode()},
		{"too long", "longer than", make([]byte, MaxCheckpoint+1)},
	} {
		if _, err := OpenCheckpoint(c.record); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

func FuzzOpenCheckpoint(f *testing.F) {
	key := newKey(f)
	f.Add(aCheckpoint(f, key).Encode())
	f.Fuzz(func(t *testing.T, record []byte) {
		c, err := OpenCheckpoint(record)
		if err == nil && !bytes.Equal(c.Encode(), record) {
			t.Errorf("two encodings of one checkpoint: %x", record)
		}
	})
}
