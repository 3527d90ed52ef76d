package trajectory

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/parquet-go/parquet-go"
)

// shape is a node of a parquet schema, with what is needed to make JSON of a row's values.
type shape struct {
	name               string
	optional, repeated bool
	fields             []*shape
	leaves             int // columns below it; 1: it is one
}

func newShape(name string, n parquet.Node) *shape {
	s := &shape{name: name, optional: n.Optional(), repeated: n.Repeated()}
	if n.Leaf() {
		s.leaves = 1
		return s
	}
	for _, f := range n.Fields() {
		field := newShape(f.Name(), f)
		s.fields = append(s.fields, field)
		s.leaves += field.leaves
	}
	return s
}

// check returns an error for names that JSON cannot have.
func (s *shape) check() error {
	for i, f := range s.fields {
		twice := slices.ContainsFunc(s.fields[:i], func(o *shape) bool { return o.name == f.name })
		if !utf8.ValidString(f.name) || twice {
			return fmt.Errorf("the column %q is there twice or its name is not UTF-8", f.name)
		}
		if err := f.check(); err != nil {
			return err
		}
	}
	return nil
}

var (
	errShape  = errors.New("the values of the row do not fit the schema")
	errBinary = errors.New("a value is not UTF-8")
)

// append appends the value that the columns of s hold. Levels are those of the node above it.
func (s *shape) append(dst []byte, columns [][]parquet.Value, rep, def int) ([]byte, error) {
	if len(columns) != s.leaves || s.leaves == 0 || len(columns[0]) == 0 {
		return dst, errShape
	}
	if s.optional {
		if def++; columns[0][0].DefinitionLevel() < def {
			return append(dst, "null"...), nil
		}
	}
	if s.repeated {
		return s.list(dst, columns, rep+1, def+1, s)
	}
	return s.value(dst, columns, rep, def)
}

// value appends what a node holds that is there.
func (s *shape) value(dst []byte, columns [][]parquet.Value, rep, def int) ([]byte, error) {
	if len(s.fields) == 0 {
		return appendValue(dst, columns[0][0])
	}
	if only := s.fields[0]; len(s.fields) == 1 && only.repeated && !s.repeated {
		// A list: of the one field of the repeated group, or, as old writers have it, of the group itself.
		element := only
		if len(only.fields) == 1 {
			element = only.fields[0]
		}
		return only.list(dst, columns, rep+1, def+1, element)
	}
	dst = append(dst, '{')
	first := true
	for _, f := range s.fields {
		at := len(dst)
		if !first {
			dst = append(dst, ',')
		}
		dst = append(appendText(dst, f.name), ':')
		begin := len(dst)
		var err error
		if dst, err = f.append(dst, columns[:f.leaves], rep, def); err != nil {
			return dst, err
		}
		if string(dst[begin:]) == "null" { // a schema gives every object all fields
			dst = dst[:at]
		} else {
			first = false
		}
		columns = columns[f.leaves:]
	}
	return append(dst, '}'), nil
}

// list appends the elements of a repeated node, at its own levels.
func (s *shape) list(dst []byte, columns [][]parquet.Value, rep, def int, element *shape) ([]byte, error) {
	if len(columns[0]) == 0 {
		return dst, errShape
	}
	if columns[0][0].DefinitionLevel() < def {
		return append(dst, "[]"...), nil
	}
	columns = append([][]parquet.Value(nil), columns...)
	dst = append(dst, '[')
	for i := 0; len(columns[0]) > 0; i++ {
		if i > 0 {
			dst = append(dst, ',')
		}
		part := make([][]parquet.Value, len(columns))
		for k, column := range columns {
			if len(column) == 0 {
				return dst, errShape
			}
			n := 1
			for n < len(column) && column[n].RepetitionLevel() > rep {
				n++
			}
			part[k], columns[k] = column[:n], column[n:]
		}
		var err error
		if element == s {
			dst, err = s.value(dst, part, rep, def)
		} else {
			dst, err = element.append(dst, part, rep, def)
		}
		if err != nil {
			return dst, err
		}
	}
	return append(dst, ']'), nil
}

// appendValue appends one value. Dates, decimals and the like are the numbers that the file has.
func appendValue(dst []byte, v parquet.Value) ([]byte, error) {
	if v.IsNull() {
		return append(dst, "null"...), nil
	}
	switch v.Kind() {
	case parquet.Boolean:
		return strconv.AppendBool(dst, v.Boolean()), nil
	case parquet.Int32:
		return strconv.AppendInt(dst, int64(v.Int32()), 10), nil
	case parquet.Int64:
		return strconv.AppendInt(dst, v.Int64(), 10), nil
	case parquet.Float:
		return appendFloat(dst, float64(v.Float()), 32), nil
	case parquet.Double:
		return appendFloat(dst, v.Double(), 64), nil
	case parquet.ByteArray, parquet.FixedLenByteArray:
		if !utf8.Valid(v.ByteArray()) {
			return dst, errBinary
		}
		return appendText(dst, string(v.ByteArray())), nil
	}
	return appendText(dst, fmt.Sprint(v)), nil
}

// appendFloat appends a number; JSON has no infinity and no NaN.
func appendFloat(dst []byte, f float64, bits int) []byte {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return append(dst, "null"...)
	}
	return strconv.AppendFloat(dst, f, 'g', -1, bits)
}
