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
	ShareGPT  Format = "sharegpt"  // conversations of {from, value}
	Messages  Format = "messages"  // conversations of {role, content}
	SGLang    Format = "sglang"    // SGLang agentic traces
	SWEAgent  Format = "swe-agent" // SWE-agent .traj
	MiniSWE   Format = "mini-swe-agent"
	OpenHands Format = "openhands" // OpenHands output.jsonl and event streams
	ATIF      Format = "atif"      // Agent Trajectory Interchange Format (Harbor)
	Parquet   Format = "parquet"   // one session per row, as on Hugging Face
	OpenAI    Format = "openai"    // logs of chat completions requests
	Journal   Format = "journal"   // what runner record writes down
	OTel      Format = "otel"      // OpenTelemetry spans with GenAI attributes

	// Formats without text.
	Weka     Format = "weka"     // hashes of blocks, sessions with sub-agents
	Mooncake Format = "mooncake" // hashes of blocks, one request per row
	Dynamo   Format = "dynamo"   // NVIDIA Dynamo's request trace
	TRTLLM   Format = "trt-llm"  // TensorRT-LLM's compact execution trace
	TraceLab Format = "tracelab" // TraceLab's rounds of coding agents
)

// importer reads one format. What tells the format is looked at in the order of the table, rows before documents.
type importer struct {
	format   Format
	row      func(ms []member) bool  // tells it by the first line, a JSON object; nil: the format is not one object per line
	element  func(ms []member) bool  // tells it by the first element of the file, a JSON array; nil: the format is not an array
	document func(value []byte) bool // tells it by the whole file, one compact JSON value; nil: the format is not
	read     func(l Limits, in io.Reader, file string) (*Dataset, *Report, error)

	// A format that is not read from its beginning to its end has these instead of all the above.
	magic  string // the first bytes of its files
	readAt func(l Limits, in io.ReaderAt, size int64, file string) (*Dataset, *Report, error)
}

// importers returns the table of formats.
func importers() []importer {
	return []importer{
		{format: Native, row: has("agentwatt_trajectories"), read: Limits.importNative},
		{format: AAReplay, row: has("conversation_idx", "messages"), read: Limits.importAAReplay},
		{format: MLCommons, row: has("conversation_id", "turn", "role"), read: Limits.ImportMLCommons},
		{format: Weka, row: isWeka, element: isWeka, document: objectThat(isWeka), read: Limits.importWeka},
		{format: Mooncake, row: isMooncake, element: isMooncake, read: Limits.importMooncake},
		{format: Dynamo, row: isDynamo, read: Limits.importDynamo},
		{format: TRTLLM, row: isTRTLLM, document: objectThat(isTRTLLM), read: Limits.importTRTLLM},
		{format: TraceLab, row: isTraceLab, element: isTraceLab, read: Limits.importTraceLab},
		{format: OTel, row: isOTel, element: isOTelSpan, document: objectThat(isOTel), read: Limits.importOTel},
		{format: SGLang, row: isSGLang, document: objectThat(isSGLang), read: Limits.importSGLang},
		{format: SWEAgent, row: isSWEAgent, document: objectThat(isSWEAgent), read: Limits.importSWEAgent},
		{format: OpenHands, row: isOpenHands, element: isOpenHandsEvent, document: objectThat(isOpenHands), read: Limits.importOpenHands},
		{format: ATIF, row: isATIF, element: isATIF, document: objectThat(isATIF), read: Limits.importATIF},
		{format: MiniSWE, row: isMiniSWE, element: has("role", "content"), document: objectThat(isMiniSWE), read: Limits.importMiniSWE},
		{format: ShareGPT, row: isShareGPT, element: isShareGPT, document: objectThat(isShareGPT), read: Limits.importShareGPT},
		{format: OpenAI, row: isOpenAI, element: isOpenAI, read: Limits.importOpenAI},
		{format: Journal, row: has("agentwatt_journal"), read: Limits.importJournal},
		{format: Messages, row: isMessages, element: isMessages, document: objectThat(isMessages), read: Limits.importMessages},
		{format: Parquet, magic: "PAR1", readAt: Limits.importParquet},
	}
}

// has tells a row by keys that it holds.
func has(keys ...string) func([]member) bool {
	return func(ms []member) bool {
		for _, key := range keys {
			if find(ms, key) == nil {
				return false
			}
		}
		return true
	}
}

// objectThat tells a document, a JSON object, by its members.
func objectThat(tells func([]member) bool) func([]byte) bool {
	return func(value []byte) bool {
		ms, err := members(value)
		return err == nil && tells(ms)
	}
}

// Formats lists the formats by the name that the command line takes.
func Formats() []string {
	names := []string{string(Auto)}
	for _, im := range importers() {
		names = append(names, string(im.format))
	}
	return names
}

// detect tells the format of a file by its beginning, or by all of it, and returns a reader of the whole.
func (l Limits) detect(in io.Reader, file string) (importer, io.Reader, error) {
	var head bytes.Buffer
	it := newItems(io.TeeReader(in, &head), file, l)
	ms, err := it.next()
	var syntax *SyntaxError
	if err != nil && !errors.Is(err, io.EOF) && !errors.As(err, &syntax) {
		return importer{}, nil, err
	}
	all := io.MultiReader(&head, in)
	for _, im := range importers() {
		tells := map[layout]func([]member) bool{inLines: im.row, inArray: im.element}[it.layout]
		if tells != nil && err == nil && tells(ms) {
			return im, all, nil
		}
	}
	data, err := l.readAll(all, file)
	if err != nil {
		return importer{}, nil, err
	}
	var value bytes.Buffer
	if json.Compact(&value, data) == nil {
		for _, im := range importers() {
			if im.document != nil && im.document(value.Bytes()) {
				return im, bytes.NewReader(data), nil
			}
		}
	}
	why := "not a format that can be imported (" + strings.Join(Formats()[1:], ", ") + ")"
	if syntax != nil {
		why += "; as JSON lines: " + syntax.Msg
	}
	return importer{}, nil, &SyntaxError{file, 1, why}
}

// readAll reads a file that is one document, within the limit of a trajectory.
func (l Limits) readAll(in io.Reader, file string) ([]byte, error) {
	limit := int64(l.trajectory())
	data, err := io.ReadAll(io.LimitReader(in, limit+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read %s: %w", file, err)
	case int64(len(data)) > limit:
		return nil, &SyntaxError{file, 0, fmt.Sprintf("the document is longer than the limit of %d bytes", limit)}
	}
	return data, nil
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
				report.Turns -= t.TreeTurns()
				report.Subagents -= t.TreeSubagents()
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
	if d, report, err := l.importAt(file, format); d != nil || err != nil {
		return d, report, err
	}
	f, err := openFile(file)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	if format == Auto || format == "" {
		im, in, err := l.detect(f, file)
		if err != nil {
			return nil, nil, err
		}
		return im.read(l, in, file)
	}
	for _, im := range importers() {
		if im.format == format {
			return im.read(l, f, file)
		}
	}
	return nil, nil, fmt.Errorf("import %s: unknown format %q", file, format)
}

func (l Limits) importNative(in io.Reader, file string) (*Dataset, *Report, error) {
	d, err := l.Read(in, file)
	if err != nil {
		return nil, nil, err
	}
	return d, newReport(file, Native, d), nil
}

func (l Limits) importAAReplay(in io.Reader, file string) (*Dataset, *Report, error) {
	d, report, err := l.ImportAAReplay(in, file)
	if err == nil {
		err = checkManifest(filepath.Join(filepath.Dir(file), "manifest.json"), file, d, report)
	}
	return d, report, err
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
		im.report.imported(t)
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
