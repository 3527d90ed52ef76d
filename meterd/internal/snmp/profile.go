package snmp

import (
	"regexp"
	"time"

	"agentwatt/meterd/internal/sensor"
)

// Profile is what is known about one family of PDUs: how to recognise it and where it keeps what.
type Profile struct {
	Name     string   `yaml:"name"`     // part of Meter.Model, e.g. "apc-rpdu2"
	Title    string   `yaml:"title"`    // for people
	Source   string   `yaml:"source"`   // the documents
	Match    Match    `yaml:"match"`    //
	Identity Identity `yaml:"identity"` //
	Chain    *Chain   `yaml:"chain"`    // rows begin with the number of a unit in a chain of PDUs; absent: they do not
	Period   Span     `yaml:"period"`   // between fresh values, where a document says it
	Accuracy Share    `yaml:"accuracy"` // relative gain error, k = 2, where a document says it
	Levels   []Level  `yaml:"levels"`   // from the whole to the parts
	Traps    []string `yaml:"traps"`    // what is to be known when reading the numbers; for people
}

// Match says which devices a profile is for.
type Match struct {
	Objects []Column `yaml:"objects"` // prefixes of sysObjectID; the longest that fits wins
	Present []Column `yaml:"present"` // there must be something at or below each of these
	Missing []Column `yaml:"missing"` // there must be nothing at or below any of these
}

// Identity says where the device tells what it is. The first clue that gives something counts.
type Identity struct {
	Model    []Clue `yaml:"model"`
	Serial   []Clue `yaml:"serial"`
	Firmware []Clue `yaml:"firmware"`
}

// Clue is one place to look for a text: the first row of a column, or sysDescr.
type Clue struct {
	OID  Column `yaml:"oid"`
	Like Regexp `yaml:"like"` // what the text must look like; with a group, the group counts. Without an OID: of sysDescr
}

// Chain describes PDUs that one of them answers for.
type Chain struct {
	First string `yaml:"first"` // number of the unit that answers; the others are named in meters' IDs
}

// Level is one table: the whole PDU, its inlets or cords, or their parts.
type Level struct {
	Level    string  `yaml:"level"` // one of levelNames
	Whole    bool    `yaml:"whole"` // the first level so marked that a unit has is the whole of it, together; all else are parts
	Power    Reading `yaml:"power"`
	Energy   Reading `yaml:"energy"`
	Apparent Reading `yaml:"apparent"` // for checks only
	Since    Column  `yaml:"since"`    // when the energy began to be counted
	Label    Column  `yaml:"label"`    // name that the owner gave
	Where    *Where  `yaml:"where"`    // which rows of the table belong to the level; absent: all
}

// levelNames are the levels that a profile may have.
var levelNames = []string{"unit", "inlet", "cord", "phase", "bank", "outlet"}

// Reading is one value of a level's rows.
type Reading struct {
	OID    Column  `yaml:"oid"`
	Unit   Unit    `yaml:"unit"`   // of one raw count
	Text   string  `yaml:"text"`   // the value is a text such as 0.061kW; this is its unit if it names none
	Units  *Units  `yaml:"units"`  // the device says the unit
	Digits Column  `yaml:"digits"` // the device says how many decimals the raw integer has
	Valid  *Valid  `yaml:"valid"`  // the device says whether the value is one
	Time   Column  `yaml:"time"`   // the device's time of the value, in seconds since 1970
	Absent []int64 `yaml:"absent"` // raw values that mean "not supported"; negative ones always do
	Wrap   int64   `yaml:"wrap"`   // counts after which a counter starts again at 0; 0: not known to
}

// Units is where a device says a value's unit, as a number.
type Units struct {
	OID Column         `yaml:"oid"`
	Are map[int64]Unit `yaml:"are"`
}

// Valid is where a device says that a value is one.
type Valid struct {
	OID Column  `yaml:"oid"`
	Is  []int64 `yaml:"is"`
}

// Where chooses rows by another column of theirs.
type Where struct {
	OID     Column  `yaml:"oid"`
	Is      []int64 `yaml:"is"`
	Not     []int64 `yaml:"not"`
	Missing string  `yaml:"missing"` // on a device without the column: "all", "first" (row), "rest"; empty: none
}

// Span is a duration and where it comes from.
type Span struct {
	Value time.Duration `yaml:"value"`
	From  sensor.Origin `yaml:"from"`
}

// Share is a relative quantity and where it comes from.
type Share struct {
	Value float64       `yaml:"value"`
	From  sensor.Origin `yaml:"from"`
}

// Regexp is a regular expression that YAML can read.
type Regexp struct{ *regexp.Regexp }

// readings lists the readings that the level has, with their names.
func (l *Level) readings() map[string]*Reading {
	list := map[string]*Reading{}
	for name, r := range map[string]*Reading{"power": &l.Power, "energy": &l.Energy, "apparent": &l.Apparent} {
		if r.OID.set() {
			list[name] = r
		}
	}
	return list
}
