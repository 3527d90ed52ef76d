package hwmon

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"time"

	"agentwatt/meterd/internal/sysfs"
	"agentwatt/shared/clock"
	"agentwatt/shared/power"
)

const (
	// searchAgain is the time between searches for devices that are lost. A driver that is bound again gets a new directory,
	// so opening the old file again is not enough.
	searchAgain = time.Second
	// lookAgain is the time between looks for devices that are new: one directory is listed.
	lookAgain = 10 * time.Second
)

// The keys of this source's notes.
const (
	keyDevice = "device"            // "lost", "back" or "new"
	keyCap    = "power_limit_watts" // in force when the device was found
	keySerial = "serial"            // of an ACPI power meter
	keyPower  = "power_supply"      // "battery": the meter is that of a battery, which is not the machine's input
)

// look searches the tree when that is due: soon while a device is lost, and when directories have come or gone.
func (s *Source) look() error {
	since := s.now().Sub(s.looked)
	if s.lost && since >= searchAgain {
		return s.search()
	}
	if since < lookAgain {
		return nil
	}
	chips, err := directories(s.class)
	if err != nil || slices.Equal(chips, s.chips) {
		s.looked = s.now()
		return err
	}
	return s.search()
}

// directories lists the tree, in a stable order; it is empty where there is none.
func directories(class string) ([]string, error) {
	entries, err := os.ReadDir(class)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, err
}

// search looks through the tree. It opens the channels of devices that were lost and adds those of new ones; a meter that
// was listed keeps its place.
func (s *Source) search() error {
	first := s.looked == 0
	s.looked = s.now()
	list, chips, err := channels(s.class, s.leave)
	if err != nil {
		return err
	}
	s.chips = chips
	known, busy := map[string]int{}, map[string]bool{}
	var meters []power.Meter
	if old := s.meters.Load(); old != nil {
		meters = *old
	}
	for i, p := range s.ports {
		known[meters[i].ID] = i
		busy[p.path] = p.attr != nil
	}
	for _, c := range list {
		i, ok := known[c.meter.ID]
		switch {
		case busy[c.path]:
		case ok && s.ports[i].attr == nil:
			if s.ports[i] = connect(c); s.ports[i].attr != nil {
				s.notes(c, "back")
			}
		case !ok:
			meters = append(meters[:len(meters):len(meters)], c.meter) // the old slice is in use
			s.ports = append(s.ports, connect(c))
			if first {
				s.notes(c, "")
			} else {
				s.notes(c, "new")
			}
		}
	}
	s.meters.Store(&meters)
	return nil
}

// notes takes note of a channel that was found, and of what its driver says beside the values.
func (s *Source) notes(c channel, event string) {
	if event != "" {
		s.say(s.looked, c.meter.Device, keyDevice, event)
	}
	for _, n := range c.notes {
		s.say(s.looked, c.meter.Device, n.Key, n.Value)
	}
}

func (s *Source) note(t clock.Stamp, meter int, key, value string) {
	s.say(t, (*s.meters.Load())[meter].Device, key, value)
}

// say takes a note, but not twice: a device may have several channels.
func (s *Source) say(t clock.Stamp, device, key, value string) {
	n := power.Note{Time: t, Device: device, Key: key, Value: value}
	same := func(o power.Note) bool { return o.Device == device && o.Key == key && o.Value == value }
	if !slices.ContainsFunc(s.pending, same) {
		s.pending = append(s.pending, n)
	}
}

// port is where a meter is read.
type port struct {
	path string
	attr *sysfs.Attr // nil while the device is lost: by then the path may belong to another one
	by   *sysfs.Attr // a current in mA to multiply a voltage in mV with, for chips that give no power; else nil
}

// connect opens a channel. One that may not be opened stays, and says so in every read.
func connect(c channel) port {
	p := port{path: c.path}
	a, err := sysfs.Open(c.path)
	if sysfs.Status(err) == power.Lost {
		return p
	}
	p.attr = a
	if c.by != "" {
		p.by, _ = sysfs.Open(c.by) // its reads say what is wrong with it
	}
	return p
}

// read returns the value in counts of the meter.
func (p *port) read() (raw int64, status power.Status) {
	if p.attr == nil {
		return 0, power.Lost
	}
	raw, err := p.attr.Int()
	if err == nil && p.by != nil {
		var by int64
		if by, err = p.by.Int(); err == nil {
			const most = 1_000_000_000 // a million volts, a million amperes
			if max(raw, -raw) > most || max(by, -by) > most {
				return 0, power.Failed
			}
			raw *= by
		}
	}
	if err != nil {
		return 0, sysfs.Status(err)
	}
	return raw, power.OK
}

// close releases the files; the port is then without its device.
func (p *port) close() error {
	var errs []error
	for _, a := range []*sysfs.Attr{p.attr, p.by} {
		if a != nil {
			errs = append(errs, a.Close())
		}
	}
	p.attr, p.by = nil, nil
	return errors.Join(errs...)
}
