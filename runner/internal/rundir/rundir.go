// Package rundir is the run directory: everything that a run measured, and from which its result follows.
//
//	run.json                       manifest: experiment, phases so far, digests; replaced atomically
//	requests/phase-0003.parquet    one row per turn; closed and fsynced when the phase ends
//	power/<host>.batches.zst       power batches exactly as received: the evidence
//	power/<host>.parquet           the same samples as a table
//	server/metrics.zst             what the server told of itself, once a second, as it wrote it
//	config/                        experiment as asked for, assignment of trajectories to agents
//	result.json report.html        derived, written last; "complete" in run.json is the marker
//
// A crash costs at most the phase in flight, the last second of power and the last ten of the server's metrics.
package rundir

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"agentwatt/runner/internal/bench"
	"agentwatt/shared/archive"
	"agentwatt/shared/clock"
)

// Schema is the version of the directory's layout.
const Schema = 1

// Span is a half-open stretch of time.
type Span struct {
	Begin clock.Stamp `json:"begin_unix_nanos"`
	End   clock.Stamp `json:"end_unix_nanos"`
}

// Manifest is run.json.
type Manifest struct {
	Schema     int                `json:"schema"`
	Complete   bool               `json:"complete"`  // result.json and report.html are written; nothing will be added
	Simulated  bool               `json:"simulated"` // endpoint or a meter is simulated
	Experiment bench.Experiment   `json:"experiment"`
	Anchors    []Anchor           `json:"clock_anchors"` // start and every phase edge
	IdleBefore *Span              `json:"idle_before,omitempty"`
	IdleAfter  *Span              `json:"idle_after,omitempty"`
	Phases     []bench.PhaseFacts `json:"phases"`
	Outcome    string             `json:"outcome,omitempty"` // why the search ended: Found, "interrupted", or an error; empty: it was killed
	Notes      []string           `json:"notes,omitempty"`   // what happened on the way and is not in the records
	Files      map[string]string  `json:"files_sha256"`      // closed files, by path in the directory
}

// Found is the outcome of a search that came to its end.
const Found = "found"

// Anchor ties the run's stamps to the wall clock: a step between two anchors shows as a change of Wall - Stamp.
type Anchor struct {
	Stamp clock.Stamp `json:"stamp_unix_nanos"`
	Wall  clock.Stamp `json:"wall_unix_nanos"`
	Error int64       `json:"error_nanos"`
}

// Dir is a run directory that is being written. Its methods may be called from several goroutines.
type Dir struct {
	path string

	mu       sync.Mutex
	manifest Manifest
	hosts    map[string]*archive.Writer
	server   *archive.Writer // nil: nothing was read yet
	reads    uint64          // of the server's metrics
}

// Create makes a new run directory at path. A path that exists and is not an empty directory is refused: no run is ever
// overwritten.
func Create(path string, m Manifest) (*Dir, error) {
	if entries, err := os.ReadDir(path); err == nil && len(entries) > 0 {
		return nil, fmt.Errorf("create run directory %s: %w and is not empty", path, fs.ErrExist)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("create run directory %s: %w", path, err)
	}
	for _, sub := range []string{"requests", "power", "config"} {
		if err := os.MkdirAll(filepath.Join(path, sub), 0o755); err != nil {
			return nil, fmt.Errorf("create run directory %s: %w", path, err)
		}
	}
	m.Schema, m.Files = Schema, map[string]string{}
	d := &Dir{path: path, manifest: m, hosts: map[string]*archive.Writer{}}
	return d, d.Update(func(*Manifest) {})
}

// Path returns where the directory is.
func (d *Dir) Path() string { return d.path }

// Update changes the manifest and replaces run.json atomically.
func (d *Dir) Update(change func(*Manifest)) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	change(&d.manifest)
	data, err := json.MarshalIndent(d.manifest, "", "  ")
	if err != nil {
		return fmt.Errorf("encode run.json: %w", err)
	}
	return replace(filepath.Join(d.path, "run.json"), append(data, '\n'))
}

// WriteFile writes a small file of the directory atomically and notes its digest in the next manifest.
func (d *Dir) WriteFile(name string, data []byte) error {
	if err := replace(filepath.Join(d.path, name), data); err != nil {
		return err
	}
	d.note(name, sha256.Sum256(data))
	return nil
}

func (d *Dir) note(name string, sum [32]byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.manifest.Files[filepath.ToSlash(name)] = hex.EncodeToString(sum[:])
}

// replace writes data beside path, syncs it and renames it into place, so that a crash leaves the old file or the new one.
func replace(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".part-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	_, err = f.Write(data)
	return seal(f, path, err)
}

// seal ends the writing of the temporary file f: sync, close and rename to path, or remove if anything failed.
func seal(f *os.File, path string, err error) error {
	err = errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
		return fmt.Errorf("write %s: %w", path, err)
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
