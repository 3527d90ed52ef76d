package wire

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	"agentwatt/shared/clock"
	"agentwatt/shared/power"
)

// Stock protobuf with the published file reads what Encode writes, and reads the same batch in it.
func TestStockProtobufReadsBatches(t *testing.T) {
	schema := published(t)
	for name, want := range map[string]*power.Batch{
		"host": host(8, 10, 1e8), "fast": host(2, 500, 1e6), "oddities": oddities(), "empty": {},
	} {
		t.Run(name, func(t *testing.T) {
			m := dynamicpb.NewMessage(schema)
			if err := proto.Unmarshal(mustEncode(t, want), m); err != nil {
				t.Fatal(err)
			}
			if unknown := unknownBytes(m); unknown > 0 {
				t.Errorf("%d bytes in fields that batch.proto does not have", unknown)
			}
			if diff := cmp.Diff(want, batchFrom(m)); diff != "" {
				t.Errorf("batch read by batch.proto differs (-encoded +read):\n%s", diff)
			}
		})
	}
}

// Decode reads what stock protobuf writes.
func TestDecodeReadsStockProtobuf(t *testing.T) {
	schema := published(t)
	for _, want := range []*power.Batch{host(8, 10, 1e8), oddities()} {
		m := dynamicpb.NewMessage(schema)
		if err := proto.Unmarshal(mustEncode(t, want), m); err != nil {
			t.Fatal(err)
		}
		data, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Decode(data)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

// reader reads fields of a dynamic message by name.
type reader struct{ protoreflect.Message }

func (r reader) get(name string) protoreflect.Value {
	f := r.Descriptor().Fields().ByName(protoreflect.Name(name))
	if f == nil {
		panic("batch.proto has no field " + name)
	}
	return r.Get(f)
}

func (r reader) int(name string) int64     { return r.get(name).Int() }
func (r reader) text(name string) string   { return r.get(name).String() }
func (r reader) enum(name string) uint8    { return uint8(r.get(name).Enum()) }
func (r reader) list(name string) []reader { return each(r.get(name).List(), asMessage) }

func asMessage(v protoreflect.Value) reader { return reader{v.Message()} }

func each[T any](l protoreflect.List, f func(protoreflect.Value) T) []T {
	var out []T
	for i := range l.Len() {
		out = append(out, f(l.Get(i)))
	}
	return out
}

// column adds up a column by the rule in batch.proto, written as one would in another language.
func (r reader) column(name string, n int, start, step int64) []int64 {
	col := each(r.get(name).List(), protoreflect.Value.Int)
	out := make([]int64, n)
	value := start
	for i := range out {
		value += step
		if i < len(col) {
			value += col[i]
		}
		out[i] = value
	}
	return out
}

func batchFrom(m protoreflect.Message) *power.Batch {
	r := reader{m}
	b := &power.Batch{
		Host: r.text("host"), Boot: r.text("boot"), Run: r.text("run"), Source: r.text("source"),
		Seq: r.get("seq").Uint(), Missed: r.get("missed").Uint(),
	}
	if c := (reader{r.get("clock").Message()}); c.IsValid() {
		b.Clock = clock.State{
			Read: clock.Stamp(c.int("read_nanos")), Epoch: clock.Stamp(c.int("epoch_nanos")), Synchronised: c.get("synchronised").Bool(),
		}
		for name, dst := range map[string]*int64{
			"offset_nanos": (*int64)(&b.Clock.Offset), "est_error_nanos": (*int64)(&b.Clock.EstError),
			"max_error_nanos": (*int64)(&b.Clock.MaxError),
		} {
			*dst = c.int(name)
		}
	}
	devices, kinds := each(r.get("devices").List(), protoreflect.Value.String), r.list("kinds")
	var times, within []int64
	for i, s := range r.list("series") {
		b.Meters = append(b.Meters, meterFrom(s, devices[s.get("device").Uint()], kinds[s.get("kind").Uint()]))
		n := s.get("raw").List().Len()
		if !s.get("same_times").Bool() {
			times = s.column("time", n, r.int("origin_micros")-s.int("time_step"), s.int("time_step"))
			within = s.column("within", n, 0, 0)
		}
		raw := s.column("raw", n, -s.int("raw_step"), s.int("raw_step"))
		device, status := s.column("device_time", n, 0, 0), s.column("status", n, 0, 0)
		for j := range n {
			sample := power.Sample{
				Meter: i, Time: clock.Stamp(times[j] * 1000), Raw: raw[j], Device: clock.Stamp(device[j] * 1000), Status: power.Status(status[j]),
			}
			if *(*int64)(&sample.Within) = within[j] * 1000; sample.Status != power.OK {
				sample.Raw = 0
			}
			b.Samples = append(b.Samples, sample)
		}
	}
	for _, n := range r.list("notes") {
		b.Notes = append(b.Notes, power.Note{
			Time: clock.Stamp(n.int("time_micros") * 1000), Device: n.text("device"), Key: n.text("key"), Value: n.text("value"),
		})
	}
	for _, l := range r.list("losses") {
		b.Losses = append(b.Losses, power.Loss{
			Run: l.text("run"), Source: l.text("source"), First: l.get("first").Uint(), Last: l.get("last").Uint(), Reason: l.text("reason"),
		})
	}
	return b
}

func meterFrom(s reader, device string, k reader) power.Meter {
	m := power.Meter{
		ID: s.text("id"), Device: device, Name: k.text("name"), Scope: power.Scope(k.text("scope")),
		Quantity: power.Quantity(k.enum("quantity")), Scale: power.Scale{Num: k.int("scale_num"), Den: k.int("scale_den")},
		Wrap: k.int("wrap"), Limit: power.Power(k.int("limit_microwatts")), Accuracy: k.get("accuracy").Float(),
		Model: k.text("model"), Simulated: k.get("simulated").Bool(),
		PeriodFrom: power.Origin(k.enum("period_from")), AveragingFrom: power.Origin(k.enum("averaging_from")),
		DelayFrom: power.Origin(k.enum("delay_from")), AccuracyFrom: power.Origin(k.enum("accuracy_from")),
		GainPPM: k.int("gain_ppm"), Calibration: k.text("calibration"), Buffered: k.get("buffered").Bool(), Step: k.int("step"),
	}
	*(*int64)(&m.Period), *(*int64)(&m.Averaging) = k.int("period_nanos"), k.int("averaging_nanos")
	*(*int64)(&m.Delay) = k.int("delay_nanos")
	if m.ID == "" {
		m.ID = k.text("id_before") + device + k.text("id_after")
	}
	return m
}

// unknownBytes counts what of a message its schema does not explain, in messages below as well.
func unknownBytes(m protoreflect.Message) int {
	n := len(m.GetUnknown())
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.IsList() && f.Message() != nil:
			for i := range v.List().Len() {
				n += unknownBytes(v.List().Get(i).Message())
			}
		case f.Message() != nil:
			n += unknownBytes(v.Message())
		}
		return true
	})
	return n
}

// published returns the message Batch of batch.proto. There is no protobuf compiler among the dependencies, so the few
// forms of line that the file uses are read here; a line of another form fails the test.
func published(t *testing.T) protoreflect.MessageDescriptor {
	t.Helper()
	text, err := os.ReadFile("batch.proto")
	if err != nil {
		t.Fatal(err)
	}
	file := &descriptorpb.FileDescriptorProto{Name: proto.String("batch.proto")}
	p := protoParser{file: file}
	for i, line := range strings.Split(string(text), "\n") {
		line, _, _ = strings.Cut(line, "//")
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		if err := p.line(line); err != nil {
			t.Fatalf("batch.proto:%d: %v", i+1, err)
		}
	}
	fd, err := protodesc.NewFile(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	return fd.Messages().ByName("Batch")
}

type protoParser struct {
	file    *descriptorpb.FileDescriptorProto
	message *descriptorpb.DescriptorProto
	enum    *descriptorpb.EnumDescriptorProto
}

var protoLine = regexp.MustCompile(`^(?:syntax = "(\w+)";|package ([\w.]+);|(message|enum) (\w+) \{|(repeated )?(\w+) (\w+) = (\d+);|(\w+) = (\d+);|\})$`)

func (p *protoParser) line(line string) error {
	m := protoLine.FindStringSubmatch(line)
	switch {
	case m == nil:
		return fmt.Errorf("%q: unexpected form", line)
	case m[1] != "":
		p.file.Syntax = &m[1]
	case m[2] != "":
		p.file.Package = &m[2]
	case m[3] == "message":
		p.message, p.enum = &descriptorpb.DescriptorProto{Name: &m[4]}, nil
		p.file.MessageType = append(p.file.MessageType, p.message)
	case m[3] == "enum":
		p.enum = &descriptorpb.EnumDescriptorProto{Name: &m[4]}
		p.file.EnumType = append(p.file.EnumType, p.enum)
	case m[6] != "":
		n, _ := strconv.ParseInt(m[8], 10, 32)
		f := &descriptorpb.FieldDescriptorProto{Name: &m[7], Number: proto.Int32(int32(n))}
		f.Label = descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum()
		if m[5] != "" {
			f.Label = descriptorpb.FieldDescriptorProto_LABEL_REPEATED.Enum()
		}
		if scalar, ok := descriptorpb.FieldDescriptorProto_Type_value["TYPE_"+strings.ToUpper(m[6])]; ok {
			f.Type = descriptorpb.FieldDescriptorProto_Type(scalar).Enum()
		} else {
			f.Type = p.named(m[6])
			f.TypeName = proto.String("." + p.file.GetPackage() + "." + m[6])
		}
		p.message.Field = append(p.message.Field, f)
	case m[9] != "":
		n, _ := strconv.ParseInt(m[10], 10, 32)
		p.enum.Value = append(p.enum.Value, &descriptorpb.EnumValueDescriptorProto{Name: &m[9], Number: proto.Int32(int32(n))})
	}
	return nil
}

// named says whether a type of the file is an enumeration or a message.
func (p *protoParser) named(name string) *descriptorpb.FieldDescriptorProto_Type {
	switch name {
	case "Quantity", "Origin", "Status":
		return descriptorpb.FieldDescriptorProto_TYPE_ENUM.Enum()
	}
	return descriptorpb.FieldDescriptorProto_TYPE_MESSAGE.Enum()
}
