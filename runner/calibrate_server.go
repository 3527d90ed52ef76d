package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"math/big"
	"net"
	"strings"
	"time"

	"agentwatt/runner/internal/calibrate"
)

// serveCalibration is the server's process. It says its URL and, with TLS, its certificate.
func serveCalibration(ctx context.Context, in io.Reader, out io.Writer, secure bool) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen on loopback: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		io.Copy(io.Discard, in) // ends with the process that started us
		cancel()
	}()
	scheme, certificate := "http", ""
	if secure {
		pair, err := loopbackCertificate()
		if err != nil {
			return err
		}
		l = tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{pair}})
		scheme, certificate = "https", base64.StdEncoding.EncodeToString(pair.Certificate[0])
	}
	if _, err := fmt.Fprintf(out, "%s://%s/v1 %s\n", scheme, l.Addr(), certificate); err != nil {
		return err
	}
	return calibrate.Emit(ctx, l, calibrate.Rate)
}

// loopbackCertificate makes a certificate for 127.0.0.1 that nobody but our parent will trust, for an hour.
func loopbackCertificate() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("make a key: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("make a certificate: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}

// calibrationServer reads what serveCalibration says.
func calibrationServer(line string) (at calibrate.Server, err error) {
	url, certificate, _ := strings.Cut(strings.TrimRight(line, "\n"), " ")
	at.URL = url
	if certificate == "" {
		return at, nil
	}
	der, err := base64.StdEncoding.DecodeString(certificate)
	if err != nil {
		return at, fmt.Errorf("read the certificate of the calibration's server: %w", err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		return at, fmt.Errorf("read the certificate of the calibration's server: %w", err)
	}
	at.TLS = &tls.Config{RootCAs: x509.NewCertPool()}
	at.TLS.RootCAs.AddCert(parsed)
	return at, nil
}
