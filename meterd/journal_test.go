package main

import (
	"cmp"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"agentwatt/shared/bus"
	"agentwatt/shared/power"
	"agentwatt/shared/wire"
)

// What a run had in memory that did not come to its end is named, and nothing is of one that did.
func TestNotStopped(t *testing.T) {
	batch := func(run, source string, seq uint64, notes ...power.Note) bus.Message {
		data, err := wire.Encode(nil, &power.Batch{Host: "h", Run: run, Source: source, Seq: seq, Notes: notes})
		if err != nil {
			t.Fatal(err)
		}
		return bus.Message{Payload: data}
	}
	source := func(name string) power.Note { return power.Note{Key: noteSource, Device: name, Value: "on"} }
	loss := func(run, source string, first uint64) power.Loss {
		return power.Loss{Run: run, Source: source, First: first, Reason: power.LostStop}
	}
	for _, test := range []struct {
		name   string
		stored []bus.Message
		want   []power.Loss
	}{
		{"an empty store", nil, nil},
		{"a store without a journal", []bus.Message{batch("A", "nvml", 7)}, nil},
		{"a run that was stopped", []bus.Message{batch("A", "nvml", 7), batch("A", "meterd", 2, source("nvml"), power.Note{Key: noteStop})}, nil},
		{"a run that was killed", []bus.Message{batch("A", "nvml", 7), batch("A", "meterd", 1, source("nvml"))},
			[]power.Loss{loss("A", "meterd", 2), loss("A", "nvml", 8)}},
		{"killed before the first batch", []bus.Message{batch("A", "meterd", 1, source("nvml"))},
			[]power.Loss{loss("A", "meterd", 2), loss("A", "nvml", 1)}},
		{"killed in a second segment", []bus.Message{batch("A", "nvml", 7), batch("A.2", "rapl", 3), batch("A.2", "meterd", 1, source("nvml"), source("rapl"))},
			[]power.Loss{loss("A.2", "meterd", 2), loss("A", "nvml", 8), loss("A.2", "nvml", 1), loss("A.2", "rapl", 4)}},
		{"a source of an earlier run", []bus.Message{batch("A", "ipmi", 9), batch("B", "nvml", 7), batch("B", "meterd", 1, source("nvml"))},
			[]power.Loss{loss("B", "meterd", 2), loss("B", "nvml", 8)}},
	} {
		got := notStopped(test.stored)
		slices.SortFunc(got, func(a, b power.Loss) int { return cmp.Or(cmp.Compare(a.Source, b.Source), cmp.Compare(a.Run, b.Run)) })
		if diff := gocmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}
