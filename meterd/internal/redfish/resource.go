package redfish

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
)

// resource is everything that a poll looks for in a document, whatever its type: metrics, circuits, outlets, sensors and
// the older Power all fit.
type resource struct {
	PowerWatts          excerpt
	EnergykWh           excerpt
	EnergyJoules        excerpt
	InputPowerWatts     excerpt
	OutputPowerWatts    excerpt
	RailPowerWatts      []excerpt
	PolyPhasePowerWatts phases
	PowerControl        []control

	sensor // where the document is a Sensor
}

// excerpt is the part of a Sensor that other documents repeat.
type excerpt struct {
	Present       bool `json:"-"` // the document has this property, be it null
	Reading       number
	DataSourceUri text
	ApparentVA    number
	PowerFactor   number
}

// sensor is what a Sensor says beyond an excerpt.
type sensor struct {
	Reading           number
	ReadingTime       text
	ReadingType       text
	ReadingUnits      text
	ReadingRangeMax   number
	ReadingAccuracy   number // in units of the reading
	Accuracy          number // in percent; before Sensor 1.8
	Precision         number
	SensingInterval   text
	AveragingInterval text // of AverageReading, which is not what is read here
	CalibrationTime   text
	Implementation    text
	ApparentVA        number
	PowerFactor       number
}

type control struct {
	Name               text
	PowerConsumedWatts number
}

// phases are the readings between lines, or line and neutral.
type phases struct {
	Line1ToLine2, Line2ToLine3, Line3ToLine1       excerpt
	Line1ToNeutral, Line2ToNeutral, Line3ToNeutral excerpt
}

// decode reads a document. A property of the wrong type is as if it were not there, as vendors get single ones wrong;
// what is not JSON, or not an object, is an error.
func decode(b []byte) (*resource, error) {
	var r resource
	if err := unmarshal(b, &r); err != nil {
		return nil, err
	}
	return &r, nil
}

func unmarshal(b []byte, v any) error {
	if first(b) != '{' {
		return errors.New("not a JSON object")
	}
	var wrong *json.UnmarshalTypeError
	if err := json.Unmarshal(b, v); err != nil && !errors.As(err, &wrong) {
		return fmt.Errorf("not JSON: %w", err)
	}
	return nil
}

// first is the first byte of b that is not white space; 0 if there is none.
func first(b []byte) byte {
	for _, c := range b {
		if c != ' ' && c != '\t' && c != '\r' && c != '\n' {
			return c
		}
	}
	return 0
}

// number is a decimal number as it was written, so that no digit is lost.
type number struct {
	present bool   // the property is there, be it null
	text    string // empty: null, or nothing that could be a number
}

// UnmarshalJSON takes a number, also one in quotes. It never fails.
func (n *number) UnmarshalJSON(b []byte) error {
	n.present, n.text = true, ""
	if len(b) > 1 && b[0] == '"' {
		b = b[1 : len(b)-1]
	}
	if c := first(b); len(b) <= longestNumber && (c == '-' || c >= '0' && c <= '9') {
		n.text = string(b)
	}
	return nil
}

// float is the number where exactness does not matter: for plausibility and accuracy.
func (n number) float() (v float64, ok bool) {
	if n.text == "" {
		return 0, false
	}
	v, err := strconv.ParseFloat(n.text, 64)
	return v, err == nil
}

// text is a string of reasonable length; whatever else stands there is as if it were empty.
type text string

// longestText bounds names and URIs, which go into meters and notes.
const longestText = 512

// UnmarshalJSON never fails.
func (t *text) UnmarshalJSON(b []byte) error {
	*t = ""
	if len(b) > longestText {
		return nil
	}
	if len(b) > 1 && b[0] == '"' && bytes.IndexByte(b, '\\') < 0 {
		*t = text(b[1 : len(b)-1])
		return nil
	}
	var s string
	if json.Unmarshal(b, &s) == nil {
		*t = text(s)
	}
	return nil
}

// UnmarshalJSON takes an excerpt, or a bare number, which some services give instead.
func (e *excerpt) UnmarshalJSON(b []byte) error {
	*e = excerpt{Present: true}
	if first(b) != '{' {
		return e.Reading.UnmarshalJSON(b)
	}
	type plain excerpt
	return json.Unmarshal(b, (*plain)(e))
}
