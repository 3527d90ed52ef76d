package secret

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func write(t *testing.T, dir, name, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestRead(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		name, text string
		mode       os.FileMode
		want, err  string
	}{
		{"plain", "s3cret", 0o600, "s3cret", ""},
		{"newline", "s3cret\r\n", 0o640, "s3cret", ""},
		{"blanks", "  a b ", 0o600, "  a b ", ""},
		{"open", "s3cret", 0o644, "", "open to every user"},
		{"empty", "\n", 0o600, "", "is empty"},
		{"lines", "a\nb\n", 0o600, "", "more than one line"},
		{"long", strings.Repeat("x", mostBytes+1), 0o600, "", "longer than"},
	} {
		got, err := Read(write(t, dir, c.name, c.text, c.mode))
		if got != c.want || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: got %q, %v; want %q, %q", c.name, got, err, c.want, c.err)
		}
		if err != nil && strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: the error tells the secret: %v", c.name, err)
		}
	}
	if _, err := Read(dir + "/"); err == nil {
		t.Error("a directory was read")
	}
}

func TestCredential(t *testing.T) {
	t.Setenv("CREDENTIALS_DIRECTORY", "")
	if _, err := Read("bmc"); err == nil {
		t.Error("no credentials directory, yet no error")
	}
	dir := t.TempDir()
	write(t, dir, "bmc", "pw\n", 0o400)
	t.Setenv("CREDENTIALS_DIRECTORY", dir)
	if got, err := Read("bmc"); got != "pw" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}
