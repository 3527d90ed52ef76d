package influx

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"agentwatt/shared/fault"
)

// verdict is what a request's answer means for its lines.
type verdict int

const (
	written  verdict = iota // written
	busy                    // not now: the same again, soon
	closed                  // not before somebody changes something: the same again, slowly
	refused                 // not these lines
	tooLarge                // not so many at once
)

// outcome is the verdict on one request.
type outcome struct {
	verdict verdict
	wait    time.Duration // the server asks for; 0: it does not say
	dropped int           // lines that the server says it left out, having written the others; 0: it does not say
	denied  bool          // the token was refused
	err     error
}

// judge says what an answer means. Only an answer that is about the lines can cost lines: anything that a proxy, another server or
// a wrong setting might say is waited for.
func judge(a answer, now time.Time) outcome {
	o := outcome{wait: retryAfter(a.header.Get("Retry-After"), now)}
	switch a.status {
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		o.verdict, o.dropped = refused, dropped(a.text)
	case http.StatusRequestEntityTooLarge:
		o.verdict = tooLarge
	case http.StatusTooManyRequests, http.StatusRequestTimeout, http.StatusTooEarly:
		o.verdict = busy
	default:
		switch {
		case a.status/100 == 2:
			return outcome{}
		case a.status/100 == 5:
			o.verdict = busy
		default:
			o.verdict = closed
		}
	}
	o.denied = a.status == http.StatusUnauthorized || a.status == http.StatusForbidden
	o.err = advise(a, fmt.Errorf("%d %s%s", a.status, http.StatusText(a.status), reason(a)))
	return o
}

// advise adds what the user can do about an answer.
func advise(a answer, err error) error {
	switch {
	case a.status == http.StatusUnauthorized || a.status == http.StatusForbidden:
		return fault.Hint(err, "influx.token_file must hold a token that may write to influx.bucket; it is read again before each try")
	case a.status == http.StatusNotFound:
		return fault.Hint(err, "make the bucket, or correct influx.url, influx.org and influx.bucket")
	case a.status/100 == 3:
		return fault.Hint(err, "influx.url must be the server itself: redirections are not followed, as the token is for it alone (this one leads to %s)",
			clip(a.header.Get("Location")))
	}
	return err
}

// reason returns what the server says in its answer, in front of it a colon.
func reason(a answer) string {
	var said struct{ Message, Error string }
	text := a.text
	if json.Unmarshal([]byte(a.text), &said) == nil && said.Message+said.Error != "" {
		text = said.Message
		if text == "" {
			text = said.Error
		}
	}
	if text = clip(text); text == "" {
		return ""
	}
	return ": " + text
}

// clip makes a foreign text fit for a log: one line, not too long.
func clip(text string) string {
	const most = 300
	text = strings.Join(strings.Fields(strings.ToValidUTF8(text, "?")), " ")
	if len(text) <= most {
		return text
	}
	for text = text[:most]; !utf8.ValidString(text); {
		text = text[:len(text)-1]
	}
	return text + "..."
}

var droppedCount = regexp.MustCompile(`partial write: .* dropped=(\d{1,9})`)

// dropped returns how many lines a server says that it left out.
func dropped(text string) int {
	m := droppedCount.FindStringSubmatch(strings.ReplaceAll(text, "\n", " "))
	if m == nil {
		return 0
	}
	n, _ := strconv.Atoi(m[1]) // nine digits fit
	return n
}

const longestWait = 10 * time.Minute // a server may ask for more, and is asked again by then

// retryAfter reads the header: seconds, or a date. What makes no sense is 0.
func retryAfter(value string, now time.Time) time.Duration {
	value = strings.TrimSpace(value)
	if value == "" {
		return 0
	}
	if n, err := strconv.ParseUint(value, 10, 64); err == nil {
		return time.Duration(min(n, uint64(longestWait/time.Second))) * time.Second
	}
	t, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	return min(max(t.Sub(now), 0), longestWait)
}
