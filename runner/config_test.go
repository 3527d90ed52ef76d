package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"agentwatt/shared/settings"
)

// TestReferenceConfig keeps the manual true: run.yaml parses, and says exactly the defaults.
func TestReferenceConfig(t *testing.T) {
	var got config
	if err := settings.Decode([]byte(referenceConfig), "run.yaml", &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(defaults(), got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("run.yaml differs from the defaults (-default +file):\n%s", diff)
	}
	// Every key is in the file: what is not there takes its zero value, which the comparison would not see.
	all, err := yaml.Marshal(defaults())
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(all)) {
		key, _, _ := strings.Cut(strings.TrimSpace(line), ":")
		if key != "" && !strings.Contains(referenceConfig, key+":") {
			t.Errorf("run.yaml does not explain %q", key)
		}
	}
}

func TestConfigErrorsSayWhere(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"unknown key":    {"model: m\ndatset: x\n", `f.yaml:2:1: unknown field "datset"`},
		"nested unknown": {"power:\n  buss: x\n", `f.yaml:2:3: unknown field "buss"`},
		"broken yaml":    {"model: [\n", "f.yaml:1:"},
		"wrong type":     {"seed: many\n", "f.yaml:1:7:"},
		"bad duration":   {"timeouts: {total: 5 parsecs}\n", "f.yaml:"},
	} {
		t.Run(name, func(t *testing.T) {
			c0 := defaults()
			err := settings.Decode([]byte(c.text), "f.yaml", &c0)
			if err == nil || !strings.HasPrefix(err.Error(), c.want) {
				t.Errorf("got %v, want %s...", err, c.want)
			}
		})
	}
}

func TestCheckNamesEveryMistake(t *testing.T) {
	c := defaults()
	c.Salt, c.ToolTime.Mode, c.ToolTime.Scale, c.MaxAgents = "beside", "guessed", -1, -1
	c.ToolTime.Tools = map[string]distribution{"bash": {Median: time.Second, Min: 2 * time.Second, Max: 3 * time.Second}}
	c.Power.Scopes = append(c.Power.Scopes, "cpu")
	err := c.check()
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"dataset", "model", "salt", "tool_time.mode", "tool_time.scale", "max_agents", "tool_time.tools.bash", "power.scopes"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v\ndoes not name %s", err, want)
		}
	}
}

func TestSavedConfigIsAConfigWithoutSecrets(t *testing.T) {
	c := defaults()
	c.Headers = map[string]string{"X-Secret": "hunter2"}
	c.ToolTime.Tools = map[string]distribution{"bash": distribution(defaults().ToolTime.Default)}
	data, err := yaml.Marshal(c.withoutSecrets())
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(data), "hunter2") {
		t.Errorf("a header's value is kept:\n%s", data)
	}
	path := filepath.Join(t.TempDir(), "experiment.yaml")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := loadConfig(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(c.withoutSecrets(), got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("saved configuration reads back differently (-want +got):\n%s", diff)
	}
}

func FuzzParseConfig(f *testing.F) {
	f.Add(referenceConfig)
	f.Add("power: {idle: 5}")
	f.Fuzz(func(t *testing.T, text string) {
		c := defaults()
		if err := settings.Decode([]byte(text), "f.yaml", &c); err == nil {
			_ = c.check() // must not panic on anything that parses
		}
	})
}
