package ipmi

import (
	"errors"
	"fmt"
	"math"

	"agentwatt/shared/power"
)

// sensor is a sensor in watts: what its record says of it, IPMI 2.0, table 43-1, full sensor record.
type sensor struct {
	number, lun byte
	entity      byte // what it belongs to, table 43-13
	direction   byte // 1: input, 2: output, 0: not told
	name        string
	line        line
}

// Offsets into a full sensor record, from its first byte.
const (
	recordFull    = 0x01
	recordHeader  = 5
	leastRecord   = 48 // without a name
	ownerBMC      = 0x20
	unitWatts     = 6
	linearised    = 0
	thresholdType = 0x01
)

// errOther is a record that is no sensor in watts: nothing to speak of.
var errOther = errors.New("not a sensor in watts")

// parseSensor decodes a whole record. errOther says that it is of no interest; any other error, that it is a power sensor
// that cannot be read.
func parseSensor(b []byte) (sensor, error) {
	if len(b) < leastRecord || b[3] != recordFull || b[21] != unitWatts || b[13] != thresholdType {
		return sensor{}, errOther
	}
	s := sensor{
		number: b[7], lun: b[6] & 3, entity: b[8], direction: b[28] & 3,
		name: text(b[47]>>6, b[48:min(48+int(b[47]&0x1f), len(b))]),
	}
	if s.name == "" {
		s.name = fmt.Sprintf("sensor %02x", s.number)
	}
	if b[5] != ownerBMC {
		return s, fmt.Errorf("it belongs to another controller, %02x", b[5])
	}
	if b[20]&0x3f != 0 || b[22] != 0 {
		return s, fmt.Errorf("it is in a unit made from watts: %02x, modified by %d", b[20], b[22])
	}
	if b[23]&0x7f != linearised {
		return s, fmt.Errorf("it is not linear: function %d", b[23]&0x7f)
	}
	var err error
	s.line, err = newLine(factors{
		m: signed(uint(b[24])|uint(b[25])>>6<<8, 10), b: signed(uint(b[26])|uint(b[27])>>6<<8, 10),
		result: int(signed(uint(b[29]>>4), 4)), offset: int(signed(uint(b[29]&0xf), 4)), format: b[20] >> 6,
	})
	return s, err
}

// signed reads the lowest bits of v as a number in two's complement.
func signed(v uint, bits uint) int64 {
	return int64(v<<(64-bits)) >> (64 - bits)
}

// factors are those of IPMI 2.0, 36.3: value = (m x + b 10^offset) 10^result.
type factors struct {
	m, b           int64 // 10 bits, signed
	result, offset int   // 4 bits, signed
	format         byte  // of x: 0 unsigned, 1 one's complement, 2 two's complement, 3 none
}

// line turns the byte that a sensor reads into an exact integer count.
//
// Where b is a whole number of steps of m, and so wherever it is 0, a count is one step of the sensor: Scale is its
// quantisation. Elsewhere no integer with that step is exact, so a count is the greatest common divisor of both terms,
// which is finer than the sensor; step then still says how coarse the sensor is.
type line struct {
	format   byte
	mul, add int64       // count = mul x + add
	scale    power.Scale // of one count, in microwatts
	step     float64     // watts per step of x
}

// mostWatts is more than anything with one BMC draws. A record that reaches beyond it is damaged.
const mostWatts = 10e6

func newLine(f factors) (line, error) {
	switch {
	case f.format > 2:
		return line{}, errors.New("it has no analogue reading")
	case f.m <= 0:
		return line{}, fmt.Errorf("its factor is %d", f.m)
	}
	m, b, exponent := f.m, f.b, f.result+6 // microwatts
	if b == 0 {
		f.offset = 0
	}
	if f.offset < 0 {
		m *= pow10(-f.offset)
		exponent += f.offset
	} else {
		b *= pow10(f.offset)
	}
	unit := gcd(m, b)
	l := line{format: f.format, mul: m / unit, add: b / unit, scale: power.Scale{Num: unit, Den: 1}}
	l.step = float64(f.m) * math.Pow10(f.result)
	if reach := 255*l.step + math.Abs(float64(f.b))*math.Pow10(f.offset+f.result); reach > mostWatts {
		return line{}, fmt.Errorf("it reaches to %.3g W, which is no power of a computer", reach)
	}
	if exponent < 0 {
		l.scale.Den = pow10(-exponent)
	} else {
		l.scale.Num *= pow10(exponent)
	}
	common := gcd(l.scale.Num, l.scale.Den)
	l.scale.Num, l.scale.Den = l.scale.Num/common, l.scale.Den/common
	return l, nil
}

// count is the reading x as a count.
func (l line) count(x byte) int64 {
	v := int64(x)
	switch {
	case l.format == 1 && x >= 0x80:
		v = -int64(^x)
	case l.format == 2:
		v = int64(int8(x))
	}
	return l.mul*v + l.add
}

func pow10(n int) int64 {
	v := int64(1)
	for range n {
		v *= 10
	}
	return v
}

// gcd is the greatest common divisor, without sign; of a and 0, a.
func gcd(a, b int64) int64 {
	for b != 0 {
		a, b = b, a%b
	}
	return max(a, -a)
}

// Commands of sensors, IPMI 2.0, 35.14.
const (
	netFnSensor      = 0x04
	cmdSensorReading = 0x2d
)

func (s sensor) ask() request {
	return request{netFn: netFnSensor, cmd: cmdSensorReading, lun: s.lun, data: []byte{s.number}}
}

// errOff is a sensor that has no reading now: its part may be absent or off.
var errOff = errors.New("the sensor has no reading")

// parseReading decodes the answer to ask.
func (l line) parseReading(f frame) (int64, error) {
	b, err := f.body(2)
	if err != nil {
		return 0, err
	}
	const scanning, unavailable = 0x40, 0x20
	if b[1]&scanning == 0 || b[1]&unavailable != 0 {
		return 0, errOff
	}
	return l.count(b[0]), nil
}
