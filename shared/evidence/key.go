package evidence

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/nats-io/nkeys"
)

const signatureSize = 64 // of Ed25519

// Key is an Ed25519 key in the form of an nkey of a user. One key is a host's identity: it signs what the host stores, and
// the hub knows the host by it. A Key is safe for concurrent use.
type Key struct {
	pair   nkeys.KeyPair
	public string
	seed   string
}

// NewKey makes a key.
func NewKey() (*Key, error) {
	pair, err := nkeys.CreateUser()
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	seed, err := pair.Seed()
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	return ParseKey(string(seed))
}

// ParseKey reads the seed of a key ("SU...").
func ParseKey(seed string) (*Key, error) {
	seed = strings.TrimSpace(seed)
	pair, err := nkeys.FromSeed([]byte(seed))
	if err != nil {
		return nil, errors.New("parse a key: not the seed of an nkey (SU...)") // the cause would not say more, and the seed is secret
	}
	public, err := pair.PublicKey()
	if err != nil {
		return nil, fmt.Errorf("parse a key: %w", err)
	}
	if !nkeys.IsValidPublicUserKey(public) {
		return nil, errors.New("parse a key: an nkey, but not a user's (SU...)")
	}
	return &Key{pair, public, seed}, nil
}

// Public returns the public key ("U...").
func (k *Key) Public() string { return k.public }

// Seed returns the secret from which the key can be made again. It must not be shown.
func (k *Key) Seed() string { return k.seed }

// String returns the public key, so that the secret cannot be printed by accident.
func (k *Key) String() string { return k.public }

// Sign signs any bytes: a challenge of a server.
func (k *Key) Sign(data []byte) ([]byte, error) {
	sig, err := k.pair.Sign(data)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	return sig, nil
}

func (k *Key) sign(body []byte) ([]byte, error) { return k.Sign(append([]byte(signed), body...)) }

// CheckPublic reports whether a text is the public key of a user.
func CheckPublic(public string) error {
	if !nkeys.IsValidPublicUserKey(public) {
		return fmt.Errorf("%q is not the public key of a user, which begins with U", public)
	}
	return nil
}

// verify reports whether sig is the signature of a public key on context and body.
func verify(public, context string, body, sig []byte) error {
	pair, err := nkeys.FromPublicKey(public)
	if err != nil || !nkeys.IsValidPublicUserKey(public) {
		return fmt.Errorf("%q is not the public key of a user", public)
	}
	if err := pair.Verify(append([]byte(context), body...), sig); err != nil {
		return fmt.Errorf("signature of %s does not fit", public)
	}
	return nil
}

// LoadKey is ReadKey, and makes a key in the file, with mode 0600, if it does not exist.
func LoadKey(path string) (*Key, error) {
	for range 2 { // the second time if another process made the file in between
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		if err := makeKey(path); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
	}
	return ReadKey(path)
}

// ReadKey returns the key whose seed is in a file. A file that others than its owner and group may read is refused.
func ReadKey(path string) (*Key, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read the key: %w", err)
	}
	if info.Mode().Perm()&0o007 != 0 {
		return nil, fmt.Errorf("read the key: %s is open to every user (mode %04o)", path, info.Mode().Perm())
	}
	seed, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the key: %w", err)
	}
	key, err := ParseKey(string(seed))
	if err != nil {
		return nil, fmt.Errorf("read the key in %s: %w", path, err)
	}
	return key, nil
}

// makeKey writes a new key, whole or not at all: half a key would be a host that cannot start.
func makeKey(path string) error {
	key, err := NewKey()
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".key-*") // mode 0600
	if err != nil {
		return fmt.Errorf("write a new key: %w", err)
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(key.Seed() + "\n")
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Link(f.Name(), path) // fails if there is one
	}
	if err != nil {
		return fmt.Errorf("write a new key: %w", err)
	}
	return nil
}
