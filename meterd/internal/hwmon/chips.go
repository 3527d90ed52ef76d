package hwmon

import (
	"cmp"
	"errors"
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"

	"agentwatt/meterd/internal/sysfs"
	"agentwatt/shared/power"
)

// chip is one directory of /sys/class/hwmon.
type chip struct {
	dir    string // where its files are
	parent string // directory of the device that it hangs on
	name   string // the driver's name: "amdgpu", "power_meter", ...
	device string // what the chip hangs on: a PCI address, an ACPI or I2C name; the chip's name if the tree does not say
	oem    string // what an ACPI power meter says that it measures; empty if nothing
	single bool   // all its channels are of one thing
}

// newChip reads what a chip says about itself. Drivers of the old way, among them acpi_power_meter until it was converted in
// 2025, have their files, the name too, with the device and not with the chip.
func newChip(dir string) (chip, error) {
	parent := filepath.Join(dir, "device")
	name, err := sysfs.Line(filepath.Join(dir, "name"))
	if errors.Is(err, fs.ErrNotExist) {
		dir = parent
		name, err = sysfs.Line(filepath.Join(dir, "name"))
	}
	if err != nil {
		return chip{}, err
	}
	c := chip{dir: dir, parent: parent, name: name, device: sysfs.Target(parent)}
	if c.device == "" {
		c.device = name
	}
	c.oem, _ = sysfs.Line(filepath.Join(parent, "power1_oem_info")) // only Grace's firmware has it
	return c, nil
}

// coverage says what a channel measures: its scope, and the device that must not be counted twice.
type coverage struct {
	scope  power.Scope
	device string
}

// rules give the coverage of a channel by chip and label; the first that fits counts. What fits none is a component: only
// what is known to be the whole of something may ever make a headline.
var rules = []struct {
	chip   string         // driver
	label  *regexp.Regexp // of the channel, or what the ACPI firmware says; nil: any
	scope  power.Scope
	device string // with $1 from the label; empty: the chip's device
}{
	// The driver's reading is the board's: GPU and memory. On an APU it is the whole socket, which hwmon does not say.
	{"amdgpu", nil, power.Accelerator, ""},
	// Intel GPUs (kernel ABI, sysfs-driver-intel-i915-hwmon and -xe-hwmon): the chip "i915" is the card, "i915_gt0" a part of it;
	// of "xe" the channel "card" is the card and "pkg" the package on it.
	{"i915", nil, power.Accelerator, ""},
	{"xe", regexp.MustCompile(`^card$`), power.Accelerator, ""},
	// NVIDIA Grace: four ACPI meters per socket, told apart only by the firmware's text. Module = GPUs and Grace (DCGM field
	// 1133); Grace = the CPU socket with its memory; CPU rail (1130) and SysIO (1132) are inside Grace.
	{"power_meter", regexp.MustCompile(`^Module Power Socket (\d+)$`), power.Module, "module-$1"},
	{"power_meter", regexp.MustCompile(`^Grace Power Socket (\d+)$`), power.CPU, "socket-$1"},
	{"power_meter", regexp.MustCompile(`^CPU Power Socket (\d+)$`), power.Component, "socket-$1/cpu"},
	{"power_meter", regexp.MustCompile(`^SysIO Power Socket (\d+)$`), power.Component, "socket-$1/sysio"},
}

// cover looks up what the channel with the given text from firmware or label measures. rail is its name among the chip's
// channels.
func (c chip) cover(text, rail string) coverage {
	for _, r := range rules {
		if r.chip != c.name {
			continue
		}
		if r.label == nil {
			return coverage{r.scope, c.device}
		}
		if m := r.label.FindStringSubmatchIndex(text); m != nil {
			device := string(r.label.ExpandString(nil, r.device, text, m))
			return coverage{r.scope, cmp.Or(device, c.device)}
		}
	}
	// Any other ACPI meter measures what its board's maker chose, often the machine's input; hwmon does not say. The channels of
	// one chip are different rails, or the input and the output of one supply: each is a device of its own.
	if c.single {
		return coverage{power.Component, c.device}
	}
	return coverage{power.Component, c.device + "/" + blanks.Replace(rail)}
}

// blanks make a label or a device unfit for an ID.
var blanks = strings.NewReplacer(" ", "-", "\t", "-", "\n", "-")
