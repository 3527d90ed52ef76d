package rundir

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"agentwatt/runner/internal/bench"
	"agentwatt/shared/archive"
	"agentwatt/shared/power"
	"agentwatt/shared/wire"
)

// Run is a run directory opened for reading, complete or not.
type Run struct {
	Path     string
	Manifest Manifest
}

// Open reads the manifest of a run directory.
func Open(path string) (*Run, error) {
	file := filepath.Join(path, "run.json")
	data, err := os.ReadFile(file)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("open run directory %s: no run.json in it: %w", path, err)
		}
		return nil, fmt.Errorf("open run directory %s: %w", path, err)
	}
	r := &Run{Path: path}
	if err := json.Unmarshal(data, &r.Manifest); err != nil {
		return nil, fmt.Errorf("open run directory %s: run.json: %w", path, err)
	}
	if r.Manifest.Schema != Schema {
		return nil, fmt.Errorf("open run directory %s: schema %d, this runner reads %d", path, r.Manifest.Schema, Schema)
	}
	return r, nil
}

// Records returns what was recorded during a phase.
func (r *Run) Records(phase int) ([]bench.Record, error) { return readPhase(r.Path, phase) }

// Batches returns all power batches of all hosts, in order per host. What cannot be read is returned as warnings: a torn
// end of a file, or a batch that does not decode; the rest is used.
func (r *Run) Batches() (batches []power.Batch, warnings []string, err error) {
	hosts, err := evidence(r.Path)
	if err != nil {
		return nil, nil, err
	}
	for _, path := range hosts {
		err := archive.Read(path, func(rec Received) error {
			b, err := wire.Decode(rec.Payload)
			if err != nil {
				warnings = append(warnings, fmt.Sprintf("power batch %d of %s left out: %v", rec.Sequence, filepath.Base(path), err))
				return nil
			}
			batches = append(batches, *b)
			return nil
		})
		if errors.Is(err, archive.ErrTorn) {
			warnings = append(warnings, fmt.Sprintf("%s %v", filepath.Base(path), archive.ErrTorn))
		} else if err != nil {
			return nil, warnings, err
		}
	}
	return batches, warnings, nil
}
