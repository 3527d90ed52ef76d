package sampler

import (
	"strings"
	"unicode/utf8"

	"agentwatt/shared/power"
)

// mostText bounds a text of a meter or note, well below what the codec takes.
const mostText = 1000

// clean makes a text fit for the stream. Labels, serial numbers and notes come from firmware and from devices on the network: one byte
// that is not UTF-8 would make every batch that it is in impossible to encode, and so cost all its samples.
func clean(s string) string {
	if len(s) <= mostText && utf8.ValidString(s) {
		return s
	}
	s = s[:min(len(s), mostText)]
	return strings.ToValidUTF8(s, "?") // a character that was cut in two becomes one too
}

// cleanMeter does so with what a source says of a meter.
func cleanMeter(m power.Meter) power.Meter {
	m.ID, m.Device, m.Name, m.Model = clean(m.ID), clean(m.Device), clean(m.Name), clean(m.Model)
	return m
}
