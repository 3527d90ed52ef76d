package endpoint

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"agentwatt/runner/internal/trajectory"
)

const userAgent = "agentwatt-runner"

// request is one request as slices that are written with a single writev. It aliases the trajectory: history is
// never copied here, so the cost of a turn does not grow with it.
type request struct {
	bufs [][]byte
	body int // bytes of the body among them
}

// bodyHead returns the fields of the body that all requests share.
func bodyHead(o Options) ([]byte, error) {
	model, err := json.Marshal(o.Model)
	if err != nil {
		return nil, fmt.Errorf("model name %q: %w", o.Model, err)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, `"model":%s,"stream":true,"stream_options":{"include_usage":true`, model)
	if o.Continuous {
		b.WriteString(`,"continuous_usage_stats":true`)
	}
	b.WriteByte('}')
	fields, err := samplingFields(o.Sampling)
	if err != nil {
		return nil, err
	}
	if len(fields) > 0 {
		b.WriteByte(',')
		b.Write(fields)
	}
	return b.Bytes(), nil
}

// samplingFields returns the object's members without its braces, compacted. Members that the client sets itself are refused.
func samplingFields(raw json.RawMessage) ([]byte, error) {
	if len(bytes.TrimSpace(raw)) == 0 {
		return nil, nil
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(raw, &members); err != nil {
		return nil, fmt.Errorf("sampling is not a JSON object: %w", err)
	}
	reserved := []string{"model", "messages", "stream", "stream_options", "tools", "n",
		"max_tokens", "max_completion_tokens", "min_tokens", "ignore_eos"}
	for name := range members {
		if slices.Contains(reserved, name) {
			return nil, fmt.Errorf("sampling field %q is set by the runner itself", name)
		}
	}
	if len(members) == 0 {
		return nil, nil
	}
	var b bytes.Buffer
	if err := json.Compact(&b, raw); err != nil {
		return nil, fmt.Errorf("sampling: %w", err)
	}
	return b.Bytes()[1 : b.Len()-1], nil
}

// headerLines returns the header lines that all requests share, each with its line end.
func headerLines(o Options, u *url.URL) (string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "Host: %s\r\nUser-Agent: %s\r\nAccept: text/event-stream, application/json\r\nAccept-Encoding: identity\r\n", u.Host, userAgent)
	own := []string{"host", "user-agent", "accept", "accept-encoding", "content-type", "content-length",
		"transfer-encoding", "connection", "expect"}
	if o.Key != "" {
		if !headerValue(o.Key) {
			return "", errors.New("the key has characters that no header can carry")
		}
		fmt.Fprintf(&b, "Authorization: Bearer %s\r\n", o.Key)
		own = append(own, "authorization")
	}
	names := make([]string, 0, len(o.Headers))
	for name := range o.Headers {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		switch {
		case !headerName(name) || !headerValue(o.Headers[name]):
			return "", fmt.Errorf("header %q: name or value has characters that no header can carry", name)
		case slices.Contains(own, strings.ToLower(name)):
			return "", fmt.Errorf("header %q is set by the runner itself", name)
		}
		fmt.Fprintf(&b, "%s: %s\r\n", name, o.Headers[name])
	}
	if o.SessionHeader != "" && (!headerName(o.SessionHeader) || slices.Contains(own, strings.ToLower(o.SessionHeader))) {
		return "", fmt.Errorf("session header %q: not a header name that is free", o.SessionHeader)
	}
	return b.String(), nil
}

func headerName(s string) bool {
	return s != "" && strings.IndexFunc(s, func(r rune) bool {
		alnum := r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		return !alnum && !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
	}) < 0
}

func headerValue(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) < 0
}

// chat lays out the request of one turn. dst is the lane's buffer for the bytes that differ between turns; it is reused.
//
// `messages` comes last and the cap first, so that everything between is the same bytes turn after turn.
func (c *Client) chat(dst []byte, play trajectory.Play, turn int, exact bool, limit int) (request, []byte) {
	pieces := play.Pieces(turn)
	tools := play.Turns[turn].Tools

	var scratch [96]byte
	limits := append(scratch[:0], '{', '"')
	limits = append(append(limits, c.opt.CapField...), '"', ':')
	limits = append(strconv.AppendInt(limits, int64(limit), 10), ',')
	if exact {
		limits = append(limits, `"ignore_eos":true,"min_tokens":`...)
		limits = append(strconv.AppendInt(limits, int64(limit), 10), ',')
	}

	bufs := [][]byte{nil, nil, c.head}
	if len(tools) > 0 {
		bufs = append(bufs, []byte(`,"tools":`), tools)
	}
	bufs = append(bufs, []byte(`,"messages":[`), pieces[0], pieces[1], pieces[2], []byte(`]}`))
	body := len(limits)
	for _, b := range bufs {
		body += len(b)
	}

	dst = append(dst[:0], "POST "...)
	dst = append(dst, c.url.EscapedPath()...)
	dst = append(dst, "/chat/completions HTTP/1.1\r\n"...)
	dst = append(dst, c.common...)
	if c.opt.SessionHeader != "" {
		dst = append(append(dst, c.opt.SessionHeader...), ": "...)
		dst = append(append(dst, session(play)...), "\r\n"...)
	}
	dst = append(dst, "Content-Type: application/json\r\nContent-Length: "...)
	dst = append(strconv.AppendInt(dst, int64(body), 10), "\r\n\r\n"...)
	dst = append(dst, limits...)
	bufs[0] = dst
	return request{bufs: bufs, body: body}, dst
}

// get lays out a GET below the base URL.
func (c *Client) get(below string) request {
	return request{bufs: [][]byte{[]byte("GET " + c.url.EscapedPath() + below + " HTTP/1.1\r\n" + c.common + "\r\n")}}
}

// session names a play to a router: the same for all its turns, different for every other play, and without the salt itself.
func session(p trajectory.Play) string {
	sum := sha256.Sum256([]byte(p.ID + "\x00" + p.Salt))
	return hex.EncodeToString(sum[:16])
}
