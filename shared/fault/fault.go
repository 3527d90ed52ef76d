// Package fault gives errors a hint for the user and a command its exit code. Both programs use it in main only:
//
//	os.Exit(fault.Report(os.Stderr, "meterd", err))
package fault

import (
	"errors"
	"fmt"
	"io"
)

// Exit codes of both programs.
const (
	Done    = 0 // did what was asked
	Failure = 1 // could not
	Usage   = 2 // asked wrongly: flags, configuration, input files
	Invalid = 3 // measured, but the measurement does not count
)

type hinted struct {
	error
	hint string
}

func (h hinted) Unwrap() error { return h.error }

type coded struct {
	error
	code int
}

func (c coded) Unwrap() error { return c.error }

// Hint adds a line that tells the user what to do about err; nil stays nil.
func Hint(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return hinted{err, fmt.Sprintf(format, args...)}
}

// Advice returns the outermost hint of err; empty if it has none.
func Advice(err error) string {
	var h hinted
	if errors.As(err, &h) {
		return h.hint
	}
	return ""
}

// Misuse marks err as the caller's mistake (exit code 2); nil stays nil.
func Misuse(err error) error { return code(err, Usage) }

// NotCounted marks err as a measurement that took place and is invalid (exit code 3); nil stays nil.
func NotCounted(err error) error { return code(err, Invalid) }

func code(err error, c int) error {
	if err == nil {
		return nil
	}
	return coded{err, c}
}

// Code returns the exit code for err: Done for nil, Failure if nothing says otherwise.
func Code(err error) int {
	var c coded
	switch {
	case err == nil:
		return Done
	case errors.As(err, &c):
		return c.code
	}
	return Failure
}

// Report prints err as "program: error" and its hint, if any, as "program: hint: ...", and returns the exit code.
func Report(w io.Writer, program string, err error) int {
	if err != nil {
		fmt.Fprintf(w, "%s: %v\n", program, err)
		if advice := Advice(err); advice != "" {
			fmt.Fprintf(w, "%s: hint: %s\n", program, advice)
		}
	}
	return Code(err)
}
