package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"time"

	"agentwatt/meterd/internal/influx"
	"agentwatt/meterd/internal/secret"
	"agentwatt/shared/bus"
	"agentwatt/shared/fault"
)

// influxConf says which InfluxDB gets the readings.
type influxConf struct {
	URL       string `yaml:"url"`
	Org       string `yaml:"org"`
	Bucket    string `yaml:"bucket"`
	TokenFile string `yaml:"token_file"`
	CAFile    string `yaml:"ca_file"`
	Batch     int    `yaml:"batch"`
	Flush     span   `yaml:"flush"`
}

const (
	influxCursor    = "influx" // name of the place in the stream
	mostInfluxBatch = 100_000
	mostInfluxFlush = time.Minute
)

func (i influxConf) check() error {
	switch {
	case i.Batch < 1 || i.Batch > mostInfluxBatch:
		return fmt.Errorf("influx.batch: %d is not between 1 and %d points", i.Batch, mostInfluxBatch)
	case time.Duration(i.Flush) > mostInfluxFlush:
		return fmt.Errorf("influx.flush: %v is more than %v", time.Duration(i.Flush), mostInfluxFlush)
	case i.URL != "":
		return i.checkTarget()
	case i.Org != "" || i.Bucket != "" || i.TokenFile != "" || i.CAFile != "":
		return fault.Hint(errors.New("influx: there are settings, but no influx.url"), "influx.url: https://influx.example:8086, or leave the section out")
	}
	return nil
}

// checkTarget finds what is missing to write, and a token that others could read on its way.
func (i influxConf) checkTarget() error {
	u, err := url.Parse(i.URL)
	switch {
	case err != nil:
		return fmt.Errorf("influx.url: %w", errors.Unwrap(err)) // without the address: it may hold a password
	case u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return fault.Hint(fmt.Errorf("influx.url: %q is not the address of an InfluxDB", u.Redacted()), "https://influx.example:8086, or http://127.0.0.1:8086 on this host")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return fault.Hint(errors.New("influx.url: a user, a query or a fragment does not belong there"), "put the token into influx.token_file, and org and bucket into their own settings")
	case i.Bucket == "" || i.Org == "":
		return fault.Hint(errors.New("influx: influx.url needs influx.org and influx.bucket"), "influx org list and influx bucket list show them; a server before 2.0 takes any org, and DATABASE/RETENTION as the bucket")
	case u.Scheme == "http" && i.CAFile != "":
		return fault.Hint(errors.New("influx.ca_file: influx.url is http, which has no certificates"), "https:// in influx.url")
	case u.Scheme == "http" && i.TokenFile != "" && !loopback(u.Hostname()):
		err := fmt.Errorf("influx.url: the token would go to %s for everybody on the way to read", u.Host)
		return fault.Hint(err, "https:// in influx.url, with influx.ca_file where an authority of your own signed the certificate")
	}
	return nil
}

// startInflux forwards the store's readings until ctx ends; wait then returns when that has stopped. Without influx.url there is
// no sink and nothing runs. What cannot be used, such as a token that cannot be read, is an error; a server that is away is not.
func startInflux(ctx context.Context, conf influxConf, host string, server *bus.Server, log *slog.Logger) (sink *influx.Sink, wait func(), err error) {
	if conf.URL == "" {
		return nil, func() {}, nil
	}
	options, err := conf.options(host, log)
	if err != nil {
		return nil, nil, err
	}
	cursor, err := server.Cursor(ctx, bus.Power, influxCursor)
	if err != nil {
		return nil, nil, fmt.Errorf("open the place in the store for InfluxDB: %w", err)
	}
	if sink, err = influx.New(options, cursor); err != nil {
		return nil, nil, fmt.Errorf("forward to InfluxDB at %s: %w", conf.URL, err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		sink.Run(ctx)
	}()
	log.Info("forwarding to InfluxDB", "url", conf.URL, "bucket", conf.Bucket)
	return sink, func() { <-done }, nil
}

// options reads the files that the section names. The configuration was checked before.
func (i influxConf) options(host string, log *slog.Logger) (influx.Options, error) {
	u, err := url.Parse(i.URL)
	if err != nil {
		return influx.Options{}, fmt.Errorf("influx.url: %w", errors.Unwrap(err))
	}
	o := influx.Options{
		URL: i.URL, Org: i.Org, Bucket: i.Bucket, Compress: !loopback(u.Hostname()),
		Batch: i.Batch, Flush: time.Duration(i.Flush), Host: host, Log: log,
	}
	if i.TokenFile != "" {
		o.Token = func() (string, error) { return secret.Read(i.TokenFile) }
	}
	if i.CAFile != "" {
		pem, err := os.ReadFile(i.CAFile)
		if err != nil {
			return influx.Options{}, fmt.Errorf("influx.ca_file: %w", err)
		}
		o.CAs = x509.NewCertPool()
		if !o.CAs.AppendCertsFromPEM(pem) {
			return influx.Options{}, fault.Hint(fmt.Errorf("influx.ca_file: %s has no certificate", i.CAFile), "it must hold PEM, with BEGIN CERTIFICATE")
		}
	}
	return o, nil
}
