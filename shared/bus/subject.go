package bus

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"agentwatt/shared/power"
)

const (
	subjectRoot = "power"
	rollupRoot  = "rollup"
	witnessRoot = "witness"
)

// Subject returns the subject that batches of a source on a host are stored under: power.<host>.<source>. In host and
// source every byte but letters, digits, "-" and "_" is written as "%" and two hexadecimal digits, and an empty one as
// "%", so that any name is one token and can be read back.
func Subject(host, source string) string {
	return subjectRoot + "." + token(host) + "." + token(source)
}

// RollupSubject returns the subject that roll-ups of a source on a host are stored under, in one of the streams RollupSecond,
// RollupMinute and RollupHour: rollup.<1s, 1m or 1h>.<host>.<source>, with names written as Subject does.
func RollupSubject(stream, host, source string) string {
	for _, k := range kinds {
		if k.stream == stream {
			return k.root + "." + token(host) + "." + token(source)
		}
	}
	panic("bus: no stream of roll-ups: " + stream) // the caller's constant
}

// witnessSubject is where checkpoints of a stream of a host are stored: witness.<host>.<stream>.
func witnessSubject(host, stream string) string {
	return witnessRoot + "." + token(host) + "." + token(stream)
}

// ParseSubject returns the host and source of a subject that Subject or RollupSubject made, or the host and stream of one of a
// checkpoint.
func ParseSubject(subject string) (host, source string, err error) {
	root, rest, _ := strings.Cut(subject, ".")
	if root == rollupRoot {
		_, rest, _ = strings.Cut(rest, ".")
	}
	parts := strings.Split(rest, ".")
	if len(parts) != 2 || root != subjectRoot && root != witnessRoot && !isRollup(subject) {
		return "", "", fmt.Errorf("subject %q: not %s.<host>.<source>", subject, subjectRoot)
	}
	if host, err = untoken(parts[0]); err == nil {
		source, err = untoken(parts[1])
	}
	if err != nil {
		return "", "", fmt.Errorf("subject %q: %w", subject, err)
	}
	return host, source, nil
}

func isRollup(subject string) bool {
	return slices.ContainsFunc(kinds[:], func(k kind) bool { return strings.HasPrefix(subject, k.root+".") })
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
