package trajectory

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// Open reads the native file at path, compressed or not. Errors are those of Read; they name the file by its path.
func Open(path string) (*Dataset, error) {
	f, err := openFile(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return Read(f, path)
}

// openFile opens a file for reading and decompresses gzip and zstd, which it knows by their first bytes.
func openFile(path string) (io.ReadCloser, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open trajectories: %w", err)
	}
	in := bufio.NewReaderSize(f, 256<<10)
	head, err := in.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		f.Close()
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	switch {
	case bytes.HasPrefix(head, []byte("\x1f\x8b")):
		z, err := gzip.NewReader(in)
		if err != nil {
			f.Close()
			return nil, fmt.Errorf("read %s: %w", path, err)
		}
		return stream{z, f.Close}, nil
	case bytes.HasPrefix(head, []byte("\x28\xb5\x2f\xfd")):
		z, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1))
		if err != nil {
			f.Close()
			return nil, fmt.Errorf("read %s: %w", path, err)
		}
		return stream{z, func() error { z.Close(); return f.Close() }}, nil
	}
	return stream{in, f.Close}, nil
}

// stream is a reader with the means to close what is below it.
type stream struct {
	io.Reader
	close func() error
}

func (s stream) Close() error { return s.close() }

// Create writes d to path, compressed if the name ends in .gz or .zst. The file appears complete or not at all. An
// existing file is an error that wraps fs.ErrExist, unless replace is set.
func Create(path string, d *Dataset, replace bool) error { return create(path, d, replace, 0o644) }

// CreatePrivate is Create for what only the owner may read.
func CreatePrivate(path string, d *Dataset, replace bool) error {
	return create(path, d, replace, 0o600)
}

func create(path string, d *Dataset, replace bool, mode fs.FileMode) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("write trajectories to %s: %w", path, err)
		}
	}()
	if _, err := os.Lstat(path); err == nil && !replace {
		return fs.ErrExist
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	err = errors.Join(compressTo(f, path, d), f.Chmod(mode), f.Sync(), f.Close())
	if err != nil {
		return err
	}
	if !replace {
		err := os.Link(f.Name(), path) // unlike a rename it fails where a file has appeared meanwhile
		if err == nil || errors.Is(err, fs.ErrExist) {
			return err
		}
		// A file system without hard links: the check above has to do.
	}
	return os.Rename(f.Name(), path)
}

// compressTo writes d to w as the ending of path says.
func compressTo(w io.Writer, path string, d *Dataset) error {
	var z io.WriteCloser
	var err error
	switch {
	case strings.HasSuffix(path, ".gz"):
		z = gzip.NewWriter(w)
	case strings.HasSuffix(path, ".zst"):
		z, err = zstd.NewWriter(w, zstd.WithEncoderConcurrency(1))
	default:
		return Write(w, d)
	}
	if err != nil {
		return err
	}
	return errors.Join(Write(z, d), z.Close())
}
