package record

import (
	"bytes"
	"iter"
)

// events yields the data of each event of a stream, and the offset at which the event ends. The last event of a stream that
// breaks off is yielded too if its line is whole.
func events(stream []byte) iter.Seq2[[]byte, int] {
	return func(yield func([]byte, int) bool) {
		var data []byte
		some := false
		at := 0
		for at < len(stream) {
			line := stream[at:]
			if n := bytes.IndexByte(line, '\n'); n >= 0 {
				line = line[:n]
				at++
			} else if len(line) > 0 && !some {
				return // half a line says nothing
			}
			at += len(line)
			line = bytes.TrimSuffix(line, []byte{'\r'})
			if len(line) == 0 {
				if some && !yield(data, at) {
					return
				}
				data, some = nil, false
				continue
			}
			value, ok := bytes.CutPrefix(line, []byte("data:"))
			if !ok {
				continue
			}
			value = bytes.TrimPrefix(value, []byte{' '})
			if some {
				data = append(append(bytes.Clone(data), '\n'), value...)
			} else {
				data, some = value, true
			}
		}
		if some {
			yield(data, at)
		}
	}
}

// eventEnd returns the length of the first whole event of a stream, blank line included; 0: there is none yet.
func eventEnd(stream []byte) int {
	for from := 0; ; {
		n := bytes.IndexByte(stream[from:], '\n')
		if n < 0 {
			return 0
		}
		line := bytes.TrimSuffix(stream[from:from+n], []byte{'\r'})
		from += n + 1
		if len(line) == 0 {
			return from
		}
	}
}
