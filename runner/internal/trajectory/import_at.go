package trajectory

import (
	"fmt"
	"os"
	"strings"
)

// importAt reads a file of a format that is read at random, told by its first bytes. It returns nothing if it is none.
func (l Limits) importAt(file string, format Format) (*Dataset, *Report, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, nil, fmt.Errorf("open trajectories: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, nil, fmt.Errorf("open trajectories: %w", err)
	}
	var head [4]byte
	n, _ := f.ReadAt(head[:], 0) // openFile says what is wrong with a file that cannot be read
	for _, im := range importers() {
		if im.readAt == nil || format != Auto && format != "" && format != im.format {
			continue
		}
		if strings.HasPrefix(string(head[:n]), im.magic) {
			return im.readAt(l, f, info.Size(), file)
		}
		if format == im.format {
			return nil, nil, &SyntaxError{file, 0, fmt.Sprintf("not a %s file: it does not begin with %q", format, im.magic)}
		}
	}
	return nil, nil, nil
}
