package bench

import (
	"fmt"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"

	"agentwatt/shared/settings"
)

// located is a value of a file with the line where it begins.
type located[T any] struct {
	value T
	line  int
}

// UnmarshalYAML decodes the value and keeps its line.
func (l *located[T]) UnmarshalYAML(n ast.Node) error {
	l.line = n.GetToken().Position.Line
	return yaml.NodeToValue(n, &l.value, yaml.Strict())
}

// objectiveText is an objective as it stands in a file.
type objectiveText struct{ Objective }

// UnmarshalYAML parses the node's text.
func (o *objectiveText) UnmarshalYAML(n ast.Node) (err error) {
	o.Objective, err = parseText(n, "an objective", "p95(ttft) <= 5s", ParseObjective)
	return err
}

// durationText is a duration as it stands in a file. The decoder knows durations, but not where a bad one stands.
type durationText struct{ time.Duration }

// UnmarshalYAML parses the node's text.
func (d *durationText) UnmarshalYAML(n ast.Node) (err error) {
	d.Duration, err = parseText(n, "a duration", "1m30s", time.ParseDuration)
	return err
}

// parseText parses the text of a node. Errors carry its place.
func parseText[T any](n ast.Node, what, example string, parse func(string) (T, error)) (v T, err error) {
	text, ok := n.(*ast.StringNode)
	if !ok {
		return v, settings.At(n, fmt.Errorf("%s is a text such as %q", what, example))
	}
	v, err = parse(text.Value)
	return v, settings.At(n, err)
}
