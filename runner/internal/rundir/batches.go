package rundir

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/klauspost/compress/zstd"

	"agentwatt/shared/clock"
)

// Received is one power batch as it came from the bus.
type Received struct {
	Sequence uint64      // in the host's stream
	Stored   clock.Stamp // when the stream stored it, by the bus's clock
	Payload  []byte      // the wire encoding, untouched
}

// maxPayload bounds a frame when reading: the bus refuses larger messages.
const maxPayload = 64 << 20

// batchWriter appends to power/<host>.batches.zst: a sequence of complete zstd frames, one per flush, each holding whole
// records (uvarint sequence, uvarint stored stamp, uvarint length, payload). A crash loses the records since the last flush;
// a torn last frame is recognised when reading.
type batchWriter struct {
	file    *os.File
	encoder *zstd.Encoder
	pending bytes.Buffer
}

// AppendBatch adds a batch of a host. It is on disk after the next FlushBatches.
func (d *Dir) AppendBatch(host string, r Received) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	w, ok := d.hosts[host]
	if !ok {
		var err error
		if w, err = newBatchWriter(filepath.Join(d.path, batchFile(host))); err != nil {
			return err
		}
		d.hosts[host] = w
	}
	var head [3 * binary.MaxVarintLen64]byte
	b := binary.AppendUvarint(head[:0], r.Sequence)
	b = binary.AppendUvarint(b, uint64(r.Stored))
	b = binary.AppendUvarint(b, uint64(len(r.Payload)))
	w.pending.Write(b)
	w.pending.Write(r.Payload)
	return nil
}

// FlushBatches puts everything appended on disk.
func (d *Dir) FlushBatches() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	var errs []error
	for _, w := range d.hosts {
		errs = append(errs, w.flush())
	}
	return errors.Join(errs...)
}

// closeBatches flushes and closes the files.
func (d *Dir) closeBatches() error {
	err := d.FlushBatches()
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, w := range d.hosts {
		err = errors.Join(err, w.file.Close())
	}
	d.hosts = map[string]*batchWriter{}
	return err
}

// batchFile names a host's evidence. Host names come from the bus: anything that could leave the directory is replaced.
func batchFile(host string) string { return filepath.Join("power", safe(host)+".batches.zst") }

func safe(host string) string {
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

func newBatchWriter(path string) (*batchWriter, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open power evidence: %w", err)
	}
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("compress power evidence: %w", err), f.Close())
	}
	return &batchWriter{file: f, encoder: enc}, nil
}

func (w *batchWriter) flush() error {
	if w.pending.Len() == 0 {
		return nil
	}
	frame := w.encoder.EncodeAll(w.pending.Bytes(), nil)
	if _, err := w.file.Write(frame); err != nil {
		return fmt.Errorf("write power evidence %s: %w", w.file.Name(), err)
	}
	w.pending.Reset()
	if err := w.file.Sync(); err != nil {
		return fmt.Errorf("sync power evidence %s: %w", w.file.Name(), err)
	}
	return nil
}

// errTorn says that a file ends in the middle of a record: the writer was killed.
var errTorn = errors.New("ends in the middle of a record; what came before is kept")

// readBatches calls fn for each record of one host's evidence, in order. The payload is fn's to keep.
func readBatches(path string, fn func(Received) error) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("read power evidence: %w", err)
	}
	defer f.Close()
	dec, err := zstd.NewReader(f, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(1<<30))
	if err != nil {
		return fmt.Errorf("read power evidence %s: %w", path, err)
	}
	defer dec.Close()
	in := bufio.NewReader(dec)
	for {
		r, err := readRecord(in)
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return fmt.Errorf("read power evidence %s: %w (%w)", path, errTorn, err)
		}
		if err := fn(r); err != nil {
			return err
		}
	}
}

// readRecord reads one record; io.EOF only at a record's edge.
func readRecord(in *bufio.Reader) (r Received, err error) {
	if r.Sequence, err = binary.ReadUvarint(in); err != nil {
		return r, err
	}
	stored, err := binary.ReadUvarint(in)
	if err == nil {
		var n uint64
		if n, err = binary.ReadUvarint(in); err == nil {
			r.Stored = clock.Stamp(stored)
			r.Payload, err = readPayload(in, n)
		}
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return r, err
}

func readPayload(in io.Reader, n uint64) ([]byte, error) {
	if n > maxPayload {
		return nil, fmt.Errorf("record of %d bytes, at most %d", n, maxPayload)
	}
	var buf bytes.Buffer // grows with what is there, not with what a length claims
	got, err := io.CopyN(&buf, in, int64(n))
	if err != nil && got < int64(n) {
		return nil, io.ErrUnexpectedEOF
	}
	return buf.Bytes(), nil
}
