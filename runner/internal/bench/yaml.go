package bench

import (
	"errors"
	"fmt"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
)

// decodeStrict reads YAML into v: unknown and repeated keys are errors, and every error begins with name:line where the
// decoder knows it.
func decodeStrict(data []byte, name string, v any) (err error) {
	defer func() {
		if p := recover(); p != nil { // the decoder does so on some malformed tags
			err = fmt.Errorf("%s: not understood: %v", name, p)
		}
	}()
	err = yaml.UnmarshalWithOptions(data, v, yaml.Strict())
	var at lineError
	var syntax yaml.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &at):
		return fmt.Errorf("%s:%d: %w", name, at.line, at.error)
	case errors.As(err, &syntax) && syntax.GetToken() != nil:
		return fmt.Errorf("%s:%d: %s", name, syntax.GetToken().Position.Line, syntax.GetMessage())
	}
	return fmt.Errorf("%s: %w", name, err)
}

// lineError is an error about a value on a line of the file.
type lineError struct {
	error
	line int
}

func (e lineError) Unwrap() error { return e.error }

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

// parseText parses the text of a node. Errors carry its line.
func parseText[T any](n ast.Node, what, example string, parse func(string) (T, error)) (v T, err error) {
	text, ok := n.(*ast.StringNode)
	if !ok {
		return v, lineError{fmt.Errorf("%s is a text such as %q", what, example), n.GetToken().Position.Line}
	}
	if v, err = parse(text.Value); err != nil {
		return v, lineError{err, n.GetToken().Position.Line}
	}
	return v, nil
}
