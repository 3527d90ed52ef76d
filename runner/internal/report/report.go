// Package report shows a result: as text that is understood at once, as JSON and CSV for machines, and as one HTML page with
// pictures that needs nothing but itself. It measures nothing and judges nothing: every figure comes from bench.
package report

import (
	"encoding/json"
	"fmt"
	"io"

	"agentwatt/runner/internal/bench"
)

// Run is what a report is made of.
type Run struct {
	Result   bench.Result
	Timeline Timeline
	Server   ServerCourse
}

// JSON writes the result with indentation.
func JSON(w io.Writer, r bench.Result) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	if err := enc.Encode(r); err != nil {
		return fmt.Errorf("encode result: %w", err)
	}
	return nil
}
