package rundir

import (
	"bytes"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"agentwatt/shared/archive"
	"agentwatt/shared/clock"
	"agentwatt/shared/power"
	"agentwatt/shared/wire"
)

// storeBatches makes what meterd publishes for 8 GPUs at 1 kHz: power that changes with every sample.
func storeBatches(n int) (batches []power.Batch, payloads [][]byte) {
	var meters []power.Meter
	for d := range 8 {
		id := string(rune('a' + d))
		meters = append(meters, power.Meter{ID: "nvml/GPU-" + id + "/instant", Device: "GPU-" + id, Scope: power.Accelerator,
			Quantity: power.Instant, Scale: power.Scale{Num: 1000, Den: 1}, Accuracy: 0.05, Model: "m"})
	}
	noise := uint64(1)
	at := clock.Stamp(1_700_000_000_000_000_000)
	for seq := range n / 1000 {
		b := power.Batch{Host: "gpu1", Boot: "b", Run: "r", Source: "nvml", Seq: uint64(seq + 1), Meters: meters}
		for d := range 8 { // grouped by meter, as batches decode
			for i := range 125 {
				noise = noise*6364136223846793005 + 1442695040888963407
				b.Samples = append(b.Samples, power.Sample{Meter: d, Within: 20 * time.Microsecond, Raw: 600_000 + int64(noise>>52),
					Time: at.Add(time.Duration(seq*125+i)*time.Millisecond + time.Duration(noise>>58)*time.Microsecond)})
			}
		}
		data, err := wire.Encode(nil, &b)
		if err != nil {
			panic(err) // the batch above is valid
		}
		batches, payloads = append(batches, b), append(payloads, data)
	}
	return batches, payloads
}

func cpu() time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		panic(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// BenchmarkStore is row 11: what a sample costs on disk and in CPU, as evidence, as a table, and as a plain table.
func BenchmarkStore(b *testing.B) {
	const n = 1_000_000
	batches, payloads := storeBatches(n)
	report := func(b *testing.B, began time.Duration, size int64) {
		b.ReportMetric(float64(cpu()-began)/float64(b.N)/n, "cpu-ns/sample")
		b.ReportMetric(float64(size)/n, "B/sample")
	}
	dir := b.TempDir()
	d, err := Create(filepath.Join(dir, "run"), Manifest{})
	if err != nil {
		b.Fatal(err)
	}
	evidenceFile := filepath.Join(d.Path(), batchFile("gpu1"))
	b.Run("evidence", func(b *testing.B) {
		began := cpu()
		for range b.N {
			os.Remove(evidenceFile)
			d.hosts = map[string]*archive.Writer{}
			for i, p := range payloads {
				if err := d.AppendBatch("gpu1", Received{Sequence: uint64(i), Payload: p}); err != nil {
					b.Fatal(err)
				}
			}
			if err := d.closeBatches(); err != nil {
				b.Fatal(err)
			}
		}
		report(b, began, fileSize(b, evidenceFile))
	})
	b.Run("evidence-read", func(b *testing.B) {
		began := cpu()
		r := &Run{Path: d.Path()}
		for range b.N {
			if got, _, err := r.Batches(); err != nil || len(got) != len(batches) {
				b.Fatal(len(got), err)
			}
		}
		report(b, began, fileSize(b, evidenceFile))
	})
	b.Run("table", func(b *testing.B) {
		began := cpu()
		for range b.N {
			if err := d.writePowerTable(evidenceFile); err != nil {
				b.Fatal(err)
			}
		}
		report(b, began, fileSize(b, filepath.Join(d.Path(), "power", "gpu1.parquet")))
	})
	b.Run("plain-parquet", func(b *testing.B) {
		type plain struct {
			Meter string
			Time  int64
			Raw   int64
		}
		began := cpu()
		var out bytes.Buffer
		for range b.N {
			out.Reset()
			w := parquet.NewGenericWriter[plain](&out)
			var rows []plain
			for _, batch := range batches {
				rows = rows[:0]
				for _, s := range batch.Samples {
					rows = append(rows, plain{batch.Meters[s.Meter].ID, int64(s.Time), s.Raw})
				}
				if _, err := w.Write(rows); err != nil {
					b.Fatal(err)
				}
			}
			if err := w.Close(); err != nil {
				b.Fatal(err)
			}
		}
		report(b, began, int64(out.Len()))
	})
}

func fileSize(b *testing.B, path string) int64 {
	b.Helper()
	info, err := os.Stat(path)
	if err != nil {
		b.Fatal(err)
	}
	return info.Size()
}
