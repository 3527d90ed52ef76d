package main

import (
	"errors"
	"fmt"
	"os"
	"path"
	"time"

	"github.com/spf13/cobra"

	"agentwatt/meterd/internal/calibration"
	"agentwatt/meterd/internal/characterise"
	"agentwatt/shared/fault"
)

func characteriseCommand() *cobra.Command {
	var f flags
	x := &characterisation{}
	c := &cobra.Command{
		Use:   "characterise [flags] [-- command [argument...]]",
		Short: "Measure a sensor's delay, window, refresh and gain, and write its calibration",
		Long: `characterise switches a load between busy and idle at random times, reads the sensors
meanwhile, and computes for each how often it refreshes, over which window it averages,
how late it is, and, against a better meter, how wrong it is: all with uncertainties.
The load is a command that runs until it is killed (without a shell), or arithmetic on
all processors. The reference is another meter that meterd reads, or the file of a power
analyser that recorded the same time, and must measure the very same as the sensor. If
that file has to be fetched first, keep the recording with --save, and use --from later. With
-o each sensor's result is written as a calibration record, which meterd run follows
until it expires. docs/characterise.md has the method.`,
		Example: `  meterd characterise --meter 'nvml/*/instant' -- ./matmul-forever
  meterd characterise --meter 'nvml/GPU-5f3c*/*' --reference-csv pmd.csv --reference-accuracy 0.01 -o /etc/meterd/calibrations -- ./matmul-forever
  meterd characterise --save night.rec -- ./matmul-forever
  meterd characterise --from night.rec --reference-csv pmd.csv --reference-accuracy 0.01 -o .
  meterd characterise --meter 'ipmi/*' --reference snmp/pdu-a/outlet-3/power --same -c meterd.yaml -o . -- stress-ng --cpu 0`,
		Args: dashedCommand("meterd characterise"),
		RunE: func(c *cobra.Command, args []string) error {
			conf, err := f.load()
			if err != nil {
				return err
			}
			x.command = args
			if err := x.check(); err != nil {
				return fault.Misuse(err)
			}
			return x.run(c.Context(), conf, c.OutOrStdout(), c.ErrOrStderr())
		},
	}
	f.add(c)
	fs := c.Flags()
	fs.StringVar(&x.meters, "meter", "*", "`pattern` of the meters to measure, as of a file name but with * for slashes too")
	fs.StringVar(&x.reference, "reference", "", "`ID` of the meter to compare with")
	fs.StringVar(&x.csv, "reference-csv", "", "`file` of a power analyser: time,watts")
	fs.Float64Var(&x.accuracy, "reference-accuracy", 0, "relative error of the reference, k = 2 (0.01 is 1 %), if it is not known or another one")
	fs.StringVar(&x.certificate, "reference-certificate", "", "`number` of the reference's own calibration, for the record")
	fs.BoolVar(&x.same, "same", false, "the reference measures the very same as the sensor, although its scope has another name")
	fs.StringVar(&x.save, "save", "", "`file` to keep the recording in, to measure it again with --from")
	fs.StringVar(&x.from, "from", "", "`file` of a recording: measure that one and switch no load")
	fs.IntVar(&x.schedule.Cycles, "cycles", 12, "pairs of a busy and an idle phase")
	fs.DurationVar(&x.schedule.Shortest, "shortest", 6*time.Second, "a phase lasts this long to twice as long; several times the sensor's window and delay")
	fs.Uint64Var(&x.schedule.Seed, "seed", 1, "of the phases' random lengths")
	fs.StringVarP(&x.out, "out", "o", "", "`directory` to write calibration records to; empty: print only")
	fs.DurationVar(&x.validity, "valid-for", calibration.Validity, "until the record expires")
	return c
}

// dashedCommand admits arguments only behind --, so that a command's flags are not taken for ours.
func dashedCommand(name string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if dash := c.ArgsLenAtDash(); dash > 0 || dash < 0 && len(args) > 0 {
			err := fault.Misuse(fmt.Errorf("%q is not a flag", args[0]))
			return fault.Hint(err, "put -- in front of the command: %s -- %s", name, args[0])
		}
		return nil
	}
}

// characterisation is one run of meterd characterise.
type characterisation struct {
	meters, reference, csv string
	accuracy               float64
	certificate            string
	same                   bool
	schedule               characterise.Schedule
	out, save, from        string
	validity               time.Duration
	command                []string
}

func (x *characterisation) check() error {
	if _, err := path.Match(x.meters, ""); err != nil {
		return fmt.Errorf("--meter %s: %w", x.meters, err)
	}
	switch {
	case x.reference != "" && x.csv != "":
		return errors.New("--reference and --reference-csv exclude each other")
	case x.accuracy < 0 || x.accuracy > 1:
		return fmt.Errorf("--reference-accuracy %g is not a relative error, 0 to 1", x.accuracy)
	case x.from != "" && (len(x.command) > 0 || x.save != ""):
		return errors.New("--from measures a recording: there is no load to switch and nothing to save")
	case x.validity <= 0:
		return fmt.Errorf("--valid-for %v is not positive", x.validity)
	}
	if x.out != "" {
		if info, err := os.Stat(x.out); err != nil || !info.IsDir() {
			return fmt.Errorf("-o %s is not a directory", x.out)
		}
	}
	_, err := x.schedule.Length()
	return err
}
