package endpoint

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// header takes bytes of the header, skips 1xx responses, and returns those of raw that follow the final header.
func (f *framer) header(raw []byte) ([]byte, error) {
	from, kept := len(f.head), len(f.head)
	all := raw
	if kept > 0 {
		f.head = append(f.head, raw...)
		all = f.head
	}
	for { // once for every interim response, and for the real one
		end := headerEnd(all, from)
		if end < 0 {
			if len(all) > maxHeader {
				return nil, errors.New("response header without an end")
			}
			f.head = append(f.head[:0], all...)
			return nil, nil
		}
		if err := f.parse(all[:end]); err != nil {
			return nil, err
		}
		all, from = all[end:], 0
		if f.status >= 200 {
			f.head = nil
			return raw[len(raw)-len(all):], nil
		}
	}
}

// headerEnd returns the offset behind the first empty line, or -1. Bytes before from were searched before.
func headerEnd(b []byte, from int) int {
	for i := max(from-3, 0); i < len(b); {
		nl := bytes.IndexByte(b[i:], '\n')
		if nl < 0 {
			return -1
		}
		i += nl + 1
		switch rest := b[i:]; {
		case len(rest) > 0 && rest[0] == '\n':
			return i + 1
		case len(rest) > 1 && rest[0] == '\r' && rest[1] == '\n':
			return i + 2
		}
	}
	return -1
}

// parse reads a complete header and decides how the body is delimited.
func (f *framer) parse(b []byte) error {
	line, rest, _ := bytes.Cut(b, []byte("\n"))
	if err := f.statusLine(strings.TrimRight(string(line), "\r")); err != nil {
		return err
	}
	var chunked bool
	length := int64(-1)
	f.contentType, f.location = "", ""
	for len(rest) > 0 {
		line, rest, _ = bytes.Cut(rest, []byte("\n"))
		name, value, ok := strings.Cut(strings.TrimRight(string(line), "\r"), ":")
		if !ok {
			continue // the empty line, or a folded one
		}
		value = strings.TrimSpace(value)
		switch strings.ToLower(name) {
		case "content-length":
			n, err := strconv.ParseInt(value, 10, 64)
			if err != nil || n < 0 || length >= 0 && n != length {
				return fmt.Errorf("content-length %q", value)
			}
			length = n
		case "transfer-encoding":
			if !strings.EqualFold(value, "chunked") {
				return fmt.Errorf("transfer encoding %q", value)
			}
			chunked = true
		case "content-encoding":
			if value != "" && !strings.EqualFold(value, "identity") {
				return fmt.Errorf("content is encoded as %q although identity was asked for", value)
			}
		case "connection":
			for option := range strings.SplitSeq(value, ",") {
				switch strings.ToLower(strings.TrimSpace(option)) {
				case "close":
					f.keep = false
				case "keep-alive":
					f.keep = true
				}
			}
		case "content-type":
			f.contentType = value
		case "location":
			f.location = value
		}
	}
	if f.status >= 200 {
		f.delimit(chunked, length)
	}
	return nil
}

func (f *framer) delimit(chunked bool, length int64) {
	switch {
	case f.status == 204 || f.status == 304:
		f.state = complete
	case chunked:
		f.state, f.line = inSize, 0
		if length >= 0 {
			f.keep = false // two opinions on the length: this one is taken, the connection is not trusted again
		}
	case length == 0:
		f.state = complete
	case length > 0:
		f.state, f.remain = inLength, uint64(length)
	default:
		f.state, f.remain, f.keep = untilClose, math.MaxUint64, false
	}
}

func (f *framer) statusLine(s string) error {
	proto, rest, _ := strings.Cut(s, " ")
	code, _, _ := strings.Cut(strings.TrimLeft(rest, " "), " ")
	n, err := strconv.Atoi(code)
	switch {
	case proto != "HTTP/1.1" && proto != "HTTP/1.0":
		return fmt.Errorf("not an HTTP/1.1 response: it begins %q", brief(s, 40))
	case err != nil || n < 100 || n > 999:
		return fmt.Errorf("status line %q", brief(s, 60))
	case n == 101:
		return errors.New("the server switched protocols unasked")
	}
	f.status, f.keep = n, proto == "HTTP/1.1"
	return nil
}
