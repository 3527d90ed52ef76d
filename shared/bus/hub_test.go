package bus

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"agentwatt/shared/bustest"
	"agentwatt/shared/clock"
	"agentwatt/shared/evidence"
)

// hub is a stock NATS server, a warden, and the way of one host to it.
type hub struct {
	options           HubOptions
	server            *bustest.Server
	link              *bustest.Link
	key               *evidence.Key // of whoever runs the hub
	hostKey, otherKey *evidence.Key
	readerFile        string
}

const hubHost = "gpu-01.rack.example"

func startHub(t testing.TB) *hub {
	t.Helper()
	newKey := func() *evidence.Key {
		k, err := evidence.NewKey()
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	h := &hub{key: newKey(), hostKey: newKey(), otherKey: newKey(), readerFile: filepath.Join(t.TempDir(), "reader.nk")}
	readerKey, err := evidence.LoadKey(h.readerFile)
	if err != nil {
		t.Fatal(err)
	}
	h.options = HubOptions{
		Listen: bustest.FreeAddress(t), Leafs: bustest.FreeAddress(t), Dir: filepath.Join(t.TempDir(), "hub"), Key: h.key.Public(),
		Hosts:   []HubHost{{hubHost, h.hostKey.Public()}, {"other", h.otherKey.Public()}},
		Readers: []string{readerKey.Public()},
	}
	if err := h.options.Check(); err != nil {
		t.Fatal(err)
	}
	h.server = bustest.StartServer(t, h.options.Config(), h.options.Listen, h.options.Leafs)
	h.link = bustest.StartLink(t, h.options.Leafs)
	return h
}

// watch runs a warden until the test ends.
func (h *hub) watch(t testing.TB) *Warden {
	t.Helper()
	w, err := OpenWarden(t.Context(), "nats://"+h.options.Listen, "", h.key, h.options, verbose(t))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		w.Run(ctx)
		close(done)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
		w.Close()
	})
	return w
}

// host starts the server of the host, as one that the hub mirrors.
func (h *hub) host(t testing.TB, dir string) *Server {
	t.Helper()
	return serveTest(t, ServerOptions{Dir: dir, Host: hubHost, Key: h.hostKey, Hub: &Hub{URL: "nats://" + h.link.Address()}, Log: verbose(t)})
}

// reader connects to the hub.
func (h *hub) reader(t testing.TB) *Conn {
	t.Helper()
	c, err := Dial(t.Context(), "nats://"+h.options.Listen, Credentials{NKeyFile: h.readerFile})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// same waits until a mirror at the hub equals the stream of the host: sequences, times, bytes.
func (h *hub) same(t *testing.T, s *Server, mirror string) {
	t.Helper()
	all := func(c *Conn, stream string) (out []Message) {
		_ = c.ReadStream(t.Context(), stream, 0, clock.At(time.Now().Add(time.Hour)), func(m Message) error {
			out = append(out, m)
			return nil
		}) // fails until the mirror is made
		return out
	}
	there := h.reader(t)
	want := all(reader(t, s), Power)
	for end := time.Now().Add(60 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		got := all(there, mirror)
		err := equal(want, got)
		if err == nil {
			t.Logf("%d messages are the same", len(got))
			return
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

func equal(want, got []Message) error {
	if len(want) != len(got) {
		return fmt.Errorf("%d messages at the hub, %d at the host", len(got), len(want))
	}
	for i := range want {
		if want[i].Sequence != got[i].Sequence || want[i].Stored != got[i].Stored || !bytes.Equal(want[i].Payload, got[i].Payload) || got[i].Host != hubHost {
			return fmt.Errorf("sequence %d at the hub is not %d at the host", got[i].Sequence, want[i].Sequence)
		}
	}
	return nil
}

// Whatever happens to the link, the hub and the host, the mirror ends up equal to the stream.
func TestHubMirrorsThroughOutages(t *testing.T) {
	h := startHub(t)
	h.watch(t)
	dir := t.TempDir()
	s := h.host(t, dir)
	publish(t, publisher(t, s), "run 1", 1, 500)
	mirror := mirrorName(Power, hubHost, 1)
	h.same(t, s, mirror)

	h.link.Cut()
	publish(t, publisher(t, s), "run 1", 501, 1500)
	h.link.Heal()
	publish(t, publisher(t, s), "run 1", 1501, 1600)
	h.same(t, s, mirror)

	h.server.Kill()
	publish(t, publisher(t, s), "run 1", 1601, 1700)
	h.server.Start()
	publish(t, publisher(t, s), "run 1", 1701, 1800)
	h.same(t, s, mirror)

	s.Close()
	s = h.host(t, dir)
	publish(t, publisher(t, s), "run 2", 1, 100)
	h.same(t, s, mirror)

	h.link.Slow(200_000)
	publish(t, publisher(t, s), "run 2", 101, 700)
	h.same(t, s, mirror)
	h.link.Slow(0)

	s.Close() // the disk is lost, and the host begins anew
	s = h.host(t, t.TempDir())
	publish(t, publisher(t, s), "run 3", 1, 50)
	h.same(t, s, mirrorName(Power, hubHost, 2))
}

// A host may speak for itself only: with its own key but another's name it is not heard, and its batches are nowhere.
func TestHostCannotBeAnother(t *testing.T) {
	h := startHub(t)
	w := h.watch(t)
	o := ServerOptions{Host: hubHost, Key: h.otherKey, Hub: &Hub{URL: "nats://" + h.link.Address()}, Log: verbose(t)}
	impostor := serveTest(t, o)
	publish(t, publisher(t, impostor), "run", 1, 3)
	o.Host = "other"
	honest := serveTest(t, ServerOptions{Host: "other", Key: h.otherKey, Hub: o.Hub, Log: verbose(t)})
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) { // the hub has looked at both
		if _, err := w.created(t.Context(), "other", Power); err == nil {
			break
		} else if time.Now().After(end) {
			t.Fatal(err)
		}
	}
	if _, err := w.created(t.Context(), hubHost, Power); err == nil {
		t.Error("the hub reaches a host under the name of another")
	}
	if n := impostor.nats.NumLeafNodes(); n == 0 {
		t.Error("the impostor is not connected: nothing was shown")
	}
	_ = honest
}

// The hub signs what it holds, and says so when something does not follow what it held before.
func TestHubWitnesses(t *testing.T) {
	h := startHub(t)
	w := h.watch(t)
	s := h.host(t, t.TempDir())
	publish(t, publisher(t, s), "run", 1, 100)
	mirror := mirrorName(Power, hubHost, 1)
	h.same(t, s, mirror)
	own, err := OpenWarden(t.Context(), "nats://"+h.options.Listen, "", h.key, h.options, verbose(t))
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	if err := own.Witness(t.Context()); err != nil {
		t.Fatal(err)
	}
	last := func() evidence.Checkpoint {
		var c evidence.Checkpoint
		err := h.reader(t).ReadStream(t.Context(), Witness, 0, clock.At(time.Now().Add(time.Hour)), func(m Message) error {
			if m.Host != hubHost || m.Source != mirror {
				return nil
			}
			var err error
			c, err = evidence.OpenCheckpoint(m.Payload)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	c := last()
	if err := c.Check(); err != nil || c.Sequence != 100 || c.Link != 100 || c.Signer != h.key.Public() || c.Contradiction != "" {
		t.Errorf("got %+v, %v", c, err)
	}
	forged, err := lastMessage(t.Context(), w.nc, mirror, ">")
	if err != nil {
		t.Fatal(err)
	}
	p, err := own.resume(t.Context(), mirror, Power, hubHost)
	if err != nil {
		t.Fatal(err)
	}
	if err := own.step(t.Context(), mirror, p, Message{Sequence: 101, Payload: forged.data}); err != nil {
		t.Fatal(err)
	}
	if c := last(); c.Contradiction == "" || c.Sequence != 101 || c.Check() != nil {
		t.Errorf("got %+v", c)
	}
}

// A reader of the hub may read what the mirrors hold, and nothing else.
func TestHubReaderCannotWrite(t *testing.T) {
	h := startHub(t)
	w := h.watch(t)
	s := h.host(t, t.TempDir())
	publish(t, publisher(t, s), "run", 1, 3)
	mirror := mirrorName(Power, hubHost, 1)
	h.same(t, s, mirror)
	c := h.reader(t)
	for _, subject := range []string{
		"power.x.y", mirrorRoot + domain(hubHost) + ".POWER.x", witnessSubject(hubHost, mirror), hostAPI(hubHost) + ".STREAM.INFO.POWER",
		hostAPI(hubHost) + ".STREAM.PURGE.POWER", "$JS.API.STREAM.PURGE." + mirror, "$JS.API.STREAM.DELETE." + mirror,
		"$JS.API.CONSUMER.CREATE." + mirror, "$JS.API.STREAM.INFO." + mirror, "$SYS.REQ.SERVER.PING",
	} {
		sub, err := c.nc.SubscribeSync(c.nc.NewInbox())
		if err != nil {
			t.Fatal(err)
		}
		if err := c.nc.PublishRequest(subject, sub.Subject, nil); err != nil {
			t.Fatal(err)
		}
		if m, err := sub.NextMsg(50 * time.Millisecond); err == nil {
			t.Errorf("%s was answered: %s %v", subject, m.Data, m.Header)
		}
	}
	info, err := streamState(t.Context(), w.js, mirror)
	if err != nil || info.State.Msgs != 3 {
		t.Errorf("the mirror changed: %+v, %v", info, err)
	}
	if _, err := Dial(t.Context(), "nats://"+h.options.Listen, Credentials{}); err == nil {
		t.Error("a reader without a key was let in")
	}
}

// The hub may look at a host's streams, but not change them: not even whoever runs it.
func TestHubCannotChangeHosts(t *testing.T) {
	h := startHub(t)
	w := h.watch(t)
	s := h.host(t, t.TempDir())
	publish(t, publisher(t, s), "run", 1, 3)
	h.same(t, s, mirrorName(Power, hubHost, 1))
	for _, api := range []string{"STREAM.PURGE.POWER", "STREAM.DELETE.POWER", "STREAM.MSG.DELETE.POWER", "STREAM.UPDATE.POWER"} {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		if m, err := w.nc.RequestWithContext(ctx, hostAPI(hubHost)+"."+api, nil); err == nil {
			t.Errorf("%s was answered: %s", api, m.Data)
		}
		cancel()
	}
	if err := w.nc.Publish("power.forged.nvml", []byte("x")); err != nil {
		t.Error(err)
	}
	if err := w.nc.Flush(); err != nil {
		t.Error(err)
	}
	info, err := streamState(t.Context(), s.js, Power)
	if err != nil || info.State.Msgs != 3 {
		t.Errorf("the stream of the host changed: %+v, %v", info, err)
	}
}
