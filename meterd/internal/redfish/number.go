package redfish

import (
	"errors"
	"math"
)

// longestNumber bounds the text of one reading. The longest double that a service prints without loss has 24 characters.
const longestNumber = 64

var (
	errNotNumber = errors.New("not a decimal number")
	errTooBig    = errors.New("too big to count")
)

// count turns a JSON number into an integer count of 10^-decimals, without going through floating point, in which a kWh
// counter loses its last digits. rounded says that the text has digits below one count: the count is then the nearest
// one, half away from zero.
func count(text string, decimals int) (n int64, rounded bool, err error) {
	var room [longestNumber]byte
	mantissa, point, negative, err := scan(text, room[:0])
	if err != nil {
		return 0, false, err
	}
	// The value is 0.mantissa * 10^point, so the digits up to point+decimals are the count.
	whole := point + decimals
	var u uint64
	for i := range max(whole, 0) {
		if i >= len(mantissa) && u == 0 {
			break // zeros after a zero
		}
		var d uint64
		if i < len(mantissa) {
			d = uint64(mantissa[i] - '0')
		}
		if u > (math.MaxInt64-d)/10 {
			return 0, false, errTooBig
		}
		u = u*10 + d
	}
	for i := max(whole, 0); i < len(mantissa); i++ {
		rounded = rounded || mantissa[i] != '0'
	}
	if whole >= 0 && whole < len(mantissa) && mantissa[whole] >= '5' {
		if u == math.MaxInt64 {
			return 0, false, errTooBig
		}
		u++
	}
	n = int64(u)
	if negative {
		n = -n
	}
	return n, rounded, nil
}

// scan splits a JSON number into its digits without leading zeros, and where its point is: the value is
// 0.digits * 10^point. Zero has no digits. They are appended to room.
func scan(text string, room []byte) (digits []byte, point int, negative bool, err error) {
	if len(text) > longestNumber {
		return nil, 0, false, errNotNumber
	}
	s := text
	if s != "" && s[0] == '-' {
		negative, s = true, s[1:]
	}
	whole := leading(s)
	if whole == 0 || whole > 1 && s[0] == '0' {
		return nil, 0, false, errNotNumber
	}
	digits, s = append(room, s[:whole]...), s[whole:]
	if s != "" && s[0] == '.' {
		n := leading(s[1:])
		if n == 0 {
			return nil, 0, false, errNotNumber
		}
		digits, s = append(digits, s[1:1+n]...), s[1+n:]
	}
	exponent, ok := exponent(s)
	if !ok {
		return nil, 0, false, errNotNumber
	}
	point = whole + exponent
	for len(digits) > 0 && digits[0] == '0' {
		digits, point = digits[1:], point-1
	}
	return digits, point, negative, nil
}

// exponent reads the rest of a number: nothing, or e and an integer. One of more than 4 digits is cut there: either way it
// is out of every range.
func exponent(s string) (n int, ok bool) {
	if s == "" {
		return 0, true
	}
	if s[0] != 'e' && s[0] != 'E' {
		return 0, false
	}
	s = s[1:]
	sign := 1
	if s != "" && (s[0] == '+' || s[0] == '-') {
		if s[0] == '-' {
			sign = -1
		}
		s = s[1:]
	}
	if s == "" || leading(s) != len(s) {
		return 0, false
	}
	for i := range len(s) {
		n = min(n*10+int(s[i]-'0'), 9999)
	}
	return sign * n, true
}

// leading is the number of decimal digits that s begins with.
func leading(s string) int {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return i
		}
	}
	return len(s)
}

// fraction is the number of decimals that a reading shows, e.g. 1 for 897.4: how fine the device tells it.
func fraction(text string) int {
	var room [longestNumber]byte
	digits, point, _, err := scan(text, room[:0])
	if err != nil || len(digits) == 0 {
		return 0
	}
	for len(digits) > 0 && digits[len(digits)-1] == '0' {
		digits = digits[:len(digits)-1]
	}
	return max(len(digits)-point, 0)
}
