// Package settings reads the YAML that people write: configuration, tiers, profiles, parameters. It is strict, since a key
// that is silently ignored is a measurement that was not asked for, and every error says file:line:column.
package settings

import (
	"errors"
	"fmt"
	"slices"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// Decode reads one YAML document over v, a pointer: what the document does not name stays as it is. Unknown and repeated
// keys are errors. A key without a value, such as a section whose settings are all commented out, changes nothing; the
// decoder alone would set it to zero. name is the file's, for errors.
func Decode(data []byte, name string, v any) (err error) {
	defer func() {
		if p := recover(); p != nil { // the decoder panics on some malformed tags
			err = fmt.Errorf("%s: not understood: %v", name, p)
		}
	}()
	return locate(name, decode(data, v))
}

func decode(data []byte, v any) error {
	doc, err := parser.ParseBytes(data, 0)
	if err != nil {
		return err
	}
	if len(doc.Docs) > 1 {
		return At(doc.Docs[1], errors.New("a second document"))
	}
	if len(doc.Docs) == 0 || doc.Docs[0].Body == nil || doc.Docs[0].Body.Type() == ast.NullType {
		return nil
	}
	ast.Walk(settled{}, doc.Docs[0].Body)
	return yaml.NodeToValue(doc.Docs[0].Body, v, yaml.Strict())
}

// settled is a visitor that takes keys without a value out of every mapping.
type settled struct{}

// Visit edits one node.
func (s settled) Visit(n ast.Node) ast.Visitor {
	if m, ok := n.(*ast.MappingNode); ok {
		m.Values = slices.DeleteFunc(m.Values, func(v *ast.MappingValueNode) bool { return v.Value.Type() == ast.NullType })
	}
	return s
}

// placed is a mistake at one place of a document.
type placed struct {
	error
	line, column int
}

func (p placed) Unwrap() error { return p.error }

// At says where in the document err is; for UnmarshalYAML methods that read their own node. nil stays nil.
func At(n ast.Node, err error) error {
	if err == nil {
		return nil
	}
	at := n.GetToken().Position
	return placed{err, at.Line, at.Column}
}

// locate puts file:line:column before a decoding error, as far as they are known.
func locate(name string, err error) error {
	var mistake placed
	var syntax yaml.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &mistake):
		return fmt.Errorf("%s:%d:%d: %w", name, mistake.line, mistake.column, mistake.error)
	case errors.As(err, &syntax) && syntax.GetToken() != nil:
		at := syntax.GetToken().Position
		return fmt.Errorf("%s:%d:%d: %s", name, at.Line, at.Column, syntax.GetMessage())
	}
	return fmt.Errorf("%s: %w", name, err)
}
