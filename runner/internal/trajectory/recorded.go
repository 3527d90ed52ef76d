package trajectory

import (
	"fmt"
	"strconv"
	"time"
)

// clock converts seconds since 1970, or a date and time, to a time; zero: it is neither.
func clock(value []byte) time.Time {
	if s, err := text(value); err == nil {
		for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999"} {
			if t, err := time.Parse(layout, s); err == nil {
				return t
			}
		}
		return time.Time{}
	}
	if f, err := strconv.ParseFloat(string(value), 64); err == nil && f > 0 && f < maxUnix {
		return time.UnixMicro(int64(f * 1e6)) // float64 seconds of today hold microseconds, not nanoseconds
	}
	return time.Time{}
}

// maxUnix bounds a time in seconds since 1970: the year 9999.
const maxUnix = 253402300800

// elapsed returns the time from one recorded stamp to another. It is false if one is missing or they cannot be true.
func elapsed(from, to time.Time) (time.Duration, bool) {
	d := to.Sub(from)
	return d, !from.IsZero() && !to.IsZero() && d >= 0 && d.Seconds() <= maxSeconds
}

// usage reads the token counts of an answer, under the names of the chat completions or of the responses API. Null and
// absent counts are 0: not recorded.
func usage(value []byte) (prompt, output int, err error) {
	if value == nil {
		return 0, 0, nil
	}
	ms, err := members(value)
	if err != nil {
		return 0, 0, fmt.Errorf("usage %w", err)
	}
	for _, field := range []struct {
		key string
		to  *int
	}{{"input_tokens", &prompt}, {"prompt_tokens", &prompt}, {"output_tokens", &output}, {"completion_tokens", &output}} {
		if n := find(ms, field.key); n != nil {
			if *field.to, err = count(n); err != nil {
				return 0, 0, fmt.Errorf("%s %w", field.key, err)
			}
		}
	}
	return prompt, output, nil
}

// unixMilli reads a time in milliseconds since 1970.
func unixMilli(value []byte) (time.Time, error) {
	n, err := strconv.ParseInt(string(value), 10, 64)
	if err != nil || n < 0 || n > maxUnix*1000 {
		return time.Time{}, fmt.Errorf("is %.40s, not a time", value)
	}
	return time.UnixMilli(n), nil
}
