package sourcetest

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// Tool returns the path of a program that a test talks to. Without it the test is skipped, unless METER_REQUIRE names it.
func Tool(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	switch {
	case err == nil:
		return path
	case Required(name):
		t.Fatalf("%s is not installed, and METER_REQUIRE names it", name)
	}
	t.Skipf("SKIPPED: %s is not installed (make peers installs it; METER_REQUIRE=%s makes this fatal)", name, name)
	return ""
}

// Required reports whether the environment variable METER_REQUIRE, a list with commas, names what a test needs.
func Required(name string) bool {
	return slices.Contains(strings.Split(os.Getenv("METER_REQUIRE"), ","), name)
}

// Data returns the path of a file or folder of recordings, shared/data beside the repository. Without it the test is skipped, unless
// METER_REQUIRE names "data". root leads from the test's package to the repository's root.
func Data(t testing.TB, root, name string) string {
	t.Helper()
	for _, shared := range []string{root + "/../shared/data/", root + "/shared/data/"} {
		if _, err := os.Stat(shared + name); err == nil {
			return shared + name
		}
	}
	if Required("data") {
		t.Fatalf("no recordings at ../shared/data/%s, and METER_REQUIRE names data", name)
	}
	t.Skipf("SKIPPED: no recordings at ../shared/data/%s beside the repository", name)
	return ""
}
