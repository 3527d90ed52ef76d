package rundir

import (
	"errors"
	"path/filepath"

	"agentwatt/shared/archive"
)

// Received is one power batch as it came from the bus.
type Received = archive.Record

// AppendBatch adds a batch of a host to power/<host>.batches.zst. It is on disk after the next FlushBatches.
func (d *Dir) AppendBatch(host string, r Received) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	w, ok := d.hosts[host]
	if !ok {
		var err error
		if w, err = archive.Append(filepath.Join(d.path, batchFile(host))); err != nil {
			return err
		}
		d.hosts[host] = w
	}
	return w.Add(r)
}

// FlushBatches puts everything appended on disk.
func (d *Dir) FlushBatches() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	var errs []error
	for _, w := range d.hosts {
		errs = append(errs, w.Flush())
	}
	return errors.Join(errs...)
}

// closeBatches flushes and closes the files.
func (d *Dir) closeBatches() (err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, w := range d.hosts {
		err = errors.Join(err, w.Close())
	}
	d.hosts = map[string]*archive.Writer{}
	return err
}

// batchFile names a host's evidence.
func batchFile(host string) string { return filepath.Join("power", archive.FileName(host)) }
