package ipmi

import (
	"context"
	"fmt"
	"time"

	"github.com/bougou/go-ipmi/pkg/types"
)

// link is a way to a BMC. It is used by one goroutine at a time, and has at most one request in flight.
type link interface {
	// call sends a request and returns the answer, which begins with its completion code. An error means that there was
	// no answer: the link is of no more use, unless ctx was cancelled.
	call(ctx context.Context, r request) (frame, error)
	// guid is the identity that the BMC proved when the link was made; empty if the link does not tell.
	guid() string
	// cipher is the cipher suite in use; 0: none.
	cipher() int
	// close ends the link, and tells a BMC that answers.
	close(answers bool)
}

// request is a command to the BMC.
type request struct {
	netFn, cmd, lun byte
	data            []byte
}

// frame is the answer to a request: completion code and data.
type frame []byte

// Completion codes of IPMI 2.0, table 5-2, that are treated apart.
const (
	codeBusy       code = 0xc0
	codeInvalid    code = 0xc1
	codeInvalidLUN code = 0xc2
	codeTimeout    code = 0xc3
	codeCancelled  code = 0xc5 // reservation
	codeTooLong    code = 0xc8
	codeRange      code = 0xc9
	codeBytes      code = 0xca // that many bytes cannot be returned
	codeAbsent     code = 0xcb
	codeField      code = 0xcc
	codeIllegal    code = 0xcd // for this sensor or record type
	codePrivilege  code = 0xd4
)

// code is a completion code that is not 0: the BMC's way of saying no.
type code byte

func (c code) Error() string {
	return fmt.Sprintf("the BMC answers %02x, %s", byte(c), types.CompletionCode(c))
}

// body returns the data of an answer that says yes and has at least least bytes.
func (f frame) body(least int) ([]byte, error) {
	switch {
	case len(f) == 0:
		return nil, fmt.Errorf("the answer is empty")
	case f[0] != 0:
		return nil, code(f[0])
	case len(f)-1 < least:
		return nil, fmt.Errorf("the answer has %d bytes, want %d", len(f)-1, least)
	}
	return f[1:], nil
}

// deadline is what a connection must offer to be interrupted.
type deadline interface{ SetReadDeadline(time.Time) error }

// interrupt makes reads of d fail as soon as ctx ends, until release is called. Whoever sets a deadline of its own must
// look at ctx.Err() after it.
func interrupt(ctx context.Context, d deadline) (release func()) {
	done := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(done)
		d.SetReadDeadline(time.Unix(1, 0)) // in the past; an error would mean that d is closed
	})
	return func() {
		if !stop() {
			<-done // or it might hit the next request
		}
	}
}
