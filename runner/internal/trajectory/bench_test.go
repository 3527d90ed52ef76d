package trajectory

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// cumulative makes an AA replay file of one session whose rows repeat the conversation so far, as the format wants.
func cumulative(turns, size int) (file []byte, messages int) {
	all := `{"role":"user","content":"go"}`
	for k := range turns {
		if k > 0 {
			all += fmt.Sprintf(`,{"role":"assistant","tool_calls":[{"id":"c%d","type":"function","function":{"name":"bash","arguments":"{}"}}]},{"role":"tool","tool_call_id":"c%d","content":"%s"}`,
				k, k, strings.Repeat("x", size))
		}
		file = append(file, aa("a", k, all)...)
	}
	return file, len(all)
}

// A file whose rows repeat the conversation must not be held: what stays is the conversation, once.
func TestImportHoldsIncrementsOnly(t *testing.T) {
	file, messages := cumulative(100, 2000) // 10 MB of rows, 0.2 MB of messages
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	d, report, err := ImportAAReplay(bytes.NewReader(file), "f")
	if err != nil || report.Turns != 100 {
		t.Fatal(err, report)
	}
	runtime.ReadMemStats(&after)
	// Everything allocated, garbage included: line buffers and messages as they grow, their final copy.
	if got, limit := after.TotalAlloc-before.TotalAlloc, uint64(len(file)/2); got > limit {
		t.Errorf("allocated %d bytes for %d bytes of messages in %d bytes of rows; want at most %d", got, messages, len(file), limit)
	}
	runtime.KeepAlive(d)
}

func BenchmarkRead(b *testing.B) {
	var file bytes.Buffer
	if err := Write(&file, Synth(SynthOptions{Seed: 1, Trajectories: 20})); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(file.Len()))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Read(bytes.NewReader(file.Bytes()), "f"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkImportAAReplay(b *testing.B) {
	file, _ := cumulative(100, 4000)
	b.SetBytes(int64(len(file)))
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := ImportAAReplay(bytes.NewReader(file), "f"); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPieces is what one turn's request costs before it is written: nothing that grows with its length.
func BenchmarkPieces(b *testing.B) {
	d := Synth(SynthOptions{Seed: 1, Trajectories: 1})
	p := Play{Trajectory: d.Trajectories[0], Salt: "[salt 0123456789abcdef] "}
	b.ReportAllocs()
	size := 0
	for b.Loop() {
		for k := range p.Turns {
			pieces := p.Pieces(k)
			size += len(pieces[0]) + len(pieces[1]) + len(pieces[2])
		}
	}
	_ = size
}
