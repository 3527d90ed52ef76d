package rundir

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"

	"agentwatt/shared/archive"
	"agentwatt/shared/clock"
	"agentwatt/shared/power"
	"agentwatt/shared/wire"
)

// PowerRow is one sample in power/<host>.parquet. Value is raw times the meter's scale, rounded; raw and scale are beside it.
type PowerRow struct {
	Meter      string      `parquet:"meter,dict"`
	Device     string      `parquet:"device,dict"`
	Scope      string      `parquet:"scope,dict"`
	Quantity   string      `parquet:"quantity,dict"`
	Source     string      `parquet:"source,dict"`
	Run        string      `parquet:"meterd_run,dict"`
	Seq        uint64      `parquet:"batch_seq,delta"`
	Time       clock.Stamp `parquet:"time_unix_nanos,delta"`
	Within     int64       `parquet:"within_nanos"`
	DeviceTime clock.Stamp `parquet:"device_time_unix_nanos,delta"`
	Raw        int64       `parquet:"raw,delta"`
	ScaleNum   int64       `parquet:"scale_micro_numerator"`
	ScaleDen   int64       `parquet:"scale_micro_denominator"`
	GainPPM    int64       `parquet:"gain_ppm"`
	Status     string      `parquet:"status,dict"`
	Simulate   bool        `parquet:"simulated"`
}

// Finish closes the evidence, writes the power tables and the derived files, and sets the completion marker last.
func (d *Dir) Finish(derived map[string][]byte) error {
	if err := errors.Join(d.closeBatches(), d.closeServer()); err != nil {
		return err
	}
	hosts, err := evidence(d.path)
	if err != nil {
		return err
	}
	for _, path := range hosts {
		if err := d.writePowerTable(path); err != nil {
			return err
		}
	}
	for name, data := range derived {
		if err := d.WriteFile(name, data); err != nil {
			return err
		}
	}
	return d.Update(func(m *Manifest) { m.Complete = true })
}

// evidence lists the batch files of a run directory.
func evidence(dir string) ([]string, error) {
	return filepath.Glob(filepath.Join(dir, "power", "*"+archive.Suffix))
}

// writePowerTable turns one host's evidence into a table beside it, streaming.
func (d *Dir) writePowerTable(evidencePath string) error {
	path := evidencePath[:len(evidencePath)-len(archive.Suffix)] + ".parquet"
	f, err := os.CreateTemp(filepath.Dir(path), ".part-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	w := parquet.NewGenericWriter[PowerRow](f, parquet.Compression(&zstd.Codec{}))
	var rows []PowerRow
	var decoder wire.Decoder
	var b power.Batch
	err = archive.Read(evidencePath, func(r Received) error {
		// A batch that does not decode is evidence that the result warns about; the table goes on without it.
		if decoder.Decode(&b, r.Payload) != nil {
			return nil
		}
		rows = appendRows(rows[:0], &b)
		_, err := w.Write(rows)
		return err
	})
	if errors.Is(err, archive.ErrTorn) { // as far as it goes
		err = nil
	}
	return seal(f, path, errors.Join(err, w.Close()))
}

func appendRows(rows []PowerRow, b *power.Batch) []PowerRow {
	for _, s := range b.Samples {
		m := b.Meters[s.Meter]
		rows = append(rows, PowerRow{
			Meter: m.ID, Device: m.Device, Scope: string(m.Scope), Quantity: m.Quantity.String(), Source: b.Source, Run: b.Run, Seq: b.Seq,
			Time: s.Time, Within: int64(s.Within), DeviceTime: s.Device, Raw: s.Raw, ScaleNum: m.Scale.Num, ScaleDen: m.Scale.Den,
			GainPPM: m.GainPPM, Status: s.Status.String(),
			Simulate: m.Simulated,
		})
	}
	return rows
}
