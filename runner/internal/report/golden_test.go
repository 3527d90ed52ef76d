package report

import (
	"bytes"
	"flag"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files")

func TestGolden(t *testing.T) {
	formats := []struct {
		extension string
		write     func(io.Writer, Run) error
	}{
		{"txt", func(w io.Writer, r Run) error { return Text(w, r.Result) }},
		{"csv", func(w io.Writer, r Run) error { return CSV(w, r.Result) }},
		{"html", HTML},
	}
	for _, f := range fixtures() {
		for _, format := range formats {
			name := f.name + "." + format.extension
			t.Run(name, func(t *testing.T) {
				var b bytes.Buffer
				if err := format.write(&b, f.run); err != nil {
					t.Fatal(err)
				}
				checkGolden(t, filepath.Join("testdata", name), b.Bytes())
			})
		}
	}
}

// checkGolden compares with a golden file. The style sheet in a page is a file of its own, with its digest in the policy:
// both are left out, so that a change of style changes no golden file.
func checkGolden(t *testing.T, path string, got []byte) {
	t.Helper()
	got = bytes.ReplaceAll(got, []byte(pageStyle), []byte("STYLE"))
	got = digest.ReplaceAll(got, []byte("sha256-DIGEST"))
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (make it with -update)", err)
	}
	if d := cmp.Diff(string(want), string(got)); d != "" {
		t.Errorf("%s differs (-want +got):\n%s", path, d)
	}
}
