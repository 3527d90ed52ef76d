package manual

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
)

const reference = `# What the file is.
#
#   prog > file

# The name.
host: ""

# The bus.
bus:
  listen: 127.0.0.1:1    # where
  tls: {a: "", b: ""}    # needed -
  dir: /d
  # - name: x        # of it
  #   address: y

# 'quoted' \ text
last: 1
`

func TestSettings(t *testing.T) {
	got := string(settings("prog.yaml", "its settings", "prog 1.0", time.Unix(0, 0).UTC(), []byte(reference)))
	want := `.TH "PROG.YAML" 5 "Jan 1970" "prog 1.0" "AgentWatt"
.SH NAME
prog.yaml \- its settings
.SH DESCRIPTION
.PP
What the file is.
.PP
.RS
.nf
  prog > file
.fi
.RE
.SH SETTINGS
.PP
The name.
.TP
\fBhost\fR: ""
.PP
The bus.
.TP
\fBbus.listen\fR: 127.0.0.1:1
where
.TP
\fBbus.tls\fR: {a: "", b: ""}
needed \-
.TP
\fBbus.dir\fR: /d
.PP
.RS
.nf
\- name: x        # of it
  address: y
.fi
.RE
.PP
\&'quoted' \e text
.TP
\fBlast\fR: 1
`
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// program is a small program with a hidden manual command.
func program() *cobra.Command {
	root := &cobra.Command{Use: "prog", Short: "Do it", Run: func(*cobra.Command, []string) {}}
	root.AddCommand(&cobra.Command{Use: "run", Short: "Run it", Example: "  prog run", Run: func(*cobra.Command, []string) {}})
	root.AddCommand(Command(Program{
		Section: "8", Version: "1.0", File: "prog.yaml", About: "its settings", Reference: []byte(reference),
	}))
	return root
}

// The same sources and date give the same pages, and man's own check has nothing to say of them.
func TestPages(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "86400")
	dir := t.TempDir()
	root := program()
	root.SetArgs([]string{"man", dir})
	if err := root.Execute(); err != nil {
		t.Fatal(err)
	}
	var names []string
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(b), "Jan 1970") {
			t.Errorf("%s does not have the date of SOURCE_DATE_EPOCH", e.Name())
		}
		if said := lint(t, filepath.Join(dir, e.Name())); said != "" {
			t.Errorf("man says of %s: %s", e.Name(), said)
		}
	}
	if d := cmp.Diff([]string{"prog-run.8", "prog.8", "prog.yaml.5"}, names); d != "" {
		t.Error(d)
	}
}

// lint returns what man complains about.
func lint(t *testing.T, path string) string {
	t.Helper()
	man, err := exec.LookPath("man")
	if err != nil {
		t.Log("SKIPPED: man is not installed, so the pages are not checked with it")
		return ""
	}
	c := exec.Command(man, "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", path)
	c.Env = append(os.Environ(), "MANROFFSEQ=", "MANWIDTH=80")
	var said strings.Builder
	c.Stderr = &said
	if err := c.Run(); err != nil {
		return err.Error() + "\n" + said.String()
	}
	return said.String()
}

func TestBadUse(t *testing.T) {
	for _, c := range []struct {
		args  []string
		epoch string
		want  string
	}{
		{[]string{"man"}, "", "accepts 1 arg"},
		{[]string{"man", "/nowhere/at/all"}, "", "write the manual pages"},
		{[]string{"man", "."}, "yesterday", "SOURCE_DATE_EPOCH"},
	} {
		t.Setenv("SOURCE_DATE_EPOCH", c.epoch)
		root := program()
		root.SilenceErrors, root.SilenceUsage = true, true
		root.SetArgs(c.args)
		if err := root.Execute(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want %q", c.args, err, c.want)
		}
	}
}
