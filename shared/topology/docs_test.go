package topology

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The examples of docs/topology.md are the files that the other tests use, and its outputs are those of the golden files.
func TestDocsShowWhatIsTested(t *testing.T) {
	page, err := os.ReadFile("../../docs/topology.md")
	if err != nil {
		t.Fatal(err)
	}
	read := func(names ...string) (texts []string) {
		for _, n := range names {
			data, err := os.ReadFile("testdata/" + n)
			if err != nil {
				t.Fatal(err)
			}
			texts = append(texts, string(data))
		}
		return texts
	}
	files, outputs := read("one-node.yaml", "eight-nodes.yaml", "nvl72.yaml", "reference.yaml"), read("troubled.golden")
	shown := 0
	for _, m := range regexp.MustCompile("(?ms)^```([a-z]+)\n(.*?)^```$").FindAllStringSubmatch(string(page), -1) {
		shown++
		switch m[1] {
		case "yaml":
			if _, err := Parse([]byte(m[2]), "docs/topology.md"); err != nil {
				t.Errorf("%v in\n%s", err, m[2])
			}
			if !slices.Contains(files, m[2]) {
				t.Errorf("an example that no test uses:\n%s", m[2])
			}
		default:
			if !strings.Contains(outputs[0], m[2]) {
				t.Errorf("an output that no test makes:\n%s", m[2])
			}
		}
	}
	if shown != len(files)+2 {
		t.Errorf("%d examples, want %d files and 2 outputs", shown, len(files))
	}
	for _, c := range allCodes(t) {
		if !strings.Contains(string(page), "`"+c+"`") {
			t.Errorf("code %s is not explained", c)
		}
	}
	for _, v := range []Verdict{Agrees, Rest, Unmetered, LittleLoss, Impossible, NotJudged} {
		if !strings.Contains(string(page), "| `"+string(v)+"` |") {
			t.Errorf("verdict %s is not explained", v)
		}
	}
}

// allCodes lists the codes, from the source: a new one must be explained.
func allCodes(t *testing.T) (list []string) {
	source, err := os.ReadFile("finding.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^\t[A-Z]\w+ +Code = "([a-z-]+)"`).FindAllStringSubmatch(string(source), -1) {
		list = append(list, m[1])
	}
	if len(list) < 20 {
		t.Fatalf("found %d codes in finding.go: %q", len(list), list)
	}
	return list
}
