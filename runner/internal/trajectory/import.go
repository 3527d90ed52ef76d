package trajectory

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
)

// Format names a file format.
type Format string

// The formats that Import reads.
const (
	Auto      Format = "auto" // as the first row of the file says
	Native    Format = "native"
	AAReplay  Format = "aa-replay" // Artificial Analysis replay JSONL, version 1
	MLCommons Format = "mlcommons" // MLCommons endpoints agentic inference JSONL
)

// Formats lists the formats by the name that the command line takes.
func Formats() []string {
	return []string{string(Auto), string(Native), string(AAReplay), string(MLCommons)}
}

// Detect tells the format of a file by its first line; empty if it is none that Import reads.
func Detect(firstLine []byte) Format {
	var row bytes.Buffer
	if json.Compact(&row, firstLine) != nil {
		return ""
	}
	ms, err := members(row.Bytes())
	if err != nil {
		return ""
	}
	return detect(ms)
}

func detect(ms []member) Format {
	switch {
	case find(ms, "agentwatt_trajectories") != nil:
		return Native
	case find(ms, "conversation_idx") != nil && find(ms, "messages") != nil:
		return AAReplay
	case find(ms, "conversation_id") != nil && find(ms, "turn") != nil && find(ms, "role") != nil:
		return MLCommons
	}
	return ""
}

// Import reads files into one data set. Trajectories that are not good are left out and reported; the error says that a
// file could not be read, or that nothing at all was imported. The reports are those of the files read so far.
func (l Limits) Import(files []string, format Format) (*Dataset, []*Report, error) {
	d := &Dataset{}
	from := map[string]string{} // trajectory id to file
	var reports []*Report
	for _, file := range files {
		part, report, err := l.importFile(file, format)
		if report != nil {
			reports = append(reports, report)
		}
		if err != nil {
			return nil, reports, err
		}
		if d.Name == "" {
			d.Name, d.License, d.Source = part.Name, part.License, part.Source
		}
		for _, t := range part.Trajectories {
			if other, ok := from[t.ID]; ok {
				report.bad(&SyntaxError{file, 0, fmt.Sprintf("trajectory %q is in %s already", t.ID, other)})
				report.LeftOut++
				report.Trajectories--
				report.Turns -= len(t.Turns)
				continue
			}
			from[t.ID] = file
			d.Trajectories = append(d.Trajectories, t)
		}
	}
	if len(d.Trajectories) == 0 {
		return nil, reports, fmt.Errorf("import %s: no trajectory could be imported", strings.Join(files, ", "))
	}
	d.seal()
	return d, reports, nil
}

// importFile reads one file.
func (l Limits) importFile(file string, format Format) (*Dataset, *Report, error) {
	f, err := openFile(file)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	var in io.Reader = f
	if format == Auto || format == "" {
		var head bytes.Buffer
		ms, err := newRows(io.TeeReader(f, &head), file, l).next()
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, nil, err
		}
		if format = detect(ms); format == "" {
			return nil, nil, &SyntaxError{file, 1, "not a format that can be imported (" + strings.Join(Formats()[1:], ", ") + ")"}
		}
		in = io.MultiReader(&head, f)
	}
	switch format {
	case Native:
		d, err := l.Read(in, file)
		if err != nil {
			return nil, nil, err
		}
		return d, newReport(file, Native, d), nil
	case AAReplay:
		d, report, err := l.ImportAAReplay(in, file)
		if err == nil {
			err = checkManifest(filepath.Join(filepath.Dir(file), "manifest.json"), file, d, report)
		}
		return d, report, err
	case MLCommons:
		return l.ImportMLCommons(in, file)
	}
	return nil, nil, fmt.Errorf("import %s: unknown format %q", file, format)
}

// imports is the state of importing one file: its sessions, in the order of their first rows. Rows of different sessions
// may be mixed.
type imports[S any] struct {
	in     *rows
	limits Limits
	report *Report
	tools  toolSets
	order  []string
	byID   map[string]*session[S]
	recent *session[S] // of the row read last
}

// session is a trajectory being imported; S is what its format needs to remember.
type session[S any] struct {
	*builder
	id    string
	line  int // of its last row
	bad   bool
	state S
}

func newImports[S any](r io.Reader, name string, format Format, limits Limits) *imports[S] {
	return &imports[S]{
		in: newRows(r, name, limits), limits: limits, report: &Report{File: name, Format: format},
		tools: toolSets{}, byID: map[string]*session[S]{},
	}
}

// run reads all rows and gives each to take, with the session that its conversation_id names, and each complete session
// to finish. It returns an error only if the input cannot be read.
func (im *imports[S]) run(take func(*session[S], []member) error, finish func(*session[S]) error) (*Dataset, error) {
	for {
		ms, err := im.in.next()
		if errors.Is(err, io.EOF) {
			break
		}
		im.report.Rows++
		var syntax *SyntaxError
		if errors.As(err, &syntax) {
			// Whose row it is cannot be told. The session that it continues must not pass for complete; the one that it
			// might begin will miss its first row.
			im.fail(im.recent, syntax)
			continue
		}
		if err != nil {
			return nil, err
		}
		s, err := im.session(ms)
		if err == nil && !s.bad {
			err = take(s, ms)
		}
		if err != nil {
			im.fail(s, im.in.errorf("%v", err))
		}
	}
	d := &Dataset{Name: strings.TrimSuffix(filepath.Base(im.report.File), ".jsonl")}
	for _, id := range im.order {
		s := im.byID[id]
		if s.bad {
			continue
		}
		err := finish(s)
		var t *Trajectory
		if err == nil {
			t, err = s.done()
		}
		if err != nil {
			im.fail(s, &SyntaxError{im.in.file, s.line, fmt.Sprintf("trajectory %q: %v", s.id, err)})
			continue
		}
		d.Trajectories = append(d.Trajectories, t)
		im.report.Trajectories++
		im.report.Turns += len(t.Turns)
	}
	d.seal()
	return d, nil
}

// session returns the session of a row.
func (im *imports[S]) session(ms []member) (*session[S], error) {
	id, err := text(find(ms, "conversation_id"))
	if err != nil || id == "" {
		return im.recent, errors.New("the row has no conversation_id")
	}
	s := im.byID[id]
	if s == nil {
		origin := string(im.report.Format) + ":" + filepath.Base(im.in.file)
		s = &session[S]{builder: newBuilder(id, origin, im.limits), id: id}
		im.byID[id] = s
		im.order = append(im.order, id)
	}
	s.line = im.in.line
	im.recent = s
	return s, nil
}

// fail leaves a session out for the reason given; nil: a row that belongs to no session.
func (im *imports[S]) fail(s *session[S], why *SyntaxError) {
	if s != nil && !s.bad {
		s.bad = true
		im.report.LeftOut++
		s.builder = nil // its messages are not needed any more
	}
	im.report.bad(why)
}
