//go:build !linux || !(amd64 || arm64 || riscv64 || ppc64le || loong64)

package endpoint

import "errors"

const loopsExist = false

// loop is Linux's.
type loop struct{}

func newLoop(*Engine) (*loop, error) { return nil, errors.ErrUnsupported }
func (*loop) run()                   {}
func (*loop) close()                 {}

func newLine(*loop) Caller { return nil }
