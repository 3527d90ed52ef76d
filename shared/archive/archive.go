// Package archive is the file in which the messages of one host's stream are kept, exactly as they came from the bus.
//
// It is a sequence of complete zstd frames, each with whole records:
//
//	uvarint sequence, uvarint stored, uvarint length, payload
//
// Any zstd tool unpacks it. A crash loses what came since the last flush; a torn last frame is recognised when reading.
package archive

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/klauspost/compress/zstd"

	"agentwatt/shared/clock"
)

// Suffix ends the name of an archive.
const Suffix = ".batches.zst"

// Record is one message as it was stored.
type Record struct {
	Sequence uint64      // in the host's stream
	Stored   clock.Stamp // when the stream stored it, by the clock of the bus
	Payload  []byte      // the message, untouched
}

const (
	maxPayload = 8 << 20  // bytes of one record when reading: the bus refuses larger messages
	maxWindow  = 64 << 20 // bytes of memory that a frame may ask for
	enough     = 4 << 20  // bytes of records that make a frame without a flush
)

// Writer appends to an archive. It is not safe for concurrent use.
type Writer struct {
	file    *os.File
	encoder *zstd.Encoder
	pending bytes.Buffer
	frame   []byte
}

// Append opens an archive for adding records, and makes the file if there is none. The caller closes it.
func Append(path string) (*Writer, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open archive: %w", err)
	}
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("compress archive %s: %w", path, err), f.Close())
	}
	return &Writer{file: f, encoder: enc}, nil
}

// Add adds a record. It is on disk after the next Flush.
func (w *Writer) Add(r Record) error {
	var head [3 * binary.MaxVarintLen64]byte
	b := binary.AppendUvarint(head[:0], r.Sequence)
	b = binary.AppendUvarint(b, uint64(r.Stored))
	b = binary.AppendUvarint(b, uint64(len(r.Payload)))
	w.pending.Write(b)
	w.pending.Write(r.Payload)
	if w.pending.Len() < enough {
		return nil
	}
	return w.write()
}

// Flush puts everything that was added on disk.
func (w *Writer) Flush() error {
	if err := w.write(); err != nil {
		return err
	}
	if err := w.file.Sync(); err != nil {
		return fmt.Errorf("sync archive %s: %w", w.file.Name(), err)
	}
	return nil
}

// write makes a frame of what is pending.
func (w *Writer) write() error {
	if w.pending.Len() == 0 {
		return nil
	}
	w.frame = w.encoder.EncodeAll(w.pending.Bytes(), w.frame[:0])
	if _, err := w.file.Write(w.frame); err != nil {
		return fmt.Errorf("write archive %s: %w", w.file.Name(), err)
	}
	w.pending.Reset()
	return nil
}

// Close flushes and closes the file.
func (w *Writer) Close() error {
	return errors.Join(w.Flush(), w.encoder.Close(), w.file.Close())
}

// ErrTorn says that an archive ends in the middle of a record, or goes on with what is none: its writer was killed, or the
// file was cut or damaged. What came before is whole.
var ErrTorn = errors.New("ends in the middle of a record; what came before is kept")

// Reader reads an archive in a bounded amount of memory, whatever the file holds.
type Reader struct {
	from    source
	decoder *zstd.Decoder
	in      *bufio.Reader
}

// source remembers why reading failed, to tell a damaged archive from a damaged disk.
type source struct {
	io.Reader
	failed error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	if err != nil && err != io.EOF {
		s.failed = err
	}
	return n, err
}

// NewReader reads the archive that r holds. The caller closes it, which does not close r.
func NewReader(r io.Reader) (*Reader, error) {
	a := &Reader{from: source{Reader: r}}
	var err error
	a.decoder, err = zstd.NewReader(&a.from, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxWindow), zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		return nil, fmt.Errorf("unpack archive: %w", err)
	}
	a.in = bufio.NewReader(a.decoder)
	return a, nil
}

// Next returns the next record, whose payload is the caller's to keep; io.EOF after the last one, and ErrTorn, wrapped,
// where no further record can be read.
func (a *Reader) Next() (Record, error) {
	r, err := a.record()
	switch {
	case err == nil || err == io.EOF:
		return r, err
	case a.from.failed != nil:
		return Record{}, a.from.failed
	}
	return Record{}, fmt.Errorf("%w (%w)", ErrTorn, err)
}

// record reads one record; io.EOF only at a record's edge.
func (a *Reader) record() (r Record, err error) {
	if r.Sequence, err = binary.ReadUvarint(a.in); err != nil {
		return r, err
	}
	stored, err := binary.ReadUvarint(a.in)
	if err == nil {
		var n uint64
		if n, err = binary.ReadUvarint(a.in); err == nil {
			r.Stored = clock.Stamp(stored)
			r.Payload, err = payload(a.in, n)
		}
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return r, err
}

func payload(in io.Reader, n uint64) ([]byte, error) {
	if n > maxPayload {
		return nil, fmt.Errorf("record of %d bytes, at most %d", n, maxPayload)
	}
	if n <= 4096 { // as good as all
		b := make([]byte, n)
		_, err := io.ReadFull(in, b)
		return b, err
	}
	var buf bytes.Buffer // grows with what is there, not with what a length claims
	got, err := io.CopyN(&buf, in, int64(n))
	if err != nil && got < int64(n) {
		return nil, io.ErrUnexpectedEOF
	}
	return buf.Bytes(), nil
}

// Close frees what reading took.
func (a *Reader) Close() { a.decoder.Close() }

// Read calls fn for each record of the archive at path, in order. An error of fn ends it and is returned as it is.
func Read(path string, fn func(Record) error) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("read archive: %w", err)
	}
	defer f.Close()
	a, err := NewReader(f)
	if err != nil {
		return fmt.Errorf("read archive %s: %w", path, err)
	}
	defer a.Close()
	for {
		r, err := a.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read archive %s: %w", path, err)
		}
		if err := fn(r); err != nil {
			return err
		}
	}
}

// FileName returns a name for an archive of a host. Host names come from the bus: anything that could leave the directory
// is replaced.
func FileName(host string) string { return Safe(host) + Suffix }

// Safe returns a host's name in the form in which it may name a file or directory.
func Safe(host string) string {
	b := []byte(host)
	for i, c := range b {
		ok := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.' && i > 0
		if !ok {
			b[i] = '_'
		}
	}
	if len(b) == 0 {
		return "_"
	}
	return string(b[:min(len(b), 200)])
}
