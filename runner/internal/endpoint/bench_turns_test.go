package endpoint

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"testing"
	"time"

	. "agentwatt/runner/internal/endpoint/endpointtest"
	"agentwatt/runner/internal/trajectory"
	"agentwatt/shared/clock"
)

// BenchmarkTurns measures CPU per turn with a history of 500 KB: a request, and an answer of one event in one write. The
// floor writes the same bytes ready made on a connection and reads the answer's bytes.
func BenchmarkTurns(b *testing.B) {
	const turns = 100
	url := startServer(b, "turns")
	play := talk(50, 10<<10)
	last := len(play.Turns) - 1
	c, err := New(Options{URL: url, Model: "scripted-model", Clock: clock.New()})
	if err != nil {
		b.Fatal(err)
	}
	l := c.Lane()
	defer l.Close()
	ready, _ := c.chat(nil, play, last, false, DefaultCap)
	conn, err := net.Dial("tcp", c.addr)
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	answer := len(Together(Stream(1, 1, 0, 0)...).Bytes)
	marshal := marshaller(b, url, play, last)
	compare(b, "turn", []contender{
		{"ours", func() (int, time.Duration) {
			for range turns {
				if r := l.Send(context.Background(), play, last); r.Failure != "" {
					b.Fatal(r.Failure, r.Detail)
				}
			}
			return turns, 0
		}},
		{"floor", func() (int, time.Duration) {
			buf := make([]byte, answer)
			for range turns {
				bufs := net.Buffers(slices.Clone(ready.bufs))
				if _, err := bufs.WriteTo(conn); err != nil {
					b.Fatal(err)
				}
				if _, err := io.ReadFull(conn, buf); err != nil {
					b.Fatal(err)
				}
			}
			return turns, 0
		}},
		{"marshal+net/http", func() (int, time.Duration) {
			for range turns {
				marshal()
			}
			return turns, 0
		}},
	})
}

type message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

func history(b *testing.B, play trajectory.Play, turn int) (messages []message) {
	pieces := play.Pieces(turn)
	if err := json.Unmarshal([]byte("["+string(bytes.Join(pieces[:], nil))+"]"), &messages); err != nil {
		b.Fatal(err)
	}
	return messages
}

// marshaller returns the usual way: marshal the whole history, post it, drain the answer.
func marshaller(b *testing.B, url string, play trajectory.Play, turn int) func() {
	messages := history(b, play, turn)
	client := new(http.Client)
	b.Cleanup(client.CloseIdleConnections)
	return func() {
		body, err := json.Marshal(map[string]any{"model": "scripted-model", "stream": true, "max_tokens": DefaultCap, "messages": messages})
		if err != nil {
			b.Fatal(err)
		}
		resp, err := client.Post(url+"/chat/completions", "application/json", bytes.NewReader(body))
		if err != nil {
			b.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
}

// BenchmarkBuild measures the building of a request alone. 512 KB of history is a context of about 128K tokens.
func BenchmarkBuild(b *testing.B) {
	c, err := New(Options{URL: "http://h/v1", Model: "scripted-model", Clock: clock.New()})
	if err != nil {
		b.Fatal(err)
	}
	for _, kb := range []int{8, 64, 512} {
		play := talk(kb/8, 8<<10)
		last := len(play.Turns) - 1
		b.Run(fmt.Sprintf("ours/%dKB", kb), func(b *testing.B) {
			b.ReportAllocs()
			var lead []byte
			for b.Loop() {
				_, lead = c.chat(lead, play, last, false, DefaultCap)
			}
		})
		b.Run(fmt.Sprintf("marshal/%dKB", kb), func(b *testing.B) {
			b.ReportAllocs()
			messages := history(b, play, last)
			for b.Loop() {
				if _, err := json.Marshal(map[string]any{"model": "scripted-model", "stream": true, "messages": messages}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkParse measures what is done with 500 events: while the stream is open, and after it.
func BenchmarkParse(b *testing.B) {
	const n = 500
	c, err := New(Options{URL: "http://h/v1", Model: "m", Clock: clock.New()})
	if err != nil {
		b.Fatal(err)
	}
	got := new(capture)
	steps := Stream(n, 1, 0, 0)
	receive := func() {
		for i, s := range steps {
			if _, err := got.add(s.Bytes, receipt{at: clock.Stamp(i + 1)}); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.Run("open", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			got.reset()
			receive()
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/event")
		b.ReportMetric(float64(len(got.kept)), "bytes-kept")
	})
	b.Run("after", func(b *testing.B) {
		got.reset()
		receive()
		b.ReportAllocs()
		for b.Loop() {
			r := newReply()
			if c.answer(&r, got, nil); r.Failure != "" || r.Chunks != n {
				b.Fatal(r.Failure, r.Detail)
			}
		}
	})
}
