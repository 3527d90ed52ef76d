package rundir

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"agentwatt/shared/clock"
)

// clocksFile holds what was measured of other hosts' clocks: a list of clock.Exchange.
const clocksFile = "clocks.json"

// WriteClocks writes all that was measured so far, in place of what was there.
func (d *Dir) WriteClocks(list []clock.Exchange) error {
	data, err := json.MarshalIndent(list, "", "  ")
	if err != nil {
		return fmt.Errorf("encode %s: %w", clocksFile, err)
	}
	return d.WriteFile(clocksFile, append(data, '\n'))
}

// Clocks returns what was measured of other hosts' clocks; nothing is no error.
func (r *Run) Clocks() (list []clock.Exchange, err error) {
	data, err := os.ReadFile(filepath.Join(r.Path, clocksFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &list)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", clocksFile, err)
	}
	return list, nil
}
