package trajectory

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
)

// aaManifest is the part of an AA replay manifest that can be checked against a trace.
type aaManifest struct {
	Tasks []aaTask `json:"tasks"`
}

type aaTask struct {
	ID         string  `json:"task_id"`
	Trace      string  `json:"trace"`
	ModelCalls int     `json:"model_calls"`
	ToolCalls  int     `json:"tool_calls"`
	DelayMS    float64 `json:"total_recorded_tool_delay_ms"`
}

// maxManifest bounds a manifest's size: those published have a few kilobytes.
const maxManifest = 16 << 20

// checkManifest compares what was imported from file with the manifest beside it, if there is one that lists the file. A
// trace that is not what its manifest says is not the published workload: that is an error.
func checkManifest(path, file string, d *Dataset, report *Report) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("check %s against its manifest: %w", file, err)
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, maxManifest))
	if err != nil {
		return fmt.Errorf("check %s against its manifest: read %s: %w", file, path, err)
	}
	var manifest aaManifest
	if err := json.Unmarshal(raw, &manifest); err != nil {
		line := 1
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			line += bytes.Count(raw[:min(int(syntax.Offset), len(raw))], []byte("\n"))
		}
		return &SyntaxError{path, line, fmt.Sprintf("manifest: %v", err)}
	}
	for _, task := range manifest.Tasks {
		if filepath.Base(filepath.FromSlash(task.Trace)) != filepath.Base(file) {
			continue
		}
		if err := task.check(d); err != nil {
			return &SyntaxError{path, 0, fmt.Sprintf("task %q is not what %s holds: %v", task.ID, file, err)}
		}
		report.note("the trace agrees with manifest.json beside it")
		return nil
	}
	return nil
}

// check compares the counts of a manifest's task with its trace.
func (task aaTask) check(d *Dataset) error {
	turns, calls, ms, named := 0, 0, 0.0, false
	for _, t := range d.Trajectories {
		turns += len(t.Turns)
		for _, turn := range t.Turns {
			calls += len(turn.Calls)
			ms += turn.ToolTime().Seconds() * 1e3
			if extra, err := members(turn.Extra); err == nil {
				id, _ := text(find(extra, "task_id"))
				named = named || id == task.ID
			}
		}
	}
	switch {
	case !named:
		return errors.New("no row has this task_id")
	case turns != task.ModelCalls:
		return fmt.Errorf("it says %d model calls, the trace has %d", task.ModelCalls, turns)
	case calls != task.ToolCalls:
		return fmt.Errorf("it says %d tool calls, the trace has %d", task.ToolCalls, calls)
	case math.Abs(ms-task.DelayMS) > 1:
		return fmt.Errorf("it says %g ms of tool time, the trace has %g ms", task.DelayMS, ms)
	}
	return nil
}
