package record

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"time"
)

// entry is one line of a journal: what the proxy itself says, which no rule may change, and then what agent and server said.
type entry struct {
	clear entryClear
	said  entrySaid

	credentials []string
	done        chan struct{} // closed once it is written
}

type entryClear struct {
	ID         int       `json:"id"`  // in the order in which the requests came
	API        string    `json:"api"` // "chat", "messages" or "responses"
	Status     int       `json:"status"`
	Arrived    time.Time `json:"arrived"`
	First      time.Time `json:"first_output,omitzero"` // streams only
	Ended      time.Time `json:"ended,omitzero"`
	UsageAdded bool      `json:"usage_added,omitempty"` // the upstream was asked for usage, the agent had not
}

type entrySaid struct {
	Path       string          `json:"path"` // without the query
	Model      string          `json:"answer_model,omitempty"`
	ResponseID string          `json:"response_id,omitempty"`
	Finish     string          `json:"finish,omitempty"`
	Usage      map[string]any  `json:"usage,omitempty"`
	Problem    string          `json:"problem,omitempty"` // why the exchange is not complete
	Body       json.RawMessage `json:"body,omitempty"`    // of the request
	Answer     any             `json:"answer,omitempty"`
}

// headerClear and headerSaid are the first line of a journal.
type headerClear struct {
	Version int       `json:"agentwatt_journal"`
	Began   time.Time `json:"began"`
	Rules   []string  `json:"rules"` // of redaction, by name
}

type headerSaid struct {
	Upstream string `json:"upstream"`
}

// Journal is a file of exchanges, one per line. One goroutine redacts and writes them, in the order in which they ended.
type Journal struct {
	file    *os.File
	redact  *Redactor
	log     *slog.Logger
	entries chan entry
	ended   chan struct{}
	written int
	err     error // the first one; nothing is written after it
}

// JournalOptions say what a journal is of. Upstream must be set.
type JournalOptions struct {
	Upstream *url.URL
	Rules    Rules
	Replace  bool         // an existing file
	Log      *slog.Logger // for what goes wrong; nil: nowhere
}

// CreateJournal makes a journal that only its owner may read. An existing file is an error that wraps fs.ErrExist, unless it is
// to be replaced.
func CreateJournal(path string, o JournalOptions) (*Journal, error) {
	redact, err := NewRedactor(o.Rules)
	if err != nil {
		return nil, err
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Replace {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("replace the journal: %w", err)
		}
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("create the journal: %w", err)
	}
	j := &Journal{file: file, redact: redact, log: o.Log, entries: make(chan entry), ended: make(chan struct{})}
	h := headerClear{Version: 1, Began: time.Now().UTC()}
	for _, r := range redact.rules {
		h.Rules = append(h.Rules, r.name)
	}
	if err := errors.Join(j.write(h, headerSaid{o.Upstream.Redacted()}), syncDir(filepath.Dir(path))); err != nil {
		file.Close()
		return nil, err
	}
	go j.run()
	return j, nil
}

// syncDir makes a new file survive a crash of the machine.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// add returns when the entry is on the disk. It must not be called after Close.
func (j *Journal) add(e entry) {
	e.done = make(chan struct{})
	j.entries <- e
	<-e.done
}

// run writes entries until there are no more.
func (j *Journal) run() {
	defer close(j.ended)
	for e := range j.entries {
		j.take(e)
		close(e.done)
	}
}

func (j *Journal) take(e entry) {
	for _, secret := range e.credentials {
		j.redact.Hide(secret)
	}
	if j.err != nil {
		return
	}
	if j.err = j.write(e.clear, e.said); j.err != nil {
		j.log.Error("nothing is recorded from now on", "err", j.err)
		return
	}
	j.written++
}

// write appends one line: an object with the fields of both, of which those of said are redacted.
func (j *Journal) write(clear, said any) error {
	line, err := encode(clear)
	if err != nil {
		return err
	}
	rest, err := encode(said)
	if err != nil {
		return err
	}
	safe, err := j.redact.JSON(rest)
	if err == nil {
		line = append(append(line[:len(line)-1], ','), safe[1:]...)
		_, err = j.file.Write(append(line, '\n'))
	}
	if err == nil {
		err = j.file.Sync()
	}
	if err != nil {
		return fmt.Errorf("write the journal: %w", err)
	}
	return nil
}

// encode encodes an object; strings in it that are JSON already keep their bytes.
func encode(v any) ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("encode a line of the journal: %w", err)
	}
	return bytes.TrimSuffix(out.Bytes(), []byte{'\n'}), nil
}

// Close waits until everything is written. It returns how many exchanges are, and the first error.
func (j *Journal) Close() (written int, err error) {
	close(j.entries)
	<-j.ended
	return j.written, errors.Join(j.err, j.file.Close())
}

// Count is what one rule redacted in a journal.
type Count struct {
	Secrets int // different ones
	Places  int // where they were; what a request repeats of the one before counts again
}

// Redacted counts the placeholders in a journal by rule.
func Redacted(path string) (map[string]Count, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("count what was redacted: %w", err)
	}
	defer file.Close()
	counts := map[string]Count{}
	seen := map[string]bool{}
	in := bufio.NewReader(file)
	for {
		line, err := in.ReadBytes('\n')
		for _, m := range placeholder.FindAllSubmatch(line, -1) {
			n := counts[string(m[1])]
			n.Places++
			if !seen[string(m[0])] {
				seen[string(m[0])] = true
				n.Secrets++
			}
			counts[string(m[1])] = n
		}
		if errors.Is(err, io.EOF) {
			return counts, nil
		}
		if err != nil {
			return nil, fmt.Errorf("count what was redacted: %w", err)
		}
	}
}
