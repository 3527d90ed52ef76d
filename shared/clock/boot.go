package clock

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// BootID returns the kernel's identifier of this boot from <procRoot>/sys/kernel/random/boot_id; procRoot is usually
// "/proc". Processes with the same boot id share one monotonic clock.
func BootID(procRoot string) (string, error) {
	path := filepath.Join(procRoot, "sys/kernel/random/boot_id")
	b, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("read boot id: %w", err)
	}
	id := strings.TrimSpace(string(b))
	if id == "" {
		return "", fmt.Errorf("read boot id: %s is empty", path)
	}
	return id, nil
}
