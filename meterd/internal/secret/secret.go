// Package secret reads passwords and keys from files, so that none is ever in an argument list, an environment variable, a
// configuration or a log.
package secret

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"agentwatt/shared/fault"
)

// mostBytes bounds a secret: whoever can name the file must not make meterd read a disk.
const mostBytes = 4096

// Read returns the secret in a file, without the line break at its end. A name without a slash is a systemd credential,
// looked up in the directory of $CREDENTIALS_DIRECTORY. A file that every user may read is refused.
func Read(name string) (string, error) {
	path, err := Path(name)
	if err != nil {
		return "", err
	}
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("read a secret: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return "", fmt.Errorf("read a secret: %w", err)
	case !info.Mode().IsRegular():
		return "", fmt.Errorf("read a secret: %s is not a regular file", path)
	case info.Mode().Perm()&0o007 != 0:
		err := fmt.Errorf("read a secret: %s is open to every user (mode %04o)", path, info.Mode().Perm())
		return "", fault.Hint(err, "chmod 600 %s, or 640 with a group that only meterd is in", path)
	}
	b, err := io.ReadAll(io.LimitReader(f, mostBytes+1))
	text := strings.TrimRight(string(b), "\r\n")
	switch {
	case err != nil:
		return "", fmt.Errorf("read a secret: %w", err)
	case len(b) > mostBytes:
		return "", fmt.Errorf("read a secret: %s is longer than %d bytes", path, mostBytes)
	case text == "":
		return "", fmt.Errorf("read a secret: %s is empty", path)
	case strings.ContainsAny(text, "\n\x00"):
		return "", fmt.Errorf("read a secret: %s has more than one line", path)
	}
	return text, nil
}

// Path returns the file of a secret: a path, or the name of a systemd credential.
func Path(name string) (string, error) {
	if name == "" {
		return "", errors.New("read a secret: no file is named")
	}
	if strings.Contains(name, "/") {
		return name, nil
	}
	dir := os.Getenv("CREDENTIALS_DIRECTORY")
	if dir == "" {
		err := fmt.Errorf("read the credential %q: no credentials were passed to this process", name)
		return "", fault.Hint(err, "LoadCredential=%s:/path in the unit, or name a file with its path", name)
	}
	return filepath.Join(dir, name), nil
}
