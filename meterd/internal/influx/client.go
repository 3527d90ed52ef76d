package influx

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	influxdb2 "github.com/influxdata/influxdb-client-go/v2"
	"github.com/influxdata/influxdb-client-go/v2/api"
	"github.com/klauspost/compress/gzip"

	"agentwatt/shared/fault"
)

const (
	requestLimit = 30 * time.Second // of one request, its answer included
	mostAnswer   = 8 << 10          // bytes of an answer that are read, and of its headers
)

// client sends one request at a time and repeats none: of the library's two ways to write it uses the blocking one, which keeps
// nothing back. The library reads an answer without a limit and lets it overwrite the status, so the transport takes both first.
type client struct {
	library influxdb2.Client
	write   api.WriteAPIBlocking
	wire    *transport
	token   func() (string, error)
}

func newClient(o Options) (*client, error) {
	c := &client{wire: newTransport(o), token: o.Token}
	token, err := c.read()
	if err != nil {
		return nil, err
	}
	options := influxdb2.DefaultOptions().SetHTTPClient(&http.Client{
		Transport:     c.wire,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // the token is for this server
	}).SetPrecision(time.Nanosecond).SetLogLevel(0).SetApplicationName("meterd").SetMaxRetries(0)
	c.library = influxdb2.NewClientWithOptions(o.URL, token, options)
	c.write = c.library.WriteAPIBlocking(o.Org, o.Bucket)
	return c, nil
}

func (c *client) read() (string, error) {
	if c.token == nil {
		return "", nil
	}
	return c.token()
}

// renew reads the token again: it may have been replaced since.
func (c *client) renew() error {
	token, err := c.read()
	if err != nil || token == "" {
		return err
	}
	c.library.HTTPService().SetAuthorization("Token " + token)
	return nil
}

// send writes lines and says what came of it.
func (c *client) send(ctx context.Context, text []byte) outcome {
	limited, cancel := context.WithTimeout(ctx, requestLimit)
	defer cancel()
	c.wire.answer = answer{}
	err := c.write.WriteRecord(limited, string(text))
	if c.wire.answer.status == 0 {
		if err == nil {
			err = errors.New("no answer")
		}
		return outcome{verdict: busy, err: plain(err)}
	}
	return judge(c.wire.answer, time.Now())
}

// plain leaves out what net/http puts in front of an error, the address with its query, and says what may help.
func plain(err error) error {
	if outer := new(url.Error); errors.As(err, &outer) {
		err = outer.Err
	}
	if errors.As(err, new(*tls.CertificateVerificationError)) {
		return fault.Hint(err, "influx.ca_file names the authority that signed the server's certificate")
	}
	return err
}

func (c *client) close() {
	c.library.Close()
	c.wire.base.CloseIdleConnections()
}

// answer is what a server said.
type answer struct {
	status int // 0: nothing
	header http.Header
	text   string
}

// transport is the way to the server.
type transport struct {
	base     *http.Transport
	compress bool
	zip      *gzip.Writer
	zipped   bytes.Buffer
	took     time.Duration // for compressing, since somebody set it to 0
	answer   answer        // to the last request
}

func newTransport(o Options) *transport {
	return &transport{
		base: &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			DialContext:            (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
			TLSClientConfig:        &tls.Config{RootCAs: o.CAs, MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout:    10 * time.Second,
			MaxIdleConnsPerHost:    1,
			IdleConnTimeout:        time.Minute,
			MaxResponseHeaderBytes: mostAnswer,
			DisableCompression:     true,
		},
		compress: o.Compress,
	}
}

// RoundTrip sends a request and takes down the answer.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if t.compress {
		if err := t.shrink(r); err != nil {
			return nil, err
		}
	}
	resp, err := t.base.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, mostAnswer))
	if err != nil && resp.StatusCode/100 == 2 {
		return nil, fmt.Errorf("read the answer: %w", err) // it may have been cut off before the server was done
	}
	t.answer = answer{status: resp.StatusCode, header: resp.Header, text: string(text)}
	resp.Body = io.NopCloser(bytes.NewReader(nil)) // nothing is left for the library
	return resp, nil
}

// shrink compresses the body of a request.
func (t *transport) shrink(r *http.Request) error {
	begin := time.Now()
	defer func() { t.took += time.Since(begin) }()
	t.zipped.Reset()
	if t.zip == nil {
		t.zip, _ = gzip.NewWriterLevel(&t.zipped, gzip.BestSpeed) // the level exists
	} else {
		t.zip.Reset(&t.zipped)
	}
	_, err := io.Copy(t.zip, r.Body)
	r.Body.Close()
	if err := errors.Join(err, t.zip.Close()); err != nil {
		return fmt.Errorf("compress: %w", err)
	}
	r.Header.Set("Content-Encoding", "gzip")
	r.ContentLength = int64(t.zipped.Len())
	r.Body = io.NopCloser(bytes.NewReader(t.zipped.Bytes()))
	r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(t.zipped.Bytes())), nil }
	return nil
}
