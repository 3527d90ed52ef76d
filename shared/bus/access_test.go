package bus

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"agentwatt/shared/clock"
)

// A local user without a name may read. These are the ways in which it might do more.
func TestReaderCannotWrite(t *testing.T) {
	s := serveTest(t, ServerOptions{Listen: "127.0.0.1:0"})
	publish(t, publisher(t, s), "run", 1, 3)
	payload := func(v any) []byte {
		data, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	consumer := func(deliver string) []byte {
		return payload(map[string]any{"stream_name": Power, "config": map[string]any{
			"deliver_subject": deliver, "ack_policy": "none", "deliver_policy": "all",
		}})
	}
	for _, c := range []struct {
		name, subject, reply string
		data                 []byte
	}{
		{"publish a batch", "power.gpu-01.nvml", "", []byte("forged")},
		{"purge", "$JS.API.STREAM.PURGE." + Power, "", nil},
		{"delete the stream", "$JS.API.STREAM.DELETE." + Power, "", nil},
		{"delete a message", "$JS.API.STREAM.MSG.DELETE." + Power, "", payload(map[string]any{"seq": 1})},
		{"update the stream", "$JS.API.STREAM.UPDATE." + Power, "", payload(map[string]any{"name": Power, "subjects": []string{"x"}})},
		{"create a stream", "$JS.API.STREAM.CREATE.OTHER", "", payload(map[string]any{"name": "OTHER", "subjects": []string{"other"}})},
		{"restore a stream", "$JS.API.STREAM.RESTORE.OTHER", "", nil},
		{"remove a peer", "$JS.API.STREAM.PEER.REMOVE." + Power, "", nil},
		{"create a consumer", "$JS.API.CONSUMER.CREATE." + Power, "", consumer("power.forged.nvml")},
		{"have a consumer purge", "$JS.API.CONSUMER.CREATE." + Power, "", consumer("$JS.API.STREAM.PURGE." + Power)},
		{"have an answer stored", getAPI + Power, "power.forged.nvml", payload(map[string]any{"seq": 1})},
		{"have an answer purge", getAPI + Power, "$JS.API.STREAM.PURGE." + Power, payload(map[string]any{"seq": 1})},
		{"have information stored", infoAPI + Power, "power.forged.nvml", nil},
		{"shut the server down", "$SYS.REQ.SERVER.PING", "", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			nc, err := nats.Connect(s.URL(), nats.ErrorHandler(ignore))
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			reply := c.reply
			if reply == "" {
				reply = nc.NewInbox()
			}
			answer, err := nc.SubscribeSync(reply)
			if err != nil {
				t.Fatal(err)
			}
			if err := nc.PublishRequest(c.subject, reply, c.data); err != nil {
				t.Fatal(err)
			}
			if err := nc.Flush(); err != nil {
				t.Fatal(err)
			}
			if c.reply == "" {
				if m, err := answer.NextMsg(50 * time.Millisecond); err == nil {
					t.Errorf("it was answered: %q %v", m.Data, m.Header)
				}
			}
			unchanged(t, s)
		})
	}
}

// unchanged checks that the stream is as it was: three messages, its subjects, no consumer, no other stream.
func unchanged(t *testing.T, s *Server) {
	t.Helper()
	js := s.js
	stream, err := js.Stream(t.Context(), Power)
	if err != nil {
		t.Fatal(err)
	}
	info := stream.CachedInfo()
	if info.State.Msgs != 3 || info.State.LastSeq != 3 || info.State.Consumers != 0 || info.Config.Subjects[0] != subjects {
		t.Errorf("the stream changed: %+v, subjects %v", info.State, info.Config.Subjects)
	}
	names := js.StreamNames(t.Context())
	n := 0
	for range names.Name() {
		n++
	}
	if n != len(sealed)+1 || names.Err() != nil {
		t.Errorf("%d streams, %v", n, names.Err())
	}
}

// Readers that need no stored batches can listen with any NATS client.
func TestReaderMayListen(t *testing.T) {
	s := serveTest(t, ServerOptions{Listen: "127.0.0.1:0"})
	nc, err := nats.Connect(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	sub, err := nc.SubscribeSync("power.*.nvml")
	if err == nil {
		err = nc.Flush()
	}
	if err != nil {
		t.Fatal(err)
	}
	publish(t, publisher(t, s), "run", 1, 1)
	m, err := sub.NextMsg(5 * time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := m.Header.Get(headerID), "gpu-01%2Erack%2Eexample/run/nvml/1"; got != want || m.Subject != "power.gpu-01%2Erack%2Eexample.nvml" {
		t.Errorf("got id %q on %q, want %q", got, m.Subject, want)
	}
}

// The name that may publish is of no use without the secret, nor with it on a socket.
func TestPublisherOnlyWithinTheProcess(t *testing.T) {
	s := serveTest(t, ServerOptions{Listen: "127.0.0.1:0"})
	for name, secret := range map[string]string{"guessed": "password", "leaked": s.secret} {
		_, err := nats.Connect(s.URL(), nats.UserInfo("meterd", secret))
		if !errors.Is(err, nats.ErrAuthorization) {
			t.Errorf("%s secret: got %v, want %v", name, err, nats.ErrAuthorization)
		}
	}
}

// Many readers do not keep the publisher out.
func TestTooManyReaders(t *testing.T) {
	s := serveTest(t, ServerOptions{Listen: "127.0.0.1:0"})
	p := publisher(t, s)
	var refused error
	for range maxConns + 1 {
		nc, err := nats.Connect(s.URL())
		if err != nil {
			refused = err
			break
		}
		defer nc.Close()
	}
	if refused == nil {
		t.Errorf("%d connections were taken", maxConns+1)
	}
	publish(t, p, "run", 1, 1)
}

// Read-only also means that what one reader asks for does not reach another.
func TestReadersDoNotDisturbEachOther(t *testing.T) {
	s := serveTest(t, ServerOptions{Listen: "127.0.0.1:0"})
	publish(t, publisher(t, s), "run", 1, 50)
	done := make(chan error)
	for range 8 {
		go func() {
			c, err := Dial(t.Context(), s.URL(), Credentials{})
			if err == nil {
				defer c.Close()
				var got []Message
				got, err = c.Read(t.Context(), 0, clock.At(time.Now().Add(time.Hour)))
				if err == nil && len(got) != 50 {
					err = fmt.Errorf("got %d batches, want 50", len(got))
				}
			}
			done <- err
		}()
	}
	for range 8 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}
