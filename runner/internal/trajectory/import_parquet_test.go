package trajectory

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"
)

// The rows of three data sets, with the schemas that Hugging Face writes: optional everything, lists of structs.
type (
	openHandsSet struct {
		ID         string         `parquet:"trajectory_id"`
		Instance   *string        `parquet:"instance_id,optional"`
		Tools      []toolStruct   `parquet:"tools,list"`
		Trajectory []messageField `parquet:"trajectory,list"`
		Resolved   int64          `parquet:"resolved"`
		Score      float64        `parquet:"score"`
	}
	messageField struct {
		Content *string      `parquet:"content,optional"`
		Name    *string      `parquet:"name,optional"`
		Role    string       `parquet:"role"`
		CallID  *string      `parquet:"tool_call_id,optional"`
		Calls   []callStruct `parquet:"tool_calls,list,optional"`
	}
	callStruct struct {
		Function functionStruct `parquet:"function"`
		ID       string         `parquet:"id"`
		Type     string         `parquet:"type"`
	}
	functionStruct struct {
		Arguments string `parquet:"arguments"`
		Name      string `parquet:"name"`
	}
	toolStruct struct {
		Type     string `parquet:"type"`
		Function struct {
			Name     string   `parquet:"name"`
			Strict   *bool    `parquet:"strict,optional"`
			Required []string `parquet:"required,list"`
		} `parquet:"function"`
	}
	sweSet struct {
		Instance   string   `parquet:"instance_id"`
		Trajectory []sweRow `parquet:"trajectory,list"`
		Target     bool     `parquet:"target"`
	}
	sweRow struct {
		Cutoff *string `parquet:"cutoff_date,optional"`
		Mask   bool    `parquet:"mask"`
		Role   string  `parquet:"role"`
		System *string `parquet:"system_prompt,optional"`
		Text   *string `parquet:"text,optional"`
	}
	textSet struct {
		Session  string `parquet:"session_id"`
		Messages string `parquet:"messages_json"`
		Turns    int64  `parquet:"n_turns"`
		Blob     []byte `parquet:"blob"`
	}
	bareSet struct { // repeated fields without the list wrapper, as old writers have them
		Messages []bareMessage `parquet:"messages"`
		Tags     []string      `parquet:"tags"`
	}
	bareMessage struct {
		Role    string `parquet:"role"`
		Content string `parquet:"content"`
	}
)

func writeParquet[T any](t testing.TB, rows []T) []byte {
	t.Helper()
	var out bytes.Buffer
	w := parquet.NewGenericWriter[T](&out, parquet.MaxRowsPerRowGroup(2)) // several groups
	if _, err := w.Write(rows); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func p[T any](v T) *T { return &v }

func openHandsRows() []openHandsSet {
	var tool toolStruct
	tool.Type, tool.Function.Name, tool.Function.Required = "function", "bash", []string{"command", "x"}
	calls := []callStruct{{functionStruct{`{"command": "ls"}`, "bash"}, "c1", "function"}, {functionStruct{`{}`, "bash"}, "c2", "function"}}
	row := openHandsSet{ID: "one", Instance: p("repo-1"), Tools: []toolStruct{tool}, Resolved: 1, Score: 0.5, Trajectory: []messageField{
		{Role: "system", Content: p("s")}, {Role: "user", Content: p("tä\"sk\n")},
		{Role: "assistant", Content: p(""), Calls: calls},
		{Role: "tool", Content: p("r1"), Name: p("bash"), CallID: p("c1")}, {Role: "tool", Content: p("r2"), Name: p("bash"), CallID: p("c2")},
		{Role: "assistant", Content: p("done")},
	}}
	short := openHandsSet{ID: "two", Trajectory: []messageField{{Role: "user", Content: p("u")}, {Role: "assistant"}}}
	return []openHandsSet{row, short, {ID: "none"}, {ID: "two", Trajectory: short.Trajectory}}
}

func importParquet(t *testing.T, raw []byte) (*Dataset, *Report) {
	return importText(t, "set.parquet", string(raw))
}

func TestImportParquetLists(t *testing.T) {
	d, report := importParquet(t, writeParquet(t, openHandsRows()))
	if len(d.Trajectories) != 3 || report.Rows != 4 || report.LeftOut != 1 || report.Format != Parquet {
		t.Fatal(report)
	}
	if got := report.Bad[0].Error(); !strings.Contains(got, "set.parquet: item 3: it has no list of messages") {
		t.Error(got)
	}
	one := d.Trajectories[0]
	want := `{"content":"s","role":"system"},{"content":"tä\"sk\n","role":"user"},` +
		`{"content":"","role":"assistant","tool_calls":[{"function":{"arguments":"{\"command\": \"ls\"}","name":"bash"},"id":"c1","type":"function"},{"function":{"arguments":"{}","name":"bash"},"id":"c2","type":"function"}]},` +
		`{"content":"r1","name":"bash","role":"tool","tool_call_id":"c1"},{"content":"r2","name":"bash","role":"tool","tool_call_id":"c2"}`
	if diff := cmp.Diff(want, string(one.Messages)); diff != "" {
		t.Errorf("messages (-want +got):\n%s", diff)
	}
	if got, want := string(one.Turns[1].Tools), `[{"type":"function","function":{"name":"bash","required":["command","x"]}}]`; got != want {
		t.Errorf("tools: got %s, want %s", got, want)
	}
	if got, want := string(one.Turns[0].Extra), `{"trajectory_id":"one","instance_id":"repo-1","resolved":1,"score":0.5}`; got != want {
		t.Errorf("extra: got %s, want %s", got, want)
	}
	if got, want := []string{one.ID, d.Trajectories[1].ID, d.Trajectories[2].ID}, []string{"one", "two", "two-2"}; !cmp.Equal(got, want) {
		t.Errorf("ids: got %v, want %v", got, want)
	}
}

func TestImportParquetRolesAndText(t *testing.T) {
	row := sweSet{Instance: "i", Target: true, Trajectory: []sweRow{
		{Role: "system", System: p("prompt"), Cutoff: p("01.01.2023")},
		{Role: "user", Text: p("u")}, {Role: "ai", Text: p("a")}, {Role: "user", Text: p("o")}, {Role: "ai", Text: p("b")},
	}}
	d, _ := importParquet(t, writeParquet(t, []sweSet{row}))
	tr := d.Trajectories[0]
	if got, want := string(tr.Messages), `{"role":"system","content":"prompt"},{"role":"user","content":"u"},{"role":"assistant","content":"a"},{"role":"user","content":"o"}`; got != want || tr.ID != "i" || len(tr.Turns) != 2 {
		t.Errorf("%q, %d turns\ngot  %s\nwant %s", tr.ID, len(tr.Turns), got, want)
	}
	if extra := string(tr.Turns[0].Extra); !strings.Contains(extra, `"target":true`) || !strings.Contains(extra, `"cutoff_date":"01.01.2023"`) {
		t.Errorf("extra: %s", extra)
	}

	messages := `[{"role": "user", "content": "g\u00f6"}, {"role": "assistant", "content": "a"}]`
	d, report := importParquet(t, writeParquet(t, []textSet{{"s1", messages, 1, []byte("\xff")}, {"s2", "[", 1, nil}}))
	if len(d.Trajectories) != 1 || d.Trajectories[0].ID != "s1" || string(d.Trajectories[0].Messages) != `{"role":"user","content":"g\u00f6"}` ||
		report.LeftOut != 1 || noted(report, "a value that is not text is left out: column blob") != 1 {
		t.Errorf("%v", report)
	}

	bare := bareSet{Tags: []string{"x", "y"}, Messages: []bareMessage{{"user", "u"}, {"assistant", "a"}}}
	d, _ = importParquet(t, writeParquet(t, []bareSet{bare}))
	if got, want := string(d.Trajectories[0].Messages), `{"role":"user","content":"u"}`; got != want || !strings.Contains(string(d.Trajectories[0].Turns[0].Extra), `"tags":["x","y"]`) {
		t.Errorf("got %s, want %s; %s", got, want, d.Trajectories[0].Turns[0].Extra)
	}
}

// The rows of nested lists come back as JSON, without the nulls.
func TestParquetJSON(t *testing.T) {
	type deep struct {
		E []bool `parquet:"e,list"`
	}
	type inner struct {
		A *int32   `parquet:"a,optional"`
		B []string `parquet:"b,list"`
		D []deep   `parquet:"d,list"`
	}
	type outer struct {
		L []inner `parquet:"l,list"`
		F float32 `parquet:"f"`
	}
	in := inner{A: p(int32(7)), B: []string{"x", ""}, D: []deep{{[]bool{true, false}}, {nil}}}
	rows := []outer{{L: []inner{in, {}, in}, F: 0.25}, {}, {L: []inner{{}}}}
	full := `{"a":7,"b":["x",""],"d":[{"e":[true,false]},{"e":[]}]}`
	want := []string{`{"l":[` + full + `,{"b":[],"d":[]},` + full + `],"f":0.25}`, `{"l":[],"f":0}`, `{"l":[{"b":[],"d":[]}],"f":0}`}
	raw := writeParquet(t, rows)
	f, err := parquet.OpenFile(bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		t.Fatal(err)
	}
	table := newShape("", f.Root())
	i := 0
	for _, group := range f.RowGroups() {
		r := group.Rows()
		buffer := make([]parquet.Row, 1)
		for n, _ := r.ReadRows(buffer); n > 0; n, _ = r.ReadRows(buffer) {
			columns := make([][]parquet.Value, table.leaves)
			for _, v := range buffer[0] {
				columns[v.Column()] = append(columns[v.Column()], v)
			}
			got, err := table.value(nil, columns, 0, 0)
			if err != nil || string(got) != want[i] || !json.Valid(got) {
				t.Errorf("row %d: %v\ngot  %s\nwant %s", i, err, got, want[i])
			}
			i++
		}
		r.Close()
	}
	if i != len(want) {
		t.Errorf("%d rows, want %d", i, len(want))
	}
}

func TestImportParquetBad(t *testing.T) {
	type other struct {
		X int64 `parquet:"x"`
	}
	good := writeParquet(t, openHandsRows())
	dir := t.TempDir()
	for name, c := range map[string]struct {
		raw    []byte
		format Format
		want   string
	}{
		"no column": {writeParquet(t, []other{{1}}), Auto, "no column with messages"},
		"cut":       {good[:len(good)-9], Auto, "not a valid parquet file"},
		"footer":    {append(bytes.Clone(good[:len(good)-8]), "\xff\xff\xff\xffPAR1"...), Auto, "it has a footer of 4294967295 bytes"},
		"magic":     {[]byte("PAR1"), Auto, "not a valid parquet file"},
		"not one":   {[]byte(`{"messages":[]}`), Parquet, `not a parquet file: it does not begin with "PAR1"`},
		"as other":  {good, ATIF, "no trajectory could be imported"},
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, c.raw, 0o644); err != nil {
			t.Fatal(err)
		}
		_, _, err := Limits{}.Import([]string{path}, c.format)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: got %v, want %s", name, err, c.want)
		}
	}
	long := openHandsRows()[:1]
	long[0].Trajectory[1].Content = p(strings.Repeat("x", 100_000))
	raw := writeParquet(t, long)
	_, report, err := Limits{Line: 50_000}.importParquet(bytes.NewReader(raw), int64(len(raw)), "f")
	if err != nil || report.LeftOut != 1 || !strings.Contains(report.Bad[0].Error(), "f: item 1: column trajectory: longer than the limit of 50000 bytes") {
		t.Errorf("%v %v", err, report)
	}
}

// Whatever a file claims, the decoder's panics do not get out.
func FuzzImportParquet(f *testing.F) {
	f.Add(writeParquet(f, openHandsRows()))
	f.Add(writeParquet(f, []textSet{{"s1", `[{"role":"user","content":"u"},{"role":"assistant"}]`, 1, nil}}))
	f.Fuzz(func(t *testing.T, in []byte) {
		d, _, err := Limits{Line: 1 << 16}.importParquet(bytes.NewReader(in), int64(len(in)), "f")
		var syntax *SyntaxError
		if err != nil && !errors.As(err, &syntax) {
			t.Fatalf("error without a place: %v", err)
		}
		if err == nil {
			checkTrees(t, d)
		}
	})
}
