package ipmi

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	registry "agentwatt/meterd/internal/sensor"
	"agentwatt/shared/power"
)

// port is where a meter is read.
type port struct {
	sensor *sensor // nil: the DCMI power reading
	whole  bool    // the whole node: 0 W while the host is on is not a value
}

// role is what a sensor in watts measures, as far as its record tells.
type role int

const (
	part   role = iota // of the node, or not known: never a headline
	supply             // the input of one power supply
	whole              // the node
)

// systems are the names that vendors give to the sensor of the whole node, in lower case without anything but letters and
// digits: Dell and Intel "Pwr Consumption", IBM and Lenovo "Sys Power", Supermicro "PW Consumption", HPE "Power Meter",
// OpenBMC "total_power". One whose name is not here is taken for a part: to call a part the whole would
// be an error nobody sees, to call the whole a part only costs a headline.
var systems = []string{"pwrconsumption", "powerconsumption", "pwconsumption", "syspower", "systempower", "syspwr", "systempwr",
	"totalpower", "totpower", "sysinputpower", "powermeter", "nodepower"}

// inputs are names of the input of one power supply: "PSU1 Input Power", "PS2 Power In", "psu0 pin".
var inputs = regexp.MustCompile(`^(ps|psu|powersupply)\d*(ac)?(input|inputpower|inputpwr|powerin|powerinput|pwrin|inpower|pin)\d*$`)

// Values of table 43-13 and of the sensor's direction.
const (
	entitySupply    = 10
	directionInput  = 1
	directionOutput = 2
)

func (s sensor) role() role {
	name := strings.ReplaceAll(slug(s.name), "-", "")
	switch {
	case s.direction == directionOutput:
		return part
	case inputs.MatchString(name), s.entity == entitySupply && s.direction == directionInput:
		return supply
	case s.entity != entitySupply && slices.Contains(systems, name):
		return whole
	}
	return part
}

// plan makes the meters of a node. With dcmi, its power reading is among them. Inputs of power supplies are parts beside
// a meter of the whole node; where there is none they are the node, each a device of its own, so that their sum counts
// every joule once: fromSupplies then says so.
func plan(device string, id identity, dcmi bool, sensors []sensor) (meters []power.Meter, ports []port, fromSupplies bool) {
	add := func(key, field, of string, scope power.Scope, scale power.Scale, p port) {
		m := power.Meter{ID: "ipmi/" + device + "/" + key, Device: of, Name: id.name(), Scope: scope,
			Quantity: power.Held, Scale: scale}
		registry.Find("ipmi", slug(id.maker()), field, "").Describe(&m)
		if p.sensor != nil && p.sensor.line.mul > 1 {
			m.Step = p.sensor.line.mul // one count of the BMC's own is so many of ours
		}
		if m.Accuracy < 0 {
			m.Accuracy, m.AccuracyFrom = assumedAccuracy, power.Assumed
		}
		meters, ports = append(meters, m), append(ports, p)
	}
	if dcmi {
		add("dcmi", "dcmi", device, power.Node, power.Scale{Num: int64(power.Watt), Den: 1}, port{whole: true})
	}
	fromSupplies = !dcmi && !slices.ContainsFunc(sensors, func(s sensor) bool { return s.role() == whole })
	used := map[string]bool{"dcmi": true}
	inputs := 0
	for i := range sensors {
		s := &sensors[i]
		key := slug(s.name)
		if used[key] {
			key = fmt.Sprintf("%s-%02x", key, int(s.lun)<<8|int(s.number))
		}
		used[key] = true
		of, scope := device+"/"+key, power.Component
		switch s.role() {
		case whole:
			of, scope = device, power.Node
		case supply:
			inputs++
			if fromSupplies {
				scope = power.Node
			}
		}
		add(key, "sdr", of, scope, s.line.scale, port{sensor: s, whole: s.role() == whole})
	}
	return meters, ports, fromSupplies && inputs > 0
}

// assumedAccuracy is that of METHOD 6 for a BMC without calibration: no standard asks for more, and no vendor says it.
const assumedAccuracy = 0.05

// slug makes a part of a meter's ID of a name.
func slug(name string) string {
	return strings.Trim(notWord.ReplaceAllString(strings.ToLower(name), "-"), "-")
}

var notWord = regexp.MustCompile(`[^a-z0-9]+`)
