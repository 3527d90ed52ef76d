package bus

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"golang.org/x/sync/errgroup"

	"agentwatt/shared/clock"
	"agentwatt/shared/power"
	"agentwatt/shared/wire"
)

// BenchmarkPipeline takes samples from a publisher's batch to a reader's: encode, publish, store on disk, follow, decode.
// Each row reports the processor time of the whole process, server included, per sample:
//
//	go test -run xxx -bench Pipeline -benchtime 1000x -count 6 ./shared/bus
//
// "durable" is what meterd does: each batch is synced before the next is published. "streaming" has 64 publishers and no
// sync, which is how throughput of brokers is usually given; beside it is what is commonly done instead of packed batches.
// The reader goes through batches one by one, in the same memory, with JSON as with wire.
func BenchmarkPipeline(b *testing.B) {
	durable, streaming := mode{publishers: 1}, mode{publishers: 64, options: ServerOptions{unsynced: true}}
	for _, n := range []int{100, 1000, 8000} {
		b.Run(fmt.Sprintf("streaming/batches-of-%d", n), func(b *testing.B) { benchmarkBatches(b, streaming, load(n)) })
	}
	b.Run("streaming/json-batches-of-1000", func(b *testing.B) { benchmarkJSONBatches(b, streaming, load(1000)) })
	b.Run("streaming/json-message-per-sample-not-stored", func(b *testing.B) { benchmarkJSONMessages(b, load(1000)) })
	for _, n := range []int{100, 1000, 8000} {
		b.Run(fmt.Sprintf("durable/batches-of-%d", n), func(b *testing.B) { benchmarkBatches(b, durable, load(n)) })
	}
	b.Run("durable/json-batches-of-1000", func(b *testing.B) { benchmarkJSONBatches(b, durable, load(1000)) })
}

// mode is how batches are published.
type mode struct {
	publishers int // at the same time
	options    ServerOptions
}

func benchmarkBatches(b *testing.B, how mode, batch *power.Batch) {
	s := serveTest(b, how.options)
	p := publisher(b, s)
	var d wire.Decoder
	var got power.Batch
	pipeline(b, s, how, len(batch.Samples), func(n int) error {
		mine := *batch
		mine.Seq = uint64(n)
		return p.Publish(b.Context(), &mine)
	}, func(m Message) (int, error) {
		err := d.Decode(&got, m.Payload)
		return len(got.Samples), err
	})
}

// benchmarkJSONBatches sends the same way, but for the encoding.
func benchmarkJSONBatches(b *testing.B, how mode, batch *power.Batch) {
	s := serveTest(b, how.options)
	var rows []row
	pipeline(b, s, how, len(batch.Samples), func(int) error {
		data, err := json.Marshal(rowsOf(batch))
		if err == nil {
			_, err = s.js.Publish(b.Context(), Subject("json", "batch"), data)
		}
		return err
	}, func(m Message) (int, error) {
		err := json.Unmarshal(m.Payload, &rows)
		return len(rows), err
	})
}

// pipeline measures b.N batches from publish to decode.
func pipeline(b *testing.B, s *Server, how mode, samples int, publish func(n int) error, decode func(Message) (int, error)) {
	c := reader(b, s)
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	b.ResetTimer()
	begin := cpu(b)
	followed := make(chan error, 1)
	go func() {
		n := 0
		followed <- c.Follow(ctx, 0, func(m Message) error {
			got, err := decode(m)
			if err == nil && got != samples {
				err = fmt.Errorf("got %d samples, want %d", got, samples)
			}
			if n++; n == b.N {
				cancel()
			}
			return err
		})
	}()
	var publishing errgroup.Group
	var next atomic.Int64
	for range how.publishers {
		publishing.Go(func() error {
			for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
				if err := publish(int(n)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := publishing.Wait(); err != nil {
		b.Fatal(err)
	}
	if err := <-followed; err != nil {
		b.Fatal(err)
	}
	perSample(b, cpu(b)-begin, samples)
}

// benchmarkJSONMessages sends each sample as a message of its own, without storing it.
func benchmarkJSONMessages(b *testing.B, batch *power.Batch) {
	s := serveTest(b, ServerOptions{})
	from, err := s.connect()
	if err != nil {
		b.Fatal(err)
	}
	defer from.Close()
	to, err := s.connect()
	if err != nil {
		b.Fatal(err)
	}
	defer to.Close()
	rows := rowsOf(batch)
	want := b.N * len(rows)
	done := make(chan error, 1)
	n := 0
	sub, err := to.Subscribe("sample", func(m *nats.Msg) {
		var r row
		err := json.Unmarshal(m.Data, &r)
		if n++; err != nil || n == want {
			done <- err
		}
	})
	if err == nil {
		err = sub.SetPendingLimits(-1, -1)
	}
	if err == nil {
		err = to.Flush()
	}
	if err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	begin := cpu(b)
	for range b.N {
		for i := range rows {
			data, err := json.Marshal(&rows[i])
			if err == nil {
				err = from.Publish("sample", data)
			}
			if err != nil {
				b.Fatal(err)
			}
		}
	}
	if err := <-done; err != nil {
		b.Fatal(err)
	}
	perSample(b, cpu(b)-begin, len(rows))
}

func perSample(b *testing.B, used time.Duration, samples int) {
	b.ReportMetric(float64(used.Nanoseconds())/float64(b.N)/float64(samples), "cpu-ns/sample")
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N), "wall-µs/batch")
	b.ReportMetric(0, "ns/op")
}

// cpu returns the processor time, user and system, that this process has used.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// load returns a batch of n samples from 8 devices at 1 kHz whose power changes with each sample.
func load(n int) *power.Batch {
	r := rand.New(rand.NewPCG(5, 6))
	b := &power.Batch{Host: "gpu-01", Run: "bench", Source: "nvml"}
	watts := make([]int64, 8)
	for d := range watts {
		device := fmt.Sprintf("GPU-%08x", 0x5f3c1000+d)
		b.Meters = append(b.Meters, power.Meter{
			ID: "nvml/" + device + "/instant", Device: device, Scope: power.Accelerator, Quantity: power.Instant,
			Scale: power.Scale{Num: 1000, Den: 1}, Accuracy: 0.05, Model: "nvml/GH100/instant",
		})
		watts[d] = 640_000
	}
	for i := range n {
		d := i % len(watts)
		watts[d] += int64(r.NormFloat64() * 2000)
		late := time.Duration(33+r.ExpFloat64()*15) * time.Microsecond
		b.Samples = append(b.Samples, power.Sample{
			Meter: d, Time: clock.Stamp(1_790_000_000_000_000_000).Add(time.Duration(i/8)*time.Millisecond + late),
			Within: 5 * time.Microsecond, Raw: watts[d],
		})
	}
	return b
}

// row is a sample as compact JSON has it.
type row struct {
	TS  int64 `json:"ts"`
	PM  int64 `json:"pm"`
	Dev int   `json:"dev"`
	MW  int64 `json:"mw"`
}

func rowsOf(b *power.Batch) []row {
	rows := make([]row, len(b.Samples))
	for i, s := range b.Samples {
		rows[i] = row{int64(s.Time) / 1000, s.Within.Microseconds(), s.Meter, s.Raw}
	}
	return rows
}
