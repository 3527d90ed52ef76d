package rundir

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"agentwatt/runner/internal/bench"
	"agentwatt/runner/internal/servermetrics"
	"agentwatt/shared/archive"
)

// serverFile holds what was read of the server's metrics: one record per read, with the lines as the server wrote them.
var serverFile = filepath.Join("server", "metrics.zst")

// failedRead begins the payload of a read that brought nothing: in the server's format that is a comment.
const failedRead = "# not read: "

// readsPerFlush is how many reads a crash costs at most.
const readsPerFlush = 10

// AppendServer adds one read of the server's metrics.
func (d *Dir) AppendServer(r servermetrics.Record) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.server == nil {
		path := filepath.Join(d.path, serverFile)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return fmt.Errorf("write %s: %w", path, err)
		}
		w, err := archive.Append(path)
		if err != nil {
			return err
		}
		d.server = w
	}
	payload := r.Text
	if r.Err != nil {
		payload = []byte(failedRead + r.Err.Error() + "\n")
	}
	if err := d.server.Add(archive.Record{Sequence: d.reads, Stored: r.Time, Payload: payload}); err != nil {
		return err
	}
	if d.reads++; d.reads%readsPerFlush == 0 {
		return d.server.Flush()
	}
	return nil
}

// FlushServer puts all reads on disk.
func (d *Dir) FlushServer() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.server == nil {
		return nil
	}
	return d.server.Flush()
}

// closeServer closes the file and notes its digest.
func (d *Dir) closeServer() error {
	d.mu.Lock()
	w := d.server
	d.server = nil
	d.mu.Unlock()
	if w == nil {
		return nil
	}
	if err := w.Close(); err != nil {
		return err
	}
	path := filepath.Join(d.path, serverFile)
	data, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("note the digest of %s: %w", path, err)
	}
	d.note(serverFile, sha256.Sum256(data))
	return nil
}

// Server returns what was read of the server's metrics, and doubts about the file; nothing is no error.
func (r *Run) Server() (e bench.ServerEvidence, warnings []string, err error) {
	err = archive.Read(filepath.Join(r.Path, serverFile), func(rec archive.Record) error {
		s, err := servermetrics.Parse(rec.Payload)
		if err == nil {
			s.Time = rec.Stored
			e.Samples = append(e.Samples, s)
			return nil
		}
		if e.Failed++; e.Failed == 1 {
			e.Failure = failure(rec.Payload, err)
		}
		return nil
	})
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return e, nil, nil
	case errors.Is(err, archive.ErrTorn):
		return e, []string{fmt.Sprintf("%s %v", filepath.ToSlash(serverFile), archive.ErrTorn)}, nil
	}
	return e, nil, err
}

// failure says why a read brought nothing: in the words of the run, else as it looks now.
func failure(payload []byte, err error) string {
	if why, ok := strings.CutPrefix(string(payload), failedRead); ok {
		return strings.TrimSpace(why)
	}
	return err.Error()
}
