package bus

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"agentwatt/shared/bustest"
	"agentwatt/shared/evidence"
	"agentwatt/shared/wire"
)

// Two hosts publish to one stream of a stock server, which is killed meanwhile. Each host's batches are all there, once, as one
// chain.
func TestDirectThroughKills(t *testing.T) {
	address := bustest.FreeAddress(t)
	var keys []*evidence.Key
	for range 3 {
		key, err := evidence.NewKey()
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, key)
	}
	config := fmt.Sprintf("listen: %q\njetstream {store_dir: %q, sync_interval: always}\nauthorization: {users: [{nkey: %s}, {nkey: %s}, {nkey: %s}]}\n",
		address, filepath.Join(t.TempDir(), "js"), keys[0], keys[1], keys[2])
	server := bustest.StartServer(t, config, address)
	nc, err := nats.Connect("nats://"+address, nats.MaxReconnects(-1), nats.Nkey(keys[2].Public(), keys[2].Sign))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(t.Context(), fileStream("ALL", "", subjects)); err != nil {
		t.Fatal(err)
	}
	var all []*Publisher
	for i, host := range []string{"a.rack", "b.rack"} {
		d, err := OpenDirect(DirectOptions{URL: "nats://" + address, Stream: "ALL", Host: host, Key: keys[i], Log: verbose(t)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(d.Close)
		all = append(all, d.Publisher())
	}
	const last = 300
	done := make(chan struct{})
	for i, p := range all {
		go func() {
			defer func() { done <- struct{}{} }()
			for n := uint64(1); n <= last; n++ {
				b := batch("run", n)
				b.Host = []string{"a.rack", "b.rack"}[i]
				insist(t, p, b)
			}
		}()
	}
	for range 3 {
		time.Sleep(150 * time.Millisecond) // somewhere in between
		server.Kill()
		server.Start()
	}
	<-done
	<-done
	f, err := newFetcher(nc, directGet("ALL"))
	if err != nil {
		t.Fatal(err)
	}
	type end struct {
		seq    uint64
		digest evidence.Digest
	}
	ends := map[string]end{}
	next := uint64(1)
	for more := true; more; {
		more, err = f.fetch(t.Context(), getRequest{Seq: next}, func(m Message) error {
			next = m.Sequence + 1
			sealed, err := evidence.Open(m.Payload)
			if err != nil {
				return err
			}
			b, err := wire.Decode(m.Payload)
			if err != nil {
				return err
			}
			if e := ends[m.Host]; b.Seq != e.seq+1 || sealed.Prev != e.digest {
				return fmt.Errorf("batch %d of %s after %d, or not its follower", b.Seq, m.Host, e.seq)
			}
			ends[m.Host] = end{b.Seq, evidence.DigestOf(m.Payload)}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for host, e := range ends {
		if e.seq != last {
			t.Errorf("%s: %d batches, want %d", host, e.seq, last)
		}
	}
	if len(ends) != 2 {
		t.Errorf("%d hosts", len(ends))
	}
}

func TestDirectUserIsRefused(t *testing.T) {
	address := bustest.FreeAddress(t)
	bustest.StartServer(t, fmt.Sprintf("listen: %q\nauthorization: {user: a, password: b}\n", address), address)
	key, err := evidence.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	d, err := OpenDirect(DirectOptions{URL: "nats://" + address, Stream: "ALL", Host: "h", Key: key, Log: verbose(t)})
	if err == nil {
		d.Close()
		t.Error("connected")
	}
}
