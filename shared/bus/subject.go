package bus

import (
	"fmt"
	"strconv"
	"strings"

	"agentwatt/shared/power"
)

const subjectRoot = "power"

// Subject returns the subject that batches of a source on a host are stored under: power.<host>.<source>. In host and
// source every byte but letters, digits, "-" and "_" is written as "%" and two hexadecimal digits, and an empty one as
// "%", so that any name is one token and can be read back.
func Subject(host, source string) string {
	return subjectRoot + "." + token(host) + "." + token(source)
}

// ParseSubject returns the host and source of a subject that Subject made.
func ParseSubject(subject string) (host, source string, err error) {
	parts := strings.Split(subject, ".")
	if len(parts) != 3 || parts[0] != subjectRoot {
		return "", "", fmt.Errorf("subject %q: not %s.<host>.<source>", subject, subjectRoot)
	}
	if host, err = untoken(parts[1]); err == nil {
		source, err = untoken(parts[2])
	}
	if err != nil {
		return "", "", fmt.Errorf("subject %q: %w", subject, err)
	}
	return host, source, nil
}

// messageID identifies a batch for good, so that publishing it again stores it once.
func messageID(b *power.Batch) string {
	return token(b.Host) + "/" + token(b.Run) + "/" + token(b.Source) + "/" + strconv.FormatUint(b.Seq, 10)
}

func token(s string) string {
	if s == "" {
		return "%"
	}
	var out strings.Builder
	for _, c := range []byte(s) {
		if plain(c) {
			out.WriteByte(c)
		} else {
			fmt.Fprintf(&out, "%%%02X", c)
		}
	}
	return out.String()
}

func untoken(s string) (string, error) {
	if s == "%" {
		return "", nil
	}
	var out []byte
	for i := 0; i < len(s); i++ {
		switch {
		case plain(s[i]):
			out = append(out, s[i])
		case s[i] == '%' && i+3 <= len(s):
			c, err := strconv.ParseUint(s[i+1:i+3], 16, 8)
			if err != nil {
				return "", fmt.Errorf("token %q: bad escape", s)
			}
			out = append(out, byte(c))
			i += 2
		default:
			return "", fmt.Errorf("token %q: unexpected byte %q", s, s[i])
		}
	}
	if len(out) == 0 {
		return "", fmt.Errorf("empty token")
	}
	return string(out), nil
}

func plain(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_'
}
