package evidence

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

func payload(text string) []byte {
	return protowire.AppendString(protowire.AppendTag(nil, 2, protowire.BytesType), text)
}

func newKey(t testing.TB) *Key {
	t.Helper()
	k, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// chained seals texts, a second apart.
func chained(t testing.TB, c *Chain, texts ...string) (out [][]byte) {
	t.Helper()
	now := time.Unix(1000, 0)
	for _, text := range texts {
		m, err := c.Seal(payload(text), false, now)
		if err == nil {
			err = c.Advance(m, now)
		}
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, m)
		now = now.Add(time.Second)
	}
	return out
}

func TestChain(t *testing.T) {
	c := &Chain{Key: newKey(t)}
	messages := chained(t, c, "a", "b", "c", "d", "e", "f", "g")
	for i, m := range messages {
		s, err := Open(m)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Check(); err != nil {
			t.Errorf("message %d: %v", i, err)
		}
		if !bytes.Equal(s.Payload, payload(string(rune('a'+i)))) || s.Link != uint64(i+1) {
			t.Errorf("message %d: payload %q, link %d", i, s.Payload, s.Link)
		}
		if want := i == 0 || i == 5; (s.Signature != nil) != want {
			t.Errorf("message %d: signed %v, want %v", i, !want, want)
		}
		if i > 0 && s.Prev != DigestOf(messages[i-1]) || i == 0 && s.Prev != (Digest{}) {
			t.Errorf("message %d does not name the one before", i)
		}
		if len(m)-len(s.Payload) > Overhead {
			t.Errorf("message %d: the seal takes %d bytes, more than %d", i, len(m)-len(s.Payload), Overhead)
		}
	}
	again := &Chain{Key: c.Key}
	if err := again.Resume(messages[6]); err != nil {
		t.Fatal(err)
	}
	next, err := again.Seal(payload("h"), false, time.Unix(1007, 0))
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(next)
	if err != nil || s.Link != 8 || s.Prev != DigestOf(messages[6]) || s.Signature == nil {
		t.Errorf("after resuming: %+v, %v", s, err)
	}
}

// Whatever byte of a signed message is changed, it is not the message that was signed.
func TestEveryByteCounts(t *testing.T) {
	message := chained(t, &Chain{Key: newKey(t)}, "watts")[0]
	for i := range message {
		for _, flip := range []byte{1, 0x80} {
			m := bytes.Clone(message)
			m[i] ^= flip
			if s, err := Open(m); err == nil && s.Check() == nil {
				t.Errorf("byte %d of %d can be changed unseen", i, len(m))
			}
		}
	}
	for n := range message {
		if s, err := Open(message[:n]); err == nil && s.Signature != nil && s.Check() == nil {
			t.Errorf("cut to %d bytes it is still signed", n)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	key := newKey(t)
	signedMessage := chained(t, &Chain{Key: key}, "x")[0]
	bare := chained(t, &Chain{}, "x")[0]
	if _, err := Open(payload("x")); !errors.Is(err, ErrUnsealed) {
		t.Errorf("a bare payload: %v", err)
	}
	for _, c := range []struct {
		name, want string
		message    []byte
	}{
		{"after the seal", "something after the seal", append(bytes.Clone(bare), payload("y")...)},
		{"after the signature", "something after the signature", append(bytes.Clone(signedMessage), payload("y")...)},
		{"no message", "no seal", nil},
		{"cut", "at byte", bare[:len(bare)-1]},
	} {
		if _, err := Open(c.message); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

func TestLoadKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	k, err := LoadKey(path)
	if err != nil {
		t.Fatal(err)
	}
	again, err := LoadKey(path)
	if err != nil || again.Public() != k.Public() {
		t.Errorf("loaded again: %v, %v", again, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadKey(path); err == nil || !strings.Contains(err.Error(), "every user") {
		t.Errorf("an open key: %v", err)
	}
	if err := os.WriteFile(path, []byte("SUnonsense\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_ = os.Chmod(path, 0o600)
	if _, err := LoadKey(path); err == nil || strings.Contains(err.Error(), "nonsense") {
		t.Errorf("a bad key, or its text in the error: %v", err)
	}
}

func FuzzOpen(f *testing.F) {
	key := newKey(f)
	for _, m := range chained(f, &Chain{Key: key}, "a", "b") {
		f.Add(m)
	}
	f.Fuzz(func(t *testing.T, m []byte) {
		s, err := Open(m)
		if err != nil {
			return
		}
		if s.Link == 0 || len(s.Payload) > len(m) || !bytes.HasPrefix(m, s.Payload) {
			t.Errorf("opened %x as %+v", m, s)
		}
		_ = s.Check()
	})
}
