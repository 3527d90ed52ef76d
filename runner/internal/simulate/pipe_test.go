package simulate

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// connected returns the two ends of a connection.
func connected(t *testing.T) (client, server net.Conn) {
	t.Helper()
	ln := Pipe()
	defer ln.Close()
	accepted := make(chan net.Conn)
	go func() {
		c, err := ln.Accept()
		if err != nil {
			t.Error(err)
		}
		accepted <- c
	}()
	client, err := ln.Dial()
	if err != nil {
		t.Fatal(err)
	}
	return client, <-accepted
}

// Bytes arrive whole and in order, whatever the sizes of reads and writes, and the last ones survive the close.
func TestPipeCarriesBytes(t *testing.T) {
	for seed := range uint64(10) {
		client, server := connected(t)
		r := rand.New(rand.NewPCG(seed, 3))
		sent := make([]byte, 3*pipeBuffer+r.IntN(1000))
		for i := range sent {
			sent[i] = byte(r.Uint32())
		}
		go func() {
			w := rand.New(rand.NewPCG(seed, 4))
			for rest := sent; len(rest) > 0; {
				n, err := client.Write(rest[:min(len(rest), 1+w.IntN(pipeBuffer/2))])
				if err != nil {
					t.Error(err)
				}
				rest = rest[n:]
			}
			client.Close()
		}()
		var got []byte
		buf := make([]byte, pipeBuffer)
		for {
			n, err := server.Read(buf[:1+r.IntN(5000)])
			got = append(got, buf[:n]...)
			if err == io.EOF {
				break
			} else if err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(got, sent) {
			t.Errorf("seed %d: %d bytes arrived, not the %d that were sent", seed, len(got), len(sent))
		}
	}
}

func TestPipeWritesDoNotWaitForReaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := connected(t)
		if _, err := client.Write(make([]byte, pipeBuffer)); err != nil {
			t.Fatal(err)
		}
		written := false
		go func() {
			client.Write([]byte("x"))
			written = true
		}()
		synctest.Wait()
		if written {
			t.Error("a write into a full buffer did not wait")
		}
		server.Read(make([]byte, 10))
		synctest.Wait()
		if !written {
			t.Error("a write waits although there is room")
		}
	})
}

func TestPipeDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := connected(t)
		begin := time.Now()
		client.SetReadDeadline(begin.Add(time.Second))
		_, err := client.Read(make([]byte, 1))
		if !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(begin) != time.Second {
			t.Errorf("read ended after %v with %v", time.Since(begin), err)
		}
		var timeout net.Error
		if !errors.As(err, &timeout) || !timeout.Timeout() {
			t.Errorf("%v is no timeout", err)
		}
		// A deadline in the past ends a read that waits; without one it works again.
		client.SetReadDeadline(time.Time{})
		go func() {
			time.Sleep(time.Second)
			client.SetReadDeadline(time.Unix(1, 0))
		}()
		if _, err := client.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("read ended with %v", err)
		}
		client.SetReadDeadline(time.Time{})
		server.Write([]byte("y"))
		if n, err := client.Read(make([]byte, 1)); n != 1 || err != nil {
			t.Errorf("read %d, %v", n, err)
		}
		client.SetWriteDeadline(time.Now().Add(time.Minute))
		n, err := client.Write(make([]byte, pipeBuffer+1))
		if n != pipeBuffer || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("wrote %d, %v", n, err)
		}
	})
}

func TestPipeClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := connected(t)
		ended := make(chan error)
		go func() {
			_, err := client.Read(make([]byte, 1))
			ended <- err
		}()
		synctest.Wait()
		client.Close()
		if err := <-ended; !errors.Is(err, net.ErrClosed) {
			t.Errorf("a read that waited ended with %v", err)
		}
		if _, err := client.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
			t.Errorf("a write after close: %v", err)
		}
		if _, err := server.Write([]byte("x")); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("a write to a closed peer: %v", err)
		}
		if err := client.SetDeadline(time.Now()); !errors.Is(err, net.ErrClosed) {
			t.Errorf("a deadline after close: %v", err)
		}

		ln := Pipe()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := ln.DialContext(ctx, "tcp", "x:1"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("dial without accept: %v", err)
		}
		ln.Close()
		ln.Close()
		if _, err := ln.Dial(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("dial after close: %v", err)
		}
		if _, err := ln.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("accept after close: %v", err)
		}
	})
}
