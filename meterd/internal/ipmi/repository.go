package ipmi

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
)

// Commands of the SDR repository and of FRU data, IPMI 2.0, chapters 33 and 34.
const (
	netFnStorage  = 0x0a
	cmdReadFRU    = 0x11
	cmdReserveSDR = 0x22
	cmdGetSDR     = 0x23
)

// Bounds of a walk through the records of a BMC, so that a damaged repository costs seconds and not a day. Large servers
// have some 300 records.
const (
	mostRecords  = 2000
	mostReserved = 5 // times that the BMC may cancel our reservation
	lastRecord   = 0xffff
	recordChunk  = 32 // bytes asked for at once; halved for a BMC that cannot
	leastChunk   = 4
)

// asker sends a request, again while the BMC is busy, and returns the answer.
type asker func(context.Context, request) (frame, error)

// repository reads sensor records.
type repository struct {
	ask         asker
	reservation uint16
	reserved    int // times that it was made
	chunk       int
}

// sensors returns the sensors in watts, and a line for each one that cannot be read.
func sensors(ctx context.Context, ask asker) (list []sensor, absent []string, err error) {
	r := &repository{ask: ask, chunk: recordChunk}
	if err := r.reserve(ctx); err != nil {
		return nil, nil, err
	}
	id := uint16(0)
	for range mostRecords {
		record, next, err := r.record(ctx, id)
		if id == 0 && errors.Is(err, codeAbsent) { // no records
			return nil, nil, nil
		}
		if err != nil {
			return list, absent, fmt.Errorf("read sensor record %04x: %w", id, err)
		}
		switch s, err := parseSensor(record); {
		case errors.Is(err, errOther):
		case err != nil:
			absent = append(absent, fmt.Sprintf("sensor %q: %v", s.name, err))
		default:
			list = append(list, s)
		}
		if next == lastRecord || next == id {
			return list, absent, nil
		}
		id = next
	}
	return list, absent, fmt.Errorf("read sensor records: more than %d", mostRecords)
}

func (r *repository) reserve(ctx context.Context) error {
	r.reserved++
	f, err := r.ask(ctx, request{netFn: netFnStorage, cmd: cmdReserveSDR})
	if err != nil {
		return err
	}
	b, err := f.body(2)
	if err == nil {
		r.reservation = binary.LittleEndian.Uint16(b)
	}
	return err
}

// record reads one record, and names the next. Of records that are not full sensor records it returns the header only.
func (r *repository) record(ctx context.Context, id uint16) (record []byte, next uint16, err error) {
	record, next, err = r.part(ctx, id, 0, recordHeader)
	if err != nil || len(record) < recordHeader || record[3] != recordFull {
		return record, next, err
	}
	for size := recordHeader + int(record[4]); len(record) < size; {
		part, _, err := r.part(ctx, id, len(record), min(size-len(record), r.chunk))
		if err != nil {
			return nil, next, err
		}
		if len(part) == 0 {
			return nil, next, errors.New("the answer holds no part of the record")
		}
		record = append(record, part...)
	}
	return record, next, nil
}

// part reads at most n bytes of a record.
func (r *repository) part(ctx context.Context, id uint16, offset, n int) ([]byte, uint16, error) {
	for {
		data := binary.LittleEndian.AppendUint16(nil, r.reservation)
		data = append(binary.LittleEndian.AppendUint16(data, id), byte(offset), byte(n))
		f, err := r.ask(ctx, request{netFn: netFnStorage, cmd: cmdGetSDR, data: data})
		if err != nil {
			return nil, 0, err
		}
		b, err := f.body(2)
		var c code
		errors.As(err, &c)
		switch {
		case c == codeCancelled && r.reserved < mostReserved:
			if err := r.reserve(ctx); err != nil {
				return nil, 0, err
			}
		case tooMuch(c) && n > leastChunk:
			n = max(n/2, leastChunk)
			r.chunk = n
		case err != nil:
			return nil, 0, err
		default:
			return append([]byte{}, b[2:min(len(b), 2+n)]...), binary.LittleEndian.Uint16(b), nil
		}
	}
}

// tooMuch reports whether a BMC says that it cannot return as many bytes at once.
func tooMuch(c code) bool { return c == codeBytes || c == codeTooLong || c == codeTimeout || c == 0xff }
