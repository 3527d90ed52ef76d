package snmp

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/gosnmp/gosnmp"
)

// Bounds of a walk.
const (
	mostRows    = 4096 // values in one table
	repetitions = 20   // values per request: about 600 bytes of answer
)

// found is one value of a walk.
type found struct {
	oid   string
	value value
}

// walk returns all values at or below root, in order, at most most of them.
func (c *client) walk(ctx context.Context, root string, most int) ([]found, error) {
	var list []found
	at, count := root, min(repetitions, most)
	for {
		p, err := c.exchange(ctx, func() (*gosnmp.SnmpPacket, error) {
			return c.snmp.GetBulk([]string{at}, 0, uint32(count))
		})
		if errors.Is(err, errTooBig) && count > 1 {
			count /= 2
			continue
		}
		if r := (refusal{}); errors.As(err, &r) && r.status == gosnmp.NoSuchName {
			return list, nil // how an agent with version 1 at heart ends a walk
		}
		if err != nil {
			return nil, err
		}
		if len(p.Variables) == 0 {
			return list, nil
		}
		for _, v := range p.Variables {
			oid := strings.TrimPrefix(v.Name, ".")
			if v.Type == gosnmp.EndOfMibView || !under(oid, root) || !numeric(oid) {
				return list, nil
			}
			if compareOIDs(oid, at) <= 0 {
				return nil, fmt.Errorf("walk %s at %s: %s is not after %s: %w", root, c.address, oid, at, errGarbled)
			}
			list, at = append(list, found{oid, decode(v)}), oid
			if len(list) >= most {
				return list, nil
			}
		}
	}
}

// has reports whether there is anything at or below an OID.
func (c *client) has(ctx context.Context, oid string) (bool, error) {
	list, err := c.walk(ctx, oid, 1)
	return len(list) > 0, err
}

// getAll asks for any number of OIDs, in as many requests as it takes.
func (c *client) getAll(ctx context.Context, oids []string) (map[string]value, error) {
	const most = 20
	all := make(map[string]value, len(oids))
	for len(oids) > 0 {
		part := oids[:min(most, len(oids))]
		values, err := c.get(ctx, part)
		if r := (refusal{}); errors.As(err, &r) && len(part) > 1 {
			values, err = c.each(ctx, part)
		}
		if err != nil {
			return nil, err
		}
		for i, oid := range part {
			all[oid] = values[i]
		}
		oids = oids[len(part):]
	}
	return all, nil
}

// each asks for OIDs one by one: an agent that refuses one of them refuses the whole request.
func (c *client) each(ctx context.Context, oids []string) ([]value, error) {
	values := make([]value, len(oids))
	for i, oid := range oids {
		v, err := c.get(ctx, []string{oid})
		if r := (refusal{}); errors.As(err, &r) {
			continue
		}
		if err != nil {
			return nil, err
		}
		values[i] = v[0]
	}
	return values, nil
}
