package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"agentwatt/shared/settings"
)

// The scalars of the configuration. Each reads its own node, so that a bad value is reported where it stands.

// text returns the scalar of a node as it was written.
func text(n ast.Node) string { return n.GetToken().Value }

// span is a positive duration, written 100ms or 1s.
type span time.Duration

// UnmarshalYAML reads a duration.
func (s *span) UnmarshalYAML(n ast.Node) error {
	d, err := time.ParseDuration(text(n))
	if err != nil || d <= 0 {
		return settings.At(n, fmt.Errorf("%q is not a positive duration such as 100ms or 1s", text(n)))
	}
	*s = span(d)
	return nil
}

// mode says whether a source is used.
type mode string

const (
	auto mode = "auto"  // if it is there
	on   mode = "true"  // it must be there
	off  mode = "false" // never
)

// UnmarshalYAML reads auto, true or false.
func (m *mode) UnmarshalYAML(n ast.Node) error {
	switch v := mode(text(n)); v {
	case auto, on, off:
		*m = v
		return nil
	}
	return settings.At(n, fmt.Errorf("%q is not one of auto, true, false", text(n)))
}

// profile is a set of defaults.
type profile string

const (
	normal profile = "normal"
	quiet  profile = "quiet"
)

// Set reads the value of a flag.
func (p *profile) Set(s string) error {
	switch v := profile(s); v {
	case normal, quiet:
		*p = v
		return nil
	}
	return fmt.Errorf("%q is not one of normal, quiet", s)
}

func (p *profile) String() string { return string(*p) }

// Type is what the help calls the value of a flag.
func (p *profile) Type() string { return "profile" }

// UnmarshalYAML reads normal or quiet.
func (p *profile) UnmarshalYAML(n ast.Node) error { return settings.At(n, p.Set(text(n))) }

// size is a number of bytes, written 8GiB, 500MB or 1048576.
type size int64

// UnmarshalYAML reads a size.
func (s *size) UnmarshalYAML(n ast.Node) error {
	v, err := parseSize(text(n))
	if err != nil {
		return settings.At(n, err)
	}
	*s = v
	return nil
}

func parseSize(s string) (size, error) {
	units := []struct {
		suffix string
		bytes  int64
	}{
		{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40},
		{"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"B", 1}, {"", 1},
	}
	for _, u := range units {
		digits, ok := strings.CutSuffix(s, u.suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 64)
		if err != nil || n <= 0 || n > (1<<62)/u.bytes {
			break
		}
		return size(n * u.bytes), nil
	}
	return 0, fmt.Errorf("%q is not a size such as 500MB or 8GiB", s)
}
