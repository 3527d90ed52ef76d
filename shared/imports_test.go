// Package shared_test holds the rules that the compiler does not enforce: who may import what, and why. It parses files
// itself: a test that shells out to `go list` is cached by `go test` and proves nothing.
package shared_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// forbidden says that files under dir may not import what matches. Tests are exempt.
var forbidden = []struct{ dir, match, reason string }{
	{"shared", `^agentwatt/(meterd|runner)`, "shared code knows neither program"},
	{"meterd", `^agentwatt/runner`, "the programs meet on the bus only"},
	{"runner", `^agentwatt/meterd`, "the programs meet on the bus only"},
	{"shared/power", `\.|^agentwatt/shared/(bus|wire|fault)`, "power is pure: standard library and stamps only"},
	{"shared/power", pure, "power is pure"},
	{"shared/wire", `^(net|os|log)($|/)`, "an encoding has no effects"},
	{"shared/topology", pure, "a check of a topology is a function of the file and of what is metered"},
	{"shared/topology", `^agentwatt/shared/(bus|wire)`, "topology is handed meters; it does not fetch them"},
	{"runner/internal/bench", pure, "bench is pure: report and verify must get the same result from the same files"},
	{"runner/internal/bench", `^agentwatt/(shared/(bus|wire)|runner)`, "bench is the core that others use"},
	{"runner/internal/agent", `internal/endpoint`, "agent and endpoint are siblings; main joins them"},
	{"runner/internal/endpoint", `internal/agent`, "agent and endpoint are siblings; main joins them"},
	{"runner/internal/worker", `internal/(endpoint|search)`, "a worker plays what it is given; main joins them"},
	{"runner/internal/trajectory", `internal/(agent|endpoint|bench|simulate)`, "the model comes before its users"},
	{"runner/internal/report", `^net($|/)|internal/(agent|endpoint|simulate|search)`, "a report is made from files"},
}

const pure = `^(net|os|log|log/slog|os/signal|net/http|syscall|math/rand)($|/http)`

// only says that a dependency is imported under one directory alone, or under those of a list: what drags in a world stays
// in its room.
var only = []struct{ match, dir string }{
	{`^github.com/nats-io/nats`, "shared/bus runner/internal/worker"},
	{`^github.com/nats-io/nkeys`, "shared/evidence"},
	{`^github.com/NVIDIA/go-nvml`, "meterd/internal/nvml"},
	{`^github.com/bougou/go-ipmi`, "meterd/internal/ipmi"},
	{`^github.com/gosnmp/`, "meterd/internal/snmp"},
	{`^github.com/stmcginnis/gofish`, "meterd/internal/redfish"},
	{`^github.com/parquet-go/`, "runner/internal/rundir runner/internal/trajectory"}, // what is measured is written; data sets are read
	{`^github.com/spf13/cobra/doc`, "shared/manual"},
	{`^github.com/influxdata/`, "meterd/internal/influx"},
	{`^github.com/prometheus/`, "meterd/internal/status runner/internal/servermetrics"},
	{`^github.com/coreos/go-systemd/`, "meterd"},
	{`^google.golang.org/protobuf/(proto|reflect|types)`, "shared/wire"},
}

// pureDirs may not start goroutines or read the clock.
var pureDirs = []string{"shared/power", "shared/rollup", "shared/audit", "shared/topology", "shared/wire", "runner/internal/bench"}

type source struct {
	path string // slash-separated, from the repository's root
	file *ast.File
	fset *token.FileSet
}

func sources(t *testing.T) []source {
	t.Helper()
	var out []source
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && (strings.HasPrefix(d.Name(), ".") && d.Name() != ".." || d.Name() == "testdata") {
			if err == nil {
				err = filepath.SkipDir
			}
			return err
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, path, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		out = append(out, source{filepath.ToSlash(strings.TrimPrefix(path, "../")), f, fset})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out) < 20 {
		t.Fatalf("found %d Go files: looking in the wrong place", len(out))
	}
	return out
}

func under(path, dir string) bool { return strings.HasPrefix(path, dir+"/") }

func TestImports(t *testing.T) {
	for _, s := range sources(t) {
		for _, spec := range s.file.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			for _, msg := range broken(s.path, imported) {
				t.Errorf("%s: %s", s.fset.Position(spec.Pos()), msg)
			}
		}
	}
}

// broken returns the rules that an import breaks.
func broken(path, imported string) (msgs []string) {
	for _, f := range forbidden {
		if under(path, f.dir) && regexp.MustCompile(f.match).MatchString(imported) {
			msgs = append(msgs, "may not import "+imported+": "+f.reason)
		}
	}
	for _, o := range only {
		if regexp.MustCompile(o.match).MatchString(imported) && !slices.ContainsFunc(strings.Fields(o.dir), func(dir string) bool { return under(path, dir) }) {
			msgs = append(msgs, "only "+o.dir+" imports "+imported)
		}
	}
	source := regexp.MustCompile(`^meterd/internal/(nvml|amdsmi|amdgpu|rapl|hwmon|ipmi|snmp|redfish|simulated)/`)
	if m := source.FindStringSubmatch(path); m != nil {
		if o := source.FindStringSubmatch(strings.TrimPrefix(imported, "agentwatt/") + "/"); o != nil && o[1] != m[1] {
			msgs = append(msgs, "a source may not import another: "+imported)
		}
	}
	return msgs
}

// TestRulesCanFail is the negative control: a rule that nothing can break proves nothing.
func TestRulesCanFail(t *testing.T) {
	for _, c := range []struct {
		path, imported string
		want           int
	}{
		{"shared/power/x.go", "net", 1},
		{"shared/power/x.go", "agentwatt/shared/clock", 0},
		{"shared/power/x.go", "github.com/x/y", 1},
		{"runner/search.go", "agentwatt/meterd/internal/sampler", 1},
		{"runner/internal/bench/x.go", "log/slog", 1},
		{"runner/internal/bench/x.go", "context", 0},
		{"meterd/internal/rapl/x.go", "agentwatt/meterd/internal/hwmon", 1},
		{"meterd/internal/rapl/x.go", "agentwatt/meterd/internal/sampler", 0},
		{"meterd/run.go", "github.com/nats-io/nats.go", 1},
		{"shared/bus/x.go", "github.com/nats-io/nats.go", 0},
		{"runner/internal/trajectory/x.go", "github.com/parquet-go/parquet-go", 0},
		{"runner/internal/bench/x.go", "github.com/parquet-go/parquet-go", 1},
	} {
		if got := broken(c.path, c.imported); len(got) != c.want {
			t.Errorf("%s imports %s: %d rules broken %q, want %d", c.path, c.imported, len(got), got, c.want)
		}
	}
}

func TestPurePackagesHaveNoGoroutinesAndNoClock(t *testing.T) {
	for _, s := range sources(t) {
		if !slices.ContainsFunc(pureDirs, func(d string) bool { return under(s.path, d) }) {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt:
				t.Errorf("%s: a pure package starts a goroutine", s.fset.Position(n.Pos()))
			case *ast.SelectorExpr:
				if x, ok := n.X.(*ast.Ident); ok && x.Name == "time" && slices.Contains([]string{"Now", "Since", "Sleep", "After", "NewTimer", "NewTicker"}, n.Sel.Name) {
					t.Errorf("%s: a pure package uses time.%s", s.fset.Position(n.Pos()), n.Sel.Name)
				}
			}
			return true
		})
	}
}

func TestEachPackageHasOneComment(t *testing.T) {
	comments := map[string][]string{}
	for _, s := range sources(t) {
		dir := filepath.ToSlash(filepath.Dir(s.path))
		comments[dir] = append(comments[dir], nil...)
		if s.file.Doc != nil {
			comments[dir] = append(comments[dir], s.path)
		}
	}
	for dir, files := range comments {
		if len(files) != 1 {
			t.Errorf("%s: package comment in %d files %q, want exactly one", dir, len(files), files)
		}
	}
}
