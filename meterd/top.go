package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"agentwatt/shared/bus"
	"agentwatt/shared/clock"
	"agentwatt/shared/fault"
	"agentwatt/shared/power"
	"agentwatt/shared/wire"
)

const (
	defaultBus = "nats://127.0.0.1:4222"
	refresh    = time.Second
	lookBack   = 3 * time.Second // so that the first picture has values in it
)

func topCommand() *cobra.Command {
	var url string
	var as bus.Credentials
	var count int
	c := &cobra.Command{
		Use:   "top",
		Short: "Watch the power of every device, from the bus",
		Long: `top shows the present power of every device and scope that is published on a bus, the
age of each value, and what was lost since it began to watch: missed ticks, lost
batches, restarts. Scopes are summed over their devices, and never with each other.
On a terminal it redraws in place, else it prints lines once a second.`,
		Example: `  meterd top
  meterd top --bus nats://gpu-host:4222
  meterd top -n 1              one picture, for a script`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			if count < 0 {
				return fault.Misuse(fmt.Errorf("-n %d is negative", count))
			}
			w := &watch{url: url, as: as, count: count, out: c.OutOrStdout()}
			if f, ok := w.out.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
				w.terminal = f
			}
			return w.run(c.Context())
		},
	}
	c.Flags().StringVar(&url, "bus", defaultBus, "`URL` of the bus, or of a hub")
	addCredentials(c, &as)
	c.Flags().IntVarP(&count, "count", "n", 0, "stop after this many pictures; 0: never")
	return c
}

// addCredentials adds the flags of what a reader shows.
func addCredentials(c *cobra.Command, as *bus.Credentials) {
	c.Flags().StringVar(&as.NKeyFile, "nkey", "", "`file` of the reader's key, where the bus wants one; meterd key --file makes it")
	c.Flags().StringVar(&as.CAFile, "ca", "", "`file` with the authority that signed the certificate of the bus")
	c.Flags().StringVar(&as.CertFile, "cert", "", "`file` of the reader's certificate, where the bus wants one")
	c.Flags().StringVar(&as.KeyFile, "cert-key", "", "`file` of its key")
}

// watch is one run of meterd top.
type watch struct {
	url      string
	as       bus.Credentials
	count    int
	out      io.Writer
	terminal *os.File // nil: plain lines
	conn     *bus.Conn
}

// run follows the bus and draws once a second, until ctx ends, count pictures are drawn, or the bus is gone.
func (w *watch) run(ctx context.Context) error {
	conn, err := bus.Dial(ctx, w.url, w.as)
	if err != nil {
		return fault.Hint(err, "is meterd run running, and is this the address that it logged as bus?")
	}
	defer conn.Close()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	w.conn = conn
	stored := make(chan news, 64)
	done := make(chan error, 1)
	go func() {
		defer close(stored)
		done <- follow(ctx, conn, stored)
	}()
	err = w.draw(ctx, stored)
	stop()
	return errors.Join(err, <-done)
}

// news is one batch, and what the store lost before it.
type news struct {
	batch *power.Batch
	gap   *bus.Gap
}

// follow hands over every batch of the bus, and ends with ctx.
func follow(ctx context.Context, conn *bus.Conn, stored chan<- news) error {
	return conn.Follow(ctx, clock.At(time.Now().Add(-lookBack)), func(m bus.Message) error {
		b, err := wire.Decode(m.Payload)
		if err != nil {
			return fmt.Errorf("decode batch %d of %s on %s: %w", m.Sequence, m.Source, m.Host, err)
		}
		select {
		case stored <- news{b, m.Gap}:
		case <-ctx.Done():
		}
		return nil
	})
}

// draw keeps the board and prints it on an absolute schedule, until ctx ends, count pictures are drawn, or stored is
// closed.
func (w *watch) draw(ctx context.Context, stored <-chan news) error {
	b := newBoard()
	ticker := time.NewTicker(refresh)
	defer ticker.Stop()
	for drawn := 0; w.count == 0 || drawn < w.count; {
		select {
		case <-ctx.Done():
			return nil
		case n, ok := <-stored:
			if !ok {
				return nil
			}
			b.take(n.batch)
			if n.gap != nil {
				b.losses = append(b.losses, n.gap.Error())
			}
		case now := <-ticker.C:
			drawn++
			if err := w.picture(b, now); err != nil {
				return err
			}
		}
	}
	return nil
}

// picture prints the board once.
func (w *watch) picture(b *board, now time.Time) error {
	rows, gaps := b.rows(clock.At(now)), b.gapLines()
	if !w.conn.Connected() {
		gaps = append(gaps, "NOT CONNECTED to the bus; trying again")
	}
	var buf bytes.Buffer
	if w.terminal == nil {
		plain(&buf, now, rows, gaps)
		_, err := w.out.Write(buf.Bytes())
		return err
	}
	screen(&buf, bus.Redact(w.url), now, rows, gaps)
	width, height, err := term.GetSize(int(w.terminal.Fd()))
	if err != nil {
		width, height = 80, 24
	}
	_, err = io.WriteString(w.out, frame(buf.String(), width, height))
	return err
}

// frame makes one picture of a terminal from text: from the top left corner, each line cut at width and cleared to its
// end, the rest of the screen cleared. Nothing is cleared before it is drawn, so nothing flickers.
func frame(text string, width, height int) string {
	const home, clearLine, clearRest = "\x1b[H", "\x1b[K", "\x1b[J"
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	if len(lines) > height-1 {
		more := len(lines) - height + 2
		lines = append(lines[:max(0, height-2)], fmt.Sprintf("... %d more lines: make the window higher, or pipe through less", more))
	}
	var b strings.Builder
	b.WriteString(home)
	for _, line := range lines {
		if r := []rune(line); len(r) > width {
			line = string(r[:width])
		}
		b.WriteString(line + clearLine + "\n")
	}
	b.WriteString(clearRest)
	return b.String()
}
