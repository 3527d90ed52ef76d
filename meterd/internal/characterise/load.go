package characterise

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// Command is the load of a program, started anew for each busy phase, with its output going to out (nil: nowhere). There
// is no shell in between: what needs one names it, as in sh -c "...". The program leads a process group, which is killed
// as a whole at the end of the phase.
func Command(argv []string, out io.Writer) Load {
	return func(ctx context.Context) error {
		if len(argv) == 0 {
			return errors.New("run the load: no command")
		}
		c := exec.CommandContext(ctx, argv[0], argv[1:]...)
		c.Stdout, c.Stderr = out, out
		c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
		c.WaitDelay = 5 * time.Second // for output that a process outside of the group holds open
		if err := c.Start(); err != nil {
			return fmt.Errorf("run the load: %w", err)
		}
		err := c.Wait()
		syscall.Kill(-c.Process.Pid, syscall.SIGKILL) // what the program left behind; mostly there is nothing
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			return fmt.Errorf("run the load %s: %w", argv[0], err)
		}
		return nil
	}
}

// Burn is the built-in load of processors: arithmetic on as many threads as given.
func Burn(threads int) Load {
	return func(ctx context.Context) error {
		var wg sync.WaitGroup
		for range threads {
			wg.Go(func() { burn(ctx) })
		}
		wg.Wait()
		return ctx.Err()
	}
}

// burn keeps one thread busy until ctx ends. It looks every 100 µs or so.
func burn(ctx context.Context) {
	x := 1.0
	for ctx.Err() == nil {
		for range 20_000 {
			x = math.Sqrt(x*x + 1)
		}
	}
	sink(x)
}

// sink keeps the compiler from leaving the arithmetic out.
//
//go:noinline
func sink(float64) {}
