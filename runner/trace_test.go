package main

import (
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// The scripts testdata/script/trace_*.txtar are the manual of `runner trace`: `runner CODE ARGS...` runs the command in this
// process and checks its exit code.
func TestTraceScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Files: []string{"testdata/script/trace_import.txtar", "testdata/script/trace_inspect.txtar", "testdata/script/trace_synth.txtar"},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"runner": func(ts *testscript.TestScript, neg bool, args []string) {
				want, err := strconv.Atoi(args[0])
				ts.Check(err)
				for i, a := range args {
					if strings.Contains(a, ".jsonl") || strings.HasSuffix(a, ".txt") {
						args[i] = ts.MkAbs(a) // scripts run in their own directory, this process does not
					}
				}
				if got := run(args[1:], ts.Stdout(), ts.Stderr()); got != want {
					ts.Fatalf("exit code %d, want %d", got, want)
				}
			},
		},
	})
}
