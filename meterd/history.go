package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"agentwatt/shared/bus"
	"agentwatt/shared/clock"
	"agentwatt/shared/fault"
	"agentwatt/shared/rollup"
)

func historyCommand() *cobra.Command {
	var h history
	c := &cobra.Command{
		Use:   "history",
		Short: "Show energy and power of past seconds, minutes or hours, from the roll-ups",
		Long: `history prints what was drawn in each second, minute or hour, by meter: energy, mean,
least and greatest power, what part of the time is covered by readings, and gaps. What
nobody measured is not filled in: it lowers the coverage. Roll-ups are kept longer than
readings (rollups in the configuration).`,
		Example: `  meterd history                               minutes of the last hour
  meterd history --of hour --from 2026-11-01T00:00:00Z
  meterd history --bus tls://hub:4222 --nkey reader.key --json`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error { return h.run(c.Context(), c.OutOrStdout()) },
	}
	f := c.Flags()
	f.StringVar(&h.url, "bus", defaultBus, "`URL` of the bus, or of a hub")
	addCredentials(c, &h.as)
	f.StringVar(&h.of, "of", "minute", "second, minute or hour")
	f.StringVar(&h.from, "from", "", "`time` (RFC 3339) of the first; empty: an hour ago, of hours a week")
	f.StringVar(&h.until, "until", "", "and of the last; empty: now")
	f.BoolVar(&h.asJSON, "json", false, "print JSON, one row on a line")
	return c
}

// history is one run of meterd history.
type history struct {
	url, of, from, until string
	as                   bus.Credentials
	asJSON               bool
}

// pastRow is one row of one meter.
type pastRow struct {
	Begin     string  `json:"begin"`
	Seconds   float64 `json:"seconds"`
	Host      string  `json:"host"`
	Source    string  `json:"source"`
	Meter     string  `json:"meter"`
	Device    string  `json:"device"`
	Scope     string  `json:"scope"`
	Quantity  string  `json:"quantity"`
	Run       string  `json:"run"`
	Joules    float64 `json:"joules"`
	Measured  float64 `json:"measured_seconds"`
	Mean      float64 `json:"mean_watts"`
	Least     float64 `json:"least_watts"`
	Greatest  float64 `json:"greatest_watts"`
	Coverage  float64 `json:"coverage"`
	Fresh     int64   `json:"fresh_values"`
	Gaps      int64   `json:"gaps"`
	Missed    int64   `json:"missed_ticks"`
	Lost      int64   `json:"lost_batches"`
	Simulated bool    `json:"simulated"`
}

func (h *history) run(ctx context.Context, out io.Writer) error {
	stream, back := map[string]string{"second": bus.RollupSecond, "minute": bus.RollupMinute, "hour": bus.RollupHour}[h.of], time.Hour
	if stream == "" {
		return fault.Hint(fault.Misuse(fmt.Errorf("--of %q: not a length of rows", h.of)), "second, minute or hour")
	}
	if h.of == "hour" {
		back = 7 * day
	}
	from, err := parseTime("--from", h.from)
	if err != nil {
		return err
	}
	until, err := parseTime("--until", h.until)
	if err != nil {
		return err
	}
	if until == 0 {
		until = clock.At(time.Now())
	}
	if from == 0 {
		from = until.Add(-back)
	}
	conn, err := bus.Dial(ctx, h.url, h.as)
	if err != nil {
		return fault.Hint(err, "is meterd run running, and is this the address that it logged as bus?")
	}
	defer conn.Close()
	rows, err := past(ctx, conn, stream, from, until)
	if err != nil {
		return err
	}
	if len(rows) == 0 {
		return fault.Hint(errors.New("there are no rows of that time"), "a row is there some time after it is full: a minute after its minute, or half an hour for slow counters")
	}
	return h.print(out, rows)
}

// past reads the rows that begin in [from, until), of all hosts.
func past(ctx context.Context, conn *bus.Conn, stream string, from, until clock.Stamp) (rows []pastRow, err error) {
	streams, err := conn.Streams(ctx)
	if err != nil {
		return nil, err
	}
	for _, s := range streams {
		if s != stream && !strings.HasPrefix(s, stream+"-") {
			continue
		}
		err := conn.ReadStream(ctx, s, from, clock.At(time.Now().Add(time.Minute)), func(m bus.Message) error { // rows are stored after their time
			message, err := rollup.Decode(m.Payload)
			if err != nil {
				return fmt.Errorf("message %d of %s: %w", m.Sequence, s, err)
			}
			for _, x := range message.Series {
				for _, r := range x.Rows {
					if r.End() > from && r.Begin < until {
						rows = append(rows, pastOf(message, x, r))
					}
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return rows, nil
}

func pastOf(m *rollup.Message, s rollup.Series, r rollup.Row) pastRow {
	out := pastRow{
		Begin: r.Begin.Time().UTC().Format(time.RFC3339), Seconds: r.Length.Seconds(), Host: m.Host, Source: m.Source, Meter: s.Meter.ID,
		Device: s.Meter.Device, Scope: string(s.Meter.Scope), Quantity: s.Meter.Quantity.String(), Run: s.Run, Joules: r.Energy.Joules(),
		Measured: r.Measured.Seconds(), Mean: r.Mean().Watts(), Coverage: r.Coverage(), Fresh: r.Fresh, Gaps: r.Gaps, Missed: r.Missed,
		Lost: r.Lost, Simulated: s.Meter.Simulated,
	}
	if r.Covered > 0 {
		out.Least, out.Greatest = r.Least.Watts(), r.Greatest.Watts()
	}
	return out
}

func (h *history) print(out io.Writer, rows []pastRow) error {
	if h.asJSON {
		e := json.NewEncoder(out)
		for _, r := range rows {
			if err := e.Encode(r); err != nil {
				return err
			}
		}
		return nil
	}
	tab := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tab, "BEGIN\tLENGTH\tHOST\tDEVICE\tFROM\tENERGY\tMEAN\tLEAST\tGREATEST\tCOVERED\tGAPS")
	for _, r := range rows {
		energy, mean, least, greatest := "none", "none", "none", "none"
		if r.Measured > 0 {
			energy, mean = fmt.Sprintf("%.1f J", r.Joules), fmt.Sprintf("%.1f W", r.Mean)
		}
		if r.Coverage > 0 {
			least, greatest = fmt.Sprintf("%.1f W", r.Least), fmt.Sprintf("%.1f W", r.Greatest)
		}
		fmt.Fprintf(tab, "%s%s\t%v\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%.1f %%\t%d\n", mark(r.Simulated), r.Begin, time.Duration(r.Seconds*float64(time.Second)),
			r.Host, short(r.Device, 24), r.Quantity, energy, mean, least, greatest, 100*r.Coverage, r.Gaps)
	}
	return tab.Flush()
}
