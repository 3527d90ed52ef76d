package trajectory

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"
)

// importParquet reads a data set as Hugging Face publishes it: one session per row, with a column that is a list of
// messages or the JSON text of one. The column is found by name, as are the id and the tools; what the other columns hold is
// kept with the first turn. Pages are read as they are needed.
func (l Limits) importParquet(in io.ReaderAt, size int64, file string) (d *Dataset, report *Report, err error) {
	g := l.newGather(nil, file, Parquet)
	g.in.layout = inArray
	// The decoder panics on some files that are not what they claim to be.
	defer func() {
		if r := recover(); r != nil {
			d, report, err = nil, g.report, &SyntaxError{file, 0, fmt.Sprintf("not a valid parquet file: %v", r)}
		}
	}()
	if err := checkFooter(in, size); err != nil {
		return nil, nil, &SyntaxError{file, 0, fmt.Sprintf("not a valid parquet file: %v", err)}
	}
	f, err := parquet.OpenFile(in, size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return nil, nil, &SyntaxError{file, 0, fmt.Sprintf("not a valid parquet file: %v", err)}
	}
	table := newShape("", f.Root())
	if err := table.check(); err != nil {
		return nil, nil, &SyntaxError{file, 0, fmt.Sprintf("not a valid parquet file: %v", err)}
	}
	if !hasMessages(table) {
		return nil, nil, &SyntaxError{file, 0, fmt.Sprintf("no column with messages (%v) in %v", messageFields, columnNames(table))}
	}
	for _, group := range f.RowGroups() {
		if err := g.rows(table, group); err != nil {
			return nil, g.report, &SyntaxError{file, 0, fmt.Sprintf("item %d: read parquet: %v", g.in.n, err)}
		}
	}
	g.d.seal()
	return g.d, g.report, nil
}

// checkFooter checks the length of the footer, which the decoder would allocate whatever it is: up to 4 GiB.
func checkFooter(in io.ReaderAt, size int64) error {
	var tail [8]byte // the length, then the magic bytes
	if size < 12 {
		return io.ErrUnexpectedEOF
	}
	if _, err := in.ReadAt(tail[:], size-8); err != nil {
		return err
	}
	if n := int64(binary.LittleEndian.Uint32(tail[:4])); n > size-12 {
		return fmt.Errorf("it has a footer of %d bytes and %d bytes in all", n, size)
	}
	return nil
}

func hasMessages(table *shape) bool {
	for _, name := range messageFields {
		for _, column := range table.fields {
			if column.name == name {
				return true
			}
		}
	}
	return false
}

func columnNames(table *shape) []string {
	var names []string
	for _, column := range table.fields {
		names = append(names, column.name)
	}
	return names
}

// rows imports the rows of one group.
func (g *gather) rows(table *shape, group parquet.RowGroup) error {
	rows := group.Rows()
	defer rows.Close()
	buffer := make([]parquet.Row, 1) // a row is a session
	for {
		n, err := rows.ReadRows(buffer)
		if n > 0 {
			g.in.n++
			g.report.Rows++
			if err := g.row(table, buffer[0]); err != nil {
				g.leave(err)
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case n == 0:
			return io.ErrNoProgress
		}
	}
}

// row imports one row.
func (g *gather) row(table *shape, row parquet.Row) error {
	columns := make([][]parquet.Value, table.leaves)
	for _, v := range row {
		if c := v.Column(); c >= 0 && c < len(columns) {
			columns[c] = append(columns[c], v)
		}
	}
	var ms []member
	for _, column := range table.fields {
		value, err := column.append(nil, columns[:column.leaves], 0, 0)
		columns = columns[column.leaves:]
		if errors.Is(err, errBinary) && column.leaves == 1 && !column.repeated {
			g.report.note("a value that is not text is left out: column " + column.name)
			continue
		}
		if err != nil {
			return fmt.Errorf("column %s: %w", column.name, err)
		}
		if len(value) > g.in.max() {
			return fmt.Errorf("column %s: longer than the limit of %d bytes", column.name, g.in.max())
		}
		ms = append(ms, member{key: column.name, value: value})
	}
	return g.conversation(ms)
}
