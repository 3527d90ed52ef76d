package record

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/klauspost/compress/zstd"
)

// Limits on what is kept of one exchange. A request with a context of a million tokens has about 5 MB; images make larger ones.
const (
	mostRequest = 32 << 20 // bytes; longer requests are refused, since they could not be recorded
	mostAnswer  = 16 << 20 // bytes; longer answers are forwarded and not recorded
)

// exchange is a request and its answer, while they are under way.
type exchange struct {
	proxy       *Proxy
	number      int
	api, path   string
	credentials []string
	body        []byte // of the request, as the agent meant it: decompressed
	asked       bool   // for usage, on the agent's behalf
	problem     string // why the exchange is not complete; empty: as far as is known it is

	arrived, ended time.Time // ended: when the last bytes of the answer came
	status         int       // of the answer; 0: none came
	stream         bool
	encoding       string // of the answer
	answer         []byte
	stamps         []stamp
	tooLong        bool
	complete       bool // the answer came to its end
}

// stamp says that the first so many bytes of an answer were there at a time.
type stamp struct {
	bytes int
	at    time.Time
}

type exchangeKey struct{}

// httpError is an error with the status that the agent gets.
type httpError struct {
	error
	status int
}

// writeError answers as the APIs do.
func writeError(w http.ResponseWriter, status int, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	detail := map[string]any{"message": message, "type": "proxy_error", "code": strconv.Itoa(status)}
	_ = json.NewEncoder(w).Encode(map[string]any{"type": "error", "error": detail}) // the agent may have gone
}

// read reads the body of a request, and makes it the body that is forwarded.
func (x *exchange) read(w http.ResponseWriter, r *http.Request) *httpError {
	sent, err := io.ReadAll(http.MaxBytesReader(w, r.Body, mostRequest))
	var tooLong *http.MaxBytesError
	switch {
	case errors.As(err, &tooLong):
		return &httpError{fmt.Errorf("runner record: the request is longer than the limit of %d bytes", mostRequest), http.StatusRequestEntityTooLarge}
	case err != nil:
		return &httpError{fmt.Errorf("runner record: reading the request: %w", err), http.StatusBadRequest}
	}
	x.body = sent
	if encoding := r.Header.Get("Content-Encoding"); encoding != "" {
		x.body, err = decompress(encoding, sent, mostRequest)
	} else if x.api == "chat" && !x.proxy.options.AsSent {
		var changed []byte
		if changed, x.asked = askUsage(sent); x.asked {
			sent = changed
		}
	}
	switch {
	case err != nil:
		x.body, x.problem = nil, fmt.Sprintf("the request cannot be decompressed: %v", err)
	case !utf8.Valid(x.body) || !json.Valid(x.body):
		x.body, x.problem = nil, "the request is not JSON in UTF-8"
	}
	r.Body = io.NopCloser(bytes.NewReader(sent))
	r.ContentLength = int64(len(sent))
	r.Header.Set("Content-Length", strconv.Itoa(len(sent)))
	r.TransferEncoding = nil
	return nil
}

// decompress decodes a body.
func decompress(encoding string, body []byte, most int64) ([]byte, error) {
	var in io.Reader
	switch strings.ToLower(strings.TrimSpace(encoding)) {
	case "identity":
		return body, nil
	case "gzip", "x-gzip":
		z, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			return nil, err
		}
		in = z
	case "zstd":
		z, err := zstd.NewReader(bytes.NewReader(body), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(uint64(2*most)))
		if err != nil {
			return nil, err
		}
		defer z.Close()
		in = z
	default:
		return nil, fmt.Errorf("unknown encoding %.40q", encoding)
	}
	out, err := io.ReadAll(io.LimitReader(in, most+1))
	if err == nil && int64(len(out)) > most {
		err = fmt.Errorf("longer than the limit of %d bytes", most)
	}
	return out, err
}

// askUsage returns a request that also asks for the token counts of a stream, and whether that is a change.
func askUsage(body []byte) ([]byte, bool) {
	var head struct {
		Stream  bool            `json:"stream"`
		Options json.RawMessage `json:"stream_options"`
	}
	if json.Unmarshal(body, &head) != nil || !head.Stream {
		return nil, false
	}
	if len(head.Options) == 0 {
		begin := bytes.IndexByte(body, '{') + 1
		const option = `"stream_options":{"include_usage":true},`
		return bytes.Join([][]byte{body[:begin], []byte(option), body[begin:]}, nil), true
	}
	options := map[string]json.RawMessage{} // also where it is null
	if json.Unmarshal(head.Options, &options) != nil || string(options["include_usage"]) == "true" {
		return nil, false
	}
	if options == nil {
		options = map[string]json.RawMessage{}
	}
	options["include_usage"] = json.RawMessage("true")
	changed, err := json.Marshal(options)
	begin, end := memberAt(body, "stream_options")
	if err != nil || end == 0 {
		return nil, false
	}
	return bytes.Join([][]byte{body[:begin], changed, body[end:]}, nil), true
}

// memberAt returns where the value of a key of an object is; 0, 0: nowhere.
func memberAt(body []byte, key string) (begin, end int) {
	dec := json.NewDecoder(bytes.NewReader(body))
	if _, err := dec.Token(); err != nil {
		return 0, 0
	}
	for dec.More() {
		name, err := dec.Token()
		var value json.RawMessage
		if err != nil || dec.Decode(&value) != nil {
			return 0, 0
		}
		if name == key {
			end = int(dec.InputOffset())
			return end - len(value), end
		}
	}
	return 0, 0
}

// finish writes the exchange down. It is called before the end of the answer is passed on, so an agent that has seen that end
// can rely on the journal; its last event it has already.
func (x *exchange) finish() {
	e := entry{
		clear:       entryClear{ID: x.number, API: x.api, Status: x.status, Arrived: x.arrived, Ended: x.ended, UsageAdded: x.asked},
		said:        entrySaid{Path: x.path, Body: x.body, Problem: x.problem},
		credentials: x.credentials,
	}
	x.conclude(&e)
	x.proxy.journal.add(e)
}

// conclude reads the answer.
func (x *exchange) conclude(e *entry) {
	if x.status < 200 || x.status > 299 {
		return
	}
	body, problem := x.answer, ""
	if x.encoding != "" {
		var err error
		if body, err = decompress(x.encoding, body, mostAnswer); err != nil {
			problem = fmt.Sprintf("the answer cannot be decompressed: %v", err)
		}
	}
	if x.tooLong {
		problem = fmt.Sprintf("the answer is longer than the limit of %d bytes", mostAnswer)
	}
	a := assemble(x.api, x.stream, body)
	if !x.stream && !x.complete { // the end of a stream is in it: some agents hang up there
		a.problem = problemBroken
	}
	for _, p := range []string{problem, a.problem} {
		if e.said.Problem == "" {
			e.said.Problem = p
		}
	}
	e.said.Model, e.said.ResponseID, e.said.Finish, e.said.Usage, e.said.Answer = a.model, a.id, a.finish, a.usage, a.message
	if i := slices.IndexFunc(x.stamps, func(s stamp) bool { return s.bytes >= a.first }); i >= 0 && a.first > 0 && x.encoding == "" {
		e.clear.First = x.stamps[i].at
	}
}
