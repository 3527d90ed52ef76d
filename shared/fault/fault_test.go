package fault

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestReport(t *testing.T) {
	cause := errors.New("open x: no such file")
	for _, c := range []struct {
		name string
		err  error
		code int
		want string
	}{
		{"nothing", nil, Done, ""},
		{"plain", cause, Failure, "p: open x: no such file\n"},
		{"misuse", Misuse(cause), Usage, "p: open x: no such file\n"},
		{"invalid", NotCounted(cause), Invalid, "p: open x: no such file\n"},
		{"hint", Hint(cause, "make %s", "x"), Failure, "p: open x: no such file\np: hint: make x\n"},
		{"hint and code, wrapped", fmt.Errorf("read: %w", Hint(Misuse(cause), "make x")), Usage, "p: read: open x: no such file\np: hint: make x\n"},
		{"joined", errors.Join(cause, Misuse(errors.New("y"))), Usage, "p: open x: no such file\ny\n"},
	} {
		var b strings.Builder
		if got := Report(&b, "p", c.err); got != c.code || b.String() != c.want {
			t.Errorf("%s: code %d, %q, want %d, %q", c.name, got, b.String(), c.code, c.want)
		}
		if c.err != nil && !errors.Is(c.err, cause) {
			t.Errorf("%s: the cause is lost", c.name)
		}
	}
	for _, err := range []error{Hint(nil, "x"), Misuse(nil), NotCounted(nil)} {
		if err != nil {
			t.Errorf("nil became %v", err)
		}
	}
}
