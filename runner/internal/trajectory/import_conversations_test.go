package trajectory

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestImportShareGPT(t *testing.T) {
	in := `[
 {"id":"one","conversations":[{"from":"system","value":"s"},{"from":"human","value":"h\u00f6"},{"from":"gpt","value":"g"},{"from":"human","value":"h2"},{"from":"gpt","value":"g2"}]},
 {"id":"agent","tools":"[]","conversations":[{"from":"human","value":"h"},{"from":"function_call","value":"{\"name\": \"ls\", \"arguments\": {\"a\": 1}}"},{"from":"observation","value":"o"},{"from":"gpt","value":"g"}]},
 {"id":"none","conversations":[]},
 {"id":"one","conversations":[{"from":"user","value":"h"},{"from":"bing","value":"g"}]}
]`
	d, report := importText(t, "sg.json", in)
	var ids []string
	for _, tr := range d.Trajectories {
		ids = append(ids, tr.ID)
	}
	if want := []string{"one", "agent", "one-2"}; !cmp.Equal(ids, want) || report.LeftOut != 1 || report.Format != ShareGPT || report.Rows != 4 {
		t.Fatalf("got %v, want %v; %v", ids, want, report)
	}
	if got := report.Bad[0].Error(); !strings.Contains(got, "sg.json: item 3: it has no list of messages") {
		t.Error(got)
	}
	one := d.Trajectories[0]
	want := `{"role":"system","content":"s"},{"role":"user","content":"h\u00f6"},{"role":"assistant","content":"g"},{"role":"user","content":"h2"}`
	if got := string(one.Messages); got != want || len(one.Turns) != 2 {
		t.Errorf("%d turns\ngot  %s\nwant %s", len(one.Turns), got, want)
	}
	want = `{"role":"user","content":"h"},{"role":"assistant","tool_calls":[{"id":"call_1_0","type":"function","function":{"name":"ls","arguments":"{\"a\":1}"}}]},{"role":"tool","content":"o","tool_call_id":"call_1_0"}`
	if got := string(d.Trajectories[1].Messages); got != want {
		t.Errorf("\ngot  %s\nwant %s", got, want)
	}
	if noted(report, "an id that occurs again") != 1 || noted(report, "a tool call without an id") != 1 {
		t.Errorf("notes: %v", report.Notes)
	}
}

// vLLM's multi-turn files, fine-tuning lines and a single document are the same format.
func TestImportMessages(t *testing.T) {
	c := `{"id":"a","messages":[{"role":"user","content":"u"},{"role":"assistant","content":"x"}]}`
	b := strings.Replace(c, `"id":"a"`, `"custom_id":7,"title":"t"`, 1)
	for name, in := range map[string]string{
		"array": "[" + c + ",\n" + b + "]", "lines": c + "\n\n" + b + "\n", "bom": "\xef\xbb\xbf[" + c + "," + b + "]\n",
		"text": `{"id":"a","messages_json":"[{\"role\":\"user\",\"content\":\"u\"},{\"role\":\"assistant\",\"content\":\"x\"}]"}` + "\n" + b,
	} {
		d, report := importText(t, "m.jsonl", in)
		if report.Format != Messages || len(d.Trajectories) != 2 || d.Trajectories[0].ID != "a" || d.Trajectories[1].ID != "m-2" || string(d.Trajectories[1].Messages) != `{"role":"user","content":"u"}` {
			t.Errorf("%s: %v", name, report)
		}
	}
	d, _ := importText(t, "doc.json", strings.ReplaceAll(b, ",", ",\n"))
	if len(d.Trajectories) != 1 || d.Trajectories[0].ID != "doc" {
		t.Errorf("a document: %v", d.Trajectories)
	}
}

func TestImportSGLang(t *testing.T) {
	in := `{"metadata":{"model":"m"},"conversations":[
 [{"messages":[{"role":"system","content":"s"},{"role":"user","content":"a"}],"prompt_tokens":100},{"messages":[{"role":"tool","tool_call_id":"c","content":"b"}],"prompt_tokens":150,"x":1}],
 [{"messages":[{"role":"robot","content":"s"}]}],
 [{"messages":[{"role":"user","content":"a"}]}]]}`
	d, report := importText(t, "sgl.json", in)
	if len(d.Trajectories) != 2 || report.Rows != 3 || report.LeftOut != 1 || report.Format != SGLang {
		t.Fatal(report)
	}
	if got := report.Bad[0].Error(); !strings.Contains(got, `sgl.json: conversation 2: turn 0: message 0: unknown role "robot"`) {
		t.Error(got)
	}
	tr := d.Trajectories[0]
	if got, want := string(tr.Messages), `{"role":"system","content":"s"},{"role":"user","content":"a"},{"role":"user","content":"b"}`; got != want {
		t.Errorf("\ngot  %s\nwant %s", got, want)
	}
	if got, want := []int{tr.Turns[0].Prompt, tr.Turns[1].Prompt}, []int{100, 150}; !cmp.Equal(got, want) || noted(report, "the answer is not recorded") != 3 {
		t.Errorf("prompts %v, want %v; %v", got, want, report)
	}
	if got, want := string(tr.Turns[0].Extra), `{"metadata":{"model":"m"}}`; got != want {
		t.Errorf("extra: got %s, want %s", got, want)
	}
}

// An array is read one element at a time: what is bad in it, and where reading has to end.
func TestItems(t *testing.T) {
	c := func(id string) string {
		return fmt.Sprintf(`{"id":%q,"messages":[{"role":"user","content":"u"},{"role":"assistant","content":"x"}]}`, id)
	}
	long := strings.Replace(c("long"), `"u"`, `"`+strings.Repeat("u", 100_000)+`"`, 1)
	for name, in := range map[string]struct {
		text string
		good int
		want string
	}{
		"many":      {"[" + strings.Repeat(c("a")+",", 500) + "7]", 500, "f: item 501: the element is a number"}, // each is within the limit
		"cut":       {"[" + c("a") + "," + c("b")[:20], 1, "f: item 2: not JSON: unexpected EOF"},
		"broken":    {"[" + c("a") + ",{]," + c("b") + "]", 1, "f: item 2: not JSON: invalid character"},
		"open":      {"[" + c("a"), 1, "f: item 2: not JSON"},
		"number":    {"[" + c("a") + ",7," + c("b") + "]", 2, "f: item 2: the element is a number, not an object"},
		"not UTF-8": {"[" + c("a") + `,{"x":"` + "\xff" + `"},` + c("b") + "]", 2, "f: item 2: not UTF-8"},
		"more":      {"[" + c("a") + "] nonsense", 1, "f: something follows the array"},
		"long":      {"[" + c("a") + "," + long + "," + c("b") + "]", 1, "f: item 2: longer than the limit of 10000 bytes"},
		"long line": {c("a") + "\n" + long + "\n" + c("b"), 2, "f:2: line of 10"},
		"line":      {c("a") + "\n{\n" + c("b"), 2, "f:2: not JSON"},
		"first":     {"{\n" + c("a") + "\n" + c("b"), 2, "f:1: not JSON"},
	} {
		d, report, err := Limits{Line: 10_000}.importMessages(strings.NewReader(in.text), "f")
		if err != nil || len(d.Trajectories) != in.good || len(report.Bad) != 1 || !strings.HasPrefix(report.Bad[0].Error(), in.want) {
			t.Errorf("%s: %v\n%vwant %d trajectories and %s", name, err, report, in.good, in.want)
		}
	}
}

// Compressed files are told like others.
func TestImportCompressed(t *testing.T) {
	d, _ := importText(t, "a.json", `[{"messages":[{"role":"user","content":"u"},{"role":"assistant","content":"x"}]}]`)
	path := filepath.Join(t.TempDir(), "a.jsonl.zst")
	if err := Create(path, d, false); err != nil {
		t.Fatal(err)
	}
	if raw, _ := os.ReadFile(path); bytes.Contains(raw, []byte("agentwatt")) {
		t.Fatal("the file is not compressed")
	}
	if _, reports, err := (Limits{}).Import([]string{path}, Auto); err != nil || reports[0].Format != Native {
		t.Errorf("%v %v", err, reports)
	}
}

func FuzzImportShareGPT(f *testing.F) {
	fuzzImport(f, func(l Limits, in []byte) (*Dataset, *Report, error) {
		return l.importShareGPT(bytes.NewReader(in), "f")
	},
		`[{"id":"a","conversations":[{"from":"human","value":"h"},{"from":"function_call","value":"{\"name\":\"f\"}"},{"from":"observation","value":"o"},{"from":"gpt","value":"g"}]}]`)
}

func FuzzImportMessages(f *testing.F) {
	fuzzImport(f, func(l Limits, in []byte) (*Dataset, *Report, error) {
		return l.importMessages(bytes.NewReader(in), "f")
	},
		`[{"id":1,"messages":[`+user+`,`+call+`,`+result+`,{"role":"assistant","content":"x","answer":1}],"tools":`+tools+`,"answer":2,"messages_":3}]`,
		`{"messages":[`+call+`,`+result+`,`+result+`,`+call+`,`+user+`,{"from":"gpt","text":"x","name":""}]}`+"\n"+`{"messages_json":"[{\"role\":\"user\",\"content\":[]}]","system":"s"}`)
}

func FuzzImportSGLang(f *testing.F) {
	fuzzImport(f, func(l Limits, in []byte) (*Dataset, *Report, error) { return l.importSGLang(bytes.NewReader(in), "f") },
		`{"metadata":{},"conversations":[[{"messages":[`+sys+`,`+user+`],"prompt_tokens":7},{"messages":[`+call+`,`+result+`]}]]}`)
}
