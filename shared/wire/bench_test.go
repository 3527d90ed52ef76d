package wire

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"agentwatt/shared/power"
)

// The benchmarks compare codecs of the same batch within one run: `go test -bench . -count 6 ./shared/wire`. Ratios
// between rows carry over to other machines, nanoseconds do not.

// loads are the batches that are measured.
func loads() map[string]*power.Batch {
	return map[string]*power.Batch{
		"changing-1000": changing(8, 125),                  // 8 devices at 1 kHz, power changes with each sample
		"in-turns-1000": inTurns(changing(8, 125)),         // the same, in the order in which a sampler reads them
		"mixed-1008":    host(8, 42, 100*time.Millisecond), // 8 GPUs, energy + instant + mean at 10 Hz
		"mixed-96":      host(8, 4, 100*time.Millisecond),  // the same, published each 0.4 s
	}
}

// changing is what rows are usually compared on: time, device, milliwatts. Reads are so fast that Within is always the
// same few microseconds.
func changing(devices, samples int) *power.Batch {
	r := rand.New(rand.NewPCG(5, 6))
	b := &power.Batch{Host: "gpu-01", Boot: "6c0f9a1e-7f0c-4f8a-9f4f-0d6b1a0f2c11", Run: "0190c1c2-aaaa", Source: "nvml", Seq: 7}
	for d := range devices {
		device := fmt.Sprintf("GPU-%08x", 0x5f3c1000+d)
		b.Meters = append(b.Meters, power.Meter{
			ID: "nvml/" + device + "/instant", Device: device, Scope: power.Accelerator, Quantity: power.Instant,
			Scale: power.Scale{Num: 1000, Den: 1}, Accuracy: 0.05, Model: "nvml/GH100/instant",
		})
		watts := int64(640_000)
		for i := range samples {
			watts += int64(r.NormFloat64() * 2000)
			late := time.Duration(33+r.ExpFloat64()*15) * time.Microsecond
			b.Samples = append(b.Samples, power.Sample{
				Meter: d, Time: epoch.Add(time.Duration(i)*time.Millisecond + late), Within: 5 * time.Microsecond, Raw: watts,
			})
		}
	}
	return b
}

// inTurns puts the samples of b in the order of reading: each meter once, then each once more.
func inTurns(b *power.Batch) *power.Batch {
	n, turns := len(b.Samples), len(b.Samples)/len(b.Meters)
	read := make([]power.Sample, 0, n)
	for i := range n {
		read = append(read, b.Samples[i%len(b.Meters)*turns+i/len(b.Meters)])
	}
	b.Samples = read
	return b
}

// codec is one way to write and read a batch. Only encoding/json and wire carry the descriptors; the rows and the JSON
// by hand carry samples alone, which favours them.
type codec struct {
	name   string
	encode func(dst []byte, b *power.Batch) []byte
	decode func(data []byte) int // returns the number of samples
}

func codecs() []codec {
	var e Encoder
	var d Decoder
	var again power.Batch
	return []codec{
		{"wire", func(dst []byte, b *power.Batch) []byte {
			out, err := e.Encode(dst, b)
			if err != nil {
				panic(err)
			}
			return out
		}, func(data []byte) int {
			b, err := Decode(data)
			if err != nil {
				panic(err)
			}
			return len(b.Samples)
		}},
		{"wire-same-memory", nil, func(data []byte) int { // as a reader that goes through batches one by one
			if err := d.Decode(&again, data); err != nil {
				panic(err)
			}
			return len(again.Samples)
		}},
		{"encoding-json", func(_ []byte, b *power.Batch) []byte {
			out, err := json.Marshal(b)
			if err != nil {
				panic(err)
			}
			return out
		}, func(data []byte) int {
			var b power.Batch
			if err := json.Unmarshal(data, &b); err != nil {
				panic(err)
			}
			return len(b.Samples)
		}},
		{"encoding-json-rows", func(_ []byte, b *power.Batch) []byte {
			out, err := json.Marshal(rowsOf(b))
			if err != nil {
				panic(err)
			}
			return out
		}, func(data []byte) int {
			var rows []row
			if err := json.Unmarshal(data, &rows); err != nil {
				panic(err)
			}
			return len(rows)
		}},
		{"json-by-hand", jsonByHand, nil},
		{"protobuf-rows", protobufRows, decodeProtobufRows},
	}
}

func BenchmarkEncode(b *testing.B) {
	for load, batch := range loads() {
		for _, c := range codecs() {
			if c.encode == nil {
				continue
			}
			b.Run(load+"/"+c.name, func(b *testing.B) {
				dst := c.encode(nil, batch)
				b.ReportAllocs()
				for b.Loop() {
					dst = c.encode(dst[:0], batch)
				}
				perSample(b, len(dst), len(batch.Samples))
			})
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	for load, batch := range loads() {
		for _, c := range codecs() {
			if c.decode == nil {
				continue
			}
			b.Run(load+"/"+c.name, func(b *testing.B) {
				data := mustEncode(b, batch)
				if c.encode != nil {
					data = c.encode(nil, batch)
				}
				b.ReportAllocs()
				for b.Loop() {
					if got, want := c.decode(data), len(batch.Samples); got != want {
						b.Fatalf("got %d samples, want %d", got, want)
					}
				}
				perSample(b, len(data), len(batch.Samples))
			})
		}
	}
}

func perSample(b *testing.B, bytes, samples int) {
	b.ReportMetric(float64(bytes)/float64(samples), "B/sample")
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(samples), "ns/sample")
	b.ReportMetric(0, "ns/op")
}

// row is a sample as compact JSON has it: microseconds, ± microseconds, device, milliwatts.
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

func jsonByHand(dst []byte, b *power.Batch) []byte {
	dst = append(dst, '[')
	for i := range b.Samples {
		s := &b.Samples[i]
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"ts":`...)
		dst = strconv.AppendInt(dst, int64(s.Time)/1000, 10)
		dst = append(dst, `,"pm":`...)
		dst = strconv.AppendInt(dst, s.Within.Microseconds(), 10)
		dst = append(dst, `,"dev":`...)
		dst = strconv.AppendInt(dst, int64(s.Meter), 10)
		dst = append(dst, `,"mw":`...)
		dst = strconv.AppendInt(dst, s.Raw, 10)
		dst = append(dst, '}')
	}
	return append(dst, ']')
}

// protobufRows writes a message per sample with the fields of row.
func protobufRows(dst []byte, b *power.Batch) []byte {
	var row [64]byte
	for i := range b.Samples {
		s := &b.Samples[i]
		m := appendUint(row[:0], 1, uint64(s.Time/1000))
		m = appendUint(m, 2, uint64(s.Meter))
		m = appendUint(m, 3, uint64(s.Raw))
		m = appendUint(m, 4, uint64(s.Within.Microseconds()))
		dst = appendMessage(dst, 1, m)
	}
	return dst
}

func decodeProtobufRows(data []byte) int {
	var rows []row
	for len(data) > 0 {
		_, _, tag := protowire.ConsumeTag(data)
		m, n := protowire.ConsumeBytes(data[tag:])
		data = data[tag+n:]
		var r row
		for len(m) > 0 {
			num, _, tag := protowire.ConsumeTag(m)
			v, n := protowire.ConsumeVarint(m[tag:])
			m = m[tag+n:]
			switch num {
			case 1:
				r.TS = int64(v)
			case 2:
				r.Dev = int(v)
			case 3:
				r.MW = int64(v)
			case 4:
				r.PM = int64(v)
			}
		}
		rows = append(rows, r)
	}
	return len(rows)
}
