package topology

import (
	"slices"
	"strings"
	"testing"

	"agentwatt/shared/power"
)

// A draft of what is metered parses, and leaves nothing to find but what only people know: it counts every device that the
// complete file counts.
func TestDraftCountsEverything(t *testing.T) {
	for _, e := range examples {
		d := e.found()
		f, err := Parse(Draft(d), "draft.yaml")
		if err != nil {
			t.Errorf("%s: %v\n%s", e.file, err, Draft(d))
			continue
		}
		full := example(t, e.file)
		for _, s := range []power.Scope{power.Accelerator, power.Module, power.Rack} {
			if got, want := Expected(f, d, s), Expected(full, d, s); !slices.Equal(got, want) {
				t.Errorf("%s, scope %s: the draft expects %q, want %q", e.file, s, got, want)
			}
		}
		for _, x := range Check(f, d) {
			equipment := x.Code == NotPlaced && strings.HasPrefix(x.Devices[0], "switch-") // it asks what those are
			if x.Severity != Info && !equipment {
				t.Errorf("%s: the draft has %+v", e.file, x)
			}
		}
	}
}

func TestDraftAsks(t *testing.T) {
	const uuid = "GPU-8a1f36c2-90d4-4b7e-a5f1-3c2d1e0f9b8a"
	in := func(host, device string, s power.Scope) Discovered {
		return Discovered{Meters: []HostMeter{meter(host, device, s)}}
	}
	with := func(list ...Discovered) (all Discovered) {
		for _, d := range list {
			all.Meters, all.Notes = append(all.Meters, d.Meters...), append(all.Notes, d.Notes...)
		}
		return all
	}
	note := func(device, key, value string) Discovered {
		return Discovered{Notes: []HostNote{{"n1", power.Note{Device: device, Key: key, Value: value}}}}
	}
	for _, c := range []struct {
		name string
		d    Discovered
		want []string
	}{
		{"nothing", Discovered{}, []string{"# No rack input is metered", "# equipment:", "# pue: 1.2"}},
		{"no BMC", in("n1", uuid, power.Accelerator), []string{"  - name: n1\n", "# Nothing meters its input", "      - " + uuid + "\n", "# supplies: 2"}},
		{"BMC by another host", with(in("n1", uuid, power.Accelerator), in("poller", "n1/chassis", power.Node)), []string{"    input: n1/chassis\n"}},
		{"two names of the input", with(in("n1", uuid, power.Accelerator), in("n1", "bmc", power.Node), in("poller", "n1/chassis", power.Node)),
			[]string{"    input: bmc\n", "    also: n1/chassis\n", "# Are these the same input by other names"}},
		{"a meter of a stranger", with(in("n1", uuid, power.Accelerator), in("poller", "x7/chassis", power.Node)), []string{"# These are metered, too.", `#   "poller/x7/chassis"`}},
		{"where a GPU is", with(in("n1", uuid, power.Accelerator), note(uuid, NotePCI, "0000:1b:00.0")), []string{uuid + ` # "at 0000:1b:00.0"`}},
		{"GPUs of a module", with(in("n1", uuid, power.Accelerator), in("n1", "module-0", power.Module), note(uuid, NoteModule, "module-0")),
			[]string{"    modules:\n      - device: module-0\n        accelerators:\n          - " + uuid}},
		{"GPUs of unknown modules", with(in("n1", uuid, power.Accelerator), in("n1", "module-0", power.Module)), []string{"# Which of these are in which module below?"}},
		{"parts are left out", with(in("h", "p/inlet-1", power.Rack), in("h", "p/phase-1", power.Rack)), []string{"      - device: p/inlet-1 #"}},
		{"outlets", with(in("h", "p/inlet-1", power.Rack), in("h", "p/outlet-1", power.Component), in("h", "p/outlet-2", power.Component)), []string{"        outlets: p/outlet-[1-2]\n"}},
		{"inputs of one name", with(in("h1", "p/inlet-1", power.Rack), in("h2", "p/inlet-1", power.Rack)), []string{"device: h1/p/inlet-1 #", "device: h2/p/inlet-1 #"}},
		{"a name that no file holds", with(in("n1", "a[1", power.Accelerator), in("n2", uuid, power.Accelerator)), []string{"  - name: n2\n"}},
		{"a name to quote", in("n1", "0x10: #", power.Accelerator), []string{`      - "0x10: #"`}},
	} {
		got := string(Draft(c.d))
		for _, want := range c.want {
			if !strings.Contains(got, want) {
				t.Errorf("%s: no %q in\n%s", c.name, want, got)
			}
		}
		if strings.Contains(got, "phase") {
			t.Errorf("%s: a part of an input is in\n%s", c.name, got)
		}
		if _, err := Parse([]byte(got), "draft.yaml"); err != nil && c.name != "nothing" {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// A device may be called anything: the draft still parses.
func FuzzDraft(f *testing.F) {
	f.Add("n1", "GPU-1", "NVIDIA H200", uint8(0))
	f.Add("n[1-2]", "p/outlet-1", "a\nb: c # \"", uint8(3))
	f.Add("true", "- x", "\xff", uint8(1))
	scopes := append(slices.Clone(headline), power.Component)
	f.Fuzz(func(t *testing.T, host, device, name string, s uint8) {
		m := meter(host, device, scopes[int(s)%len(scopes)])
		m.Meter.Name = name
		beside := meter("rackhost", "p/inlet-1", power.Rack)
		d := Discovered{[]HostMeter{m, beside}, []HostNote{{host, power.Note{Device: device, Key: NotePCI, Value: name}}}}
		text := Draft(d)
		file, err := Parse(text, "draft.yaml")
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		for _, x := range Check(file, d) {
			if x.Code == NotMetered || x.Code == UnknownName {
				t.Errorf("%+v\n%s", x, text)
			}
		}
	})
}
