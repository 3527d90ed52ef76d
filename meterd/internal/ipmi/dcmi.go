package ipmi

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Commands of DCMI 1.5, chapter 6. Each request and answer begins with the group's number.
const (
	netFnGroup      = 0x2c
	cmdCapabilities = 0x01
	cmdPowerReading = 0x02
	groupDCMI       = 0xdc
)

// askPower asks for the power reading in its plain mode, "system power statistics". The mode with averages over chosen
// periods is not used: a mean that the BMC makes has a window that nobody can check.
var askPower = request{netFn: netFnGroup, cmd: cmdPowerReading, data: []byte{groupDCMI, 0x01, 0x00, 0x00}}

// statistics is a DCMI power reading, DCMI 1.5, table 6-16. Only the present power is a measurement to build on.
type statistics struct {
	watts  int64         // now
	period time.Duration // over which minimum, maximum and average were taken: often since the BMC's last reset
	active bool          // "power measurement active": OpenBMC says no, with a valid reading
}

// errNoValue is an answer that has the right form and yet is not a measurement.
var errNoValue = errors.New("not a value")

// parsePower decodes the answer to askPower.
func parsePower(f frame) (statistics, error) {
	b, err := group(f, 18)
	if err != nil {
		return statistics{}, err
	}
	s := statistics{
		watts:  int64(binary.LittleEndian.Uint16(b[1:])),
		period: time.Duration(binary.LittleEndian.Uint32(b[13:])) * time.Millisecond,
		active: b[17]&0x40 != 0,
	}
	if s.watts == 0xffff {
		return s, fmt.Errorf("all bits of the power are set: %w", errNoValue)
	}
	return s, nil
}

// group returns the data of an answer of the DCMI group, which begins with the group's number.
func group(f frame, least int) ([]byte, error) {
	b, err := f.body(least)
	if err != nil {
		return nil, err
	}
	if len(b) == 0 || b[0] != groupDCMI {
		return nil, fmt.Errorf("the answer is not one of the DCMI group: % x", b[:min(len(b), 4)])
	}
	return b, nil
}

// askCapabilities asks for one parameter of the DCMI capabilities.
func askCapabilities(parameter byte) request {
	return request{netFn: netFnGroup, cmd: cmdCapabilities, data: []byte{groupDCMI, parameter}}
}

// parseCapabilities decodes parameter 1: the version of DCMI, and whether the BMC claims to have power management.
func parseCapabilities(f frame) (version string, power bool, err error) {
	b, err := group(f, 7)
	if err != nil {
		return "", false, err
	}
	return fmt.Sprintf("%d.%d", b[1], b[2]), b[5]&1 != 0, nil
}

// parsePeriods decodes parameter 5, the periods that the BMC averages over, as seconds with commas between.
func parsePeriods(f frame) (string, error) {
	b, err := group(f, 5)
	if err != nil {
		return "", err
	}
	units := [...]int{1, 60, 3600, 86400} // the two highest bits: seconds, minutes, hours, days
	var list []string
	for _, p := range b[5:min(5+int(b[4]), len(b))] {
		list = append(list, strconv.Itoa(int(p&0x3f)*units[p>>6]))
	}
	return strings.Join(list, ","), nil
}
