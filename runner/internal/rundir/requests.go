package rundir

import (
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"

	"agentwatt/runner/internal/bench"
)

func phaseFile(index int) string {
	return filepath.Join("requests", fmt.Sprintf("phase-%04d.parquet", index))
}

// WritePhase writes the records that ended during a phase. The file appears whole or not at all.
func (d *Dir) WritePhase(index int, records []bench.Record) error {
	name := phaseFile(index)
	path := filepath.Join(d.path, name)
	f, err := os.CreateTemp(filepath.Dir(path), ".part-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	digest := sha256.New()
	w := parquet.NewGenericWriter[bench.Record](io.MultiWriter(f, digest), parquet.Compression(&zstd.Codec{}))
	_, err = w.Write(records)
	if cerr := w.Close(); err == nil {
		err = cerr
	}
	if err := seal(f, path, err); err != nil {
		return err
	}
	d.note(name, [32]byte(digest.Sum(nil)))
	return nil
}

// readPhase reads the records of a phase.
func readPhase(dir string, index int) ([]bench.Record, error) {
	path := filepath.Join(dir, phaseFile(index))
	records, err := parquet.ReadFile[bench.Record](path)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return records, nil
}
