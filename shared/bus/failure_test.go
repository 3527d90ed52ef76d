package bus

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"agentwatt/shared/clock"
)

func TestDialUnreachable(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	for url, want := range map[string]string{
		"nats://user:secret@" + addr: "connect to nats://" + addr + ": dial tcp " + addr + ": connect: connection refused",
		"nats://nobody.invalid:4222": "connect to nats://nobody.invalid:4222: dial tcp: lookup nobody.invalid",
	} {
		begin := time.Now()
		_, err := Dial(t.Context(), url, Credentials{})
		if err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("got %v, want %s", err, want)
		}
		if took := time.Since(begin); took > 10*time.Second {
			t.Errorf("%s: gave up after %v", url, took)
		}
	}
}

// Something listens there, but says nothing.
func TestDialSilent(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := Dial(t.Context(), "nats://"+l.Addr().String(), Credentials{}); err == nil {
		t.Error("connected to a server that says nothing")
	}
}

func TestTwoServersOnOneStore(t *testing.T) {
	dir := t.TempDir()
	first := serveTest(t, ServerOptions{Dir: dir})
	_, err := Serve(t.Context(), ServerOptions{Dir: dir})
	want := "serve the bus from " + dir + ": lock " + filepath.Join(dir, lockName) + ": in use by process "
	if err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got %v, want %s...", err, want)
	}
	publish(t, publisher(t, first), "run", 1, 1)
	first.Close()
	serveTest(t, ServerOptions{Dir: dir})
}

func TestServeRefuses(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for want, o := range map[string]ServerOptions{
		"address already in use": {Listen: l.Addr().String()},
		"not a directory":        {Dir: file},
		"missing port":           {Listen: "127.0.0.1"},
		"port: strconv":          {Listen: "127.0.0.1:nats"},
	} {
		if o.Dir == "" {
			o.Dir = t.TempDir()
		}
		s, err := Serve(t.Context(), o)
		if err == nil {
			s.Close()
		}
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "serve the bus from "+o.Dir) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if s, err := Serve(ctx, ServerOptions{Dir: t.TempDir()}); err == nil {
		s.Close()
		t.Error("served although the context had ended")
	}
}

func TestStoreIsPrivate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "store")
	serveTest(t, ServerOptions{Dir: dir})
	info, err := os.Stat(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := info.Mode().Perm(), os.FileMode(0o700); got != want {
		t.Errorf("got mode %o, want %o", got, want)
	}
}

// A stream whose description is destroyed must not be replaced by an empty one.
func TestCorruptStreamIsLeftAlone(t *testing.T) {
	dir := t.TempDir()
	s := serveTest(t, ServerOptions{Dir: dir})
	publish(t, publisher(t, s), "run", 1, 5)
	s.Close()
	stream := filepath.Join(dir, streamDir, Power)
	damage(t, filepath.Join(stream, "meta.inf"))
	_, err := Serve(t.Context(), ServerOptions{Dir: dir, Log: verbose(t)})
	if err == nil || !strings.Contains(err.Error(), "move "+stream+" away") {
		t.Fatalf("got %v", err)
	}
	if blocks, err := filepath.Glob(filepath.Join(stream, "msgs", "*.blk")); err != nil || len(blocks) == 0 {
		t.Errorf("the blocks are gone: %v", err)
	}
}

// A server that was killed while it made the stream leaves one without a description; there is nothing to lose.
func TestHalfMadeStreamIsMadeAgain(t *testing.T) {
	dir := t.TempDir()
	serveTest(t, ServerOptions{Dir: dir}).Close()
	meta := filepath.Join(dir, streamDir, Power, "meta.inf")
	for _, spoil := range []func() error{
		func() error { return os.Truncate(meta, 0) },
		func() error { return os.Remove(meta) },
	} {
		if err := spoil(); err != nil {
			t.Fatal(err)
		}
		serveTest(t, ServerOptions{Dir: dir}).Close()
	}
	s := serveTest(t, ServerOptions{Dir: dir})
	publish(t, publisher(t, s), "run", 1, 1)
}

// Damage inside a block costs batches, which shows; it does not keep the rest from being read.
func TestCorruptBlockShowsAsGap(t *testing.T) {
	dir := t.TempDir()
	s := serveTest(t, ServerOptions{Dir: dir})
	publish(t, publisher(t, s), "run", 1, 20)
	s.Close()
	blocks, err := filepath.Glob(filepath.Join(dir, streamDir, Power, "msgs", "*.blk"))
	if err != nil || len(blocks) == 0 {
		t.Fatalf("no blocks: %v", err)
	}
	damage(t, blocks[0])
	s = serveTest(t, ServerOptions{Dir: dir, Log: verbose(t)})
	publish(t, publisher(t, s), "run 2", 21, 22)
	got, err := reader(t, s).Read(t.Context(), 0, clock.At(time.Now().Add(time.Hour)))
	if err != nil {
		t.Fatal(err)
	}
	gaps := 0
	for _, m := range got {
		if m.Gap != nil {
			gaps++
		}
	}
	if n := len(got); n < 15 || n >= 22 || gaps != 1 {
		t.Errorf("got batches %v and %d gaps, want one gap", seqs(t, got), gaps)
	}
}

// damage overwrites the middle of a file.
func damage(t *testing.T, name string) {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 8 {
		data[len(data)/2+i] ^= 0xff
	}
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
}
