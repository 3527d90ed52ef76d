package snmp

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"agentwatt/meterd/internal/sampler"
	"agentwatt/shared/fault"
)

// identity is what a device says it is.
type identity struct {
	object   string // sysObjectID
	descr    string // sysDescr
	model    string
	serial   string
	firmware string

	serialOID string // where the serial number was found; asked in every poll, to see a device that was replaced
}

// candidate is a profile that fits a device, matched by a prefix of its sysObjectID.
type candidate struct {
	profile *Profile
	prefix  string
}

// identify asks what a device is and returns the profiles that fit, the best first.
func (c *client) identify(ctx context.Context, user, builtin []*Profile) (identity, []candidate, error) {
	v, err := c.getAll(ctx, []string{sysObjectID, sysDescr})
	if err != nil {
		return identity{}, nil, unavailable(fmt.Errorf("identify the PDU: %w", err))
	}
	id := identity{object: v[sysObjectID].text, descr: v[sysDescr].text}
	if v[sysObjectID].form != object {
		id.object = ""
	}
	var fits []candidate
	for _, known := range [][]*Profile{user, builtin} {
		list := matching(known, id.object)
		for _, m := range list {
			ok, err := c.confirm(ctx, m)
			if err != nil {
				return id, nil, unavailable(fmt.Errorf("identify the PDU: %w", err))
			}
			if ok {
				fits = append(fits, m)
			}
		}
	}
	if len(fits) > 0 {
		return id, fits, nil
	}
	err = fmt.Errorf("identify the PDU at %s: no profile for sysObjectID %q (%.80s): %w", c.address, id.object,
		label(v[sysDescr]), sampler.ErrUnavailable)
	return id, nil, fault.Hint(err, "if it is a PDU that measures power, write a profile for it and name the file in the configuration: docs/snmp.md shows how")
}

// matching returns the profiles whose prefix fits sysObjectID, the longest prefix first.
func matching(profiles []*Profile, object string) []candidate {
	var list []candidate
	for _, p := range profiles {
		best := ""
		for _, o := range p.Match.Objects {
			if under(object, o.text) && len(o.text) > len(best) {
				best = o.text
			}
		}
		if best != "" {
			list = append(list, candidate{p, best})
		}
	}
	slices.SortStableFunc(list, func(a, b candidate) int {
		return strings.Count(b.prefix, ".") - strings.Count(a.prefix, ".")
	})
	return list
}

// confirm looks for what must be there and what must not.
func (c *client) confirm(ctx context.Context, m candidate) (bool, error) {
	for i, list := range [][]Column{m.profile.Match.Present, m.profile.Match.Missing} {
		for _, col := range list {
			has, err := c.has(ctx, col.root(m.prefix))
			if err != nil {
				return false, err
			}
			if has != (i == 0) {
				return false, nil
			}
		}
	}
	return true, nil
}

// describe fills in model, serial number and firmware.
func (c *client) describe(ctx context.Context, id identity, m candidate) (identity, error) {
	for _, x := range []struct {
		clues []Clue
		text  *string
		oid   *string
		fits  func(string) bool
	}{
		{m.profile.Identity.Model, &id.model, new(string), func(string) bool { return true }},
		{m.profile.Identity.Serial, &id.serial, &id.serialOID, distinct},
		{m.profile.Identity.Firmware, &id.firmware, new(string), func(string) bool { return true }},
	} {
		for _, clue := range x.clues {
			said, oid, err := c.ask(ctx, clue, id, m.prefix)
			if err != nil {
				return id, err
			}
			if said != "" && x.fits(said) {
				*x.text, *x.oid = said, oid
				break
			}
		}
	}
	return id, nil
}

var (
	serialLike = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:-]{2,39}$`)
	emptyLike  = regexp.MustCompile(`^[0xXfF.:-]*$`)
)

// distinct reports whether a serial number can tell one device from another: zeros and words in brackets are the same on many.
func distinct(serial string) bool {
	return serialLike.MatchString(serial) && !emptyLike.MatchString(serial)
}

// ask follows one clue.
func (c *client) ask(ctx context.Context, clue Clue, id identity, prefix string) (said, oid string, err error) {
	v := value{form: text, text: id.descr}
	if clue.OID.set() {
		list, err := c.walk(ctx, clue.OID.root(prefix), 1)
		if r := (refusal{}); errors.As(err, &r) || err == nil && len(list) == 0 {
			return "", "", nil
		}
		if err != nil {
			return "", "", err
		}
		v, oid = list[0].value, list[0].oid
		if clue.Like.Regexp == nil {
			return serialOf(v), oid, nil
		}
	}
	if v.form != text {
		return "", "", nil
	}
	m := clue.Like.FindStringSubmatch(v.text) // sysDescr in its full length
	if m == nil {
		return "", "", nil
	}
	said = label(value{text: m[len(m)-1]})
	if said != serialOf(v) {
		oid = "" // only a part of it: not to be compared in every poll
	}
	return said, oid, nil
}

// serialOf is a text or a number as people would write it down; empty for all else.
func serialOf(v value) string {
	switch v.form {
	case integer:
		return strconv.FormatInt(v.n, 10)
	case text:
		return label(v)
	}
	return ""
}
