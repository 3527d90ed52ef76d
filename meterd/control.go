package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"agentwatt/shared/fault"
)

// The control socket is how meterd reload reaches the daemon: in the directory of the store, which is its user's alone, and
// open to that user and root.
const (
	controlName  = "control"
	controlLimit = 30 * time.Second // for the whole of one request
	wordReload   = "reload"
)

// reply is the answer to one request.
type reply struct {
	Changed []string `json:"changed,omitempty"` // what was started, stopped or changed
	Error   string   `json:"error,omitempty"`
	Hint    string   `json:"hint,omitempty"`
}

// serveControl answers requests until ctx ends. Each connection is one request: a word and a line break.
func serveControl(ctx context.Context, dir string, log *slog.Logger, reload func(context.Context) ([]string, error)) (wait func(), err error) {
	path := filepath.Join(dir, controlName)
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) { // of a meterd before; the store's lock says it is gone
		return nil, fmt.Errorf("listen for meterd reload: %w", err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("listen for meterd reload: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		l.Close()
		return nil, fmt.Errorf("listen for meterd reload: %w", err)
	}
	context.AfterFunc(ctx, func() { l.Close() })
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			answerControl(ctx, c.(*net.UnixConn), log, reload)
		}
	}()
	return func() { <-done }, nil
}

// answerControl serves one connection. One after the other: two reloads at a time make no sense.
func answerControl(ctx context.Context, c *net.UnixConn, log *slog.Logger, reload func(context.Context) ([]string, error)) {
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(controlLimit)); err != nil {
		return
	}
	if uid, err := peer(c); err != nil || uid != 0 && int(uid) != os.Geteuid() {
		log.Warn("a request by another user was refused", "uid", uid, "err", err)
		return
	}
	_ = c.SetReadDeadline(time.Now().Add(time.Second)) // whoever sends nothing must not keep others out
	word, err := bufio.NewReaderSize(c, 64).ReadSlice('\n')
	var r reply
	switch {
	case err != nil:
		return
	case string(word) == wordReload+"\n":
		if r.Changed, err = reload(ctx); err != nil {
			r = reply{Error: err.Error(), Hint: fault.Advice(err)}
		}
	default:
		r.Error = "unknown request"
	}
	_ = json.NewEncoder(c).Encode(r) // who asked may be gone
}

// peer returns who is at the other end.
func peer(c *net.UnixConn) (uid uint32, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	var cred *unix.Ucred
	if e := raw.Control(func(fd uintptr) { cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }); e != nil || err != nil {
		return 0, errors.Join(e, err)
	}
	return cred.Uid, nil
}

func reloadCommand() *cobra.Command {
	var f flags
	c := &cobra.Command{
		Use:   "reload",
		Short: "Have a running meterd read its configuration again",
		Long: `reload has the meterd that uses bus.dir read its configuration again, and says what
changed. Sources that stay as they were go on without losing a reading. A configuration
that cannot be used is refused, with the reason, and the old one stays in force; so is
one that changes what only a restart can change. SIGHUP does the same, and says it in
the log.`,
		Example: `  meterd reload -c /etc/meterd/meterd.yaml
  systemctl reload meterd`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			conf, err := f.load()
			if err != nil {
				return err
			}
			r, err := requestReload(c.Context(), conf.Bus.Dir)
			if err != nil {
				return err
			}
			if len(r.Changed) == 0 {
				fmt.Fprintln(c.OutOrStdout(), "nothing changed")
			}
			for _, what := range r.Changed {
				fmt.Fprintln(c.OutOrStdout(), what)
			}
			return nil
		},
	}
	c.Flags().StringVarP(&f.file, "config", "c", "", "the configuration `file` of the running meterd")
	c.Flags().StringVar(&f.dir, "dir", "", "its `directory`, instead of bus.dir")
	return c
}

// requestReload asks the meterd whose store is in dir.
func requestReload(ctx context.Context, dir string) (reply, error) {
	path := filepath.Join(dir, controlName)
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", path)
	if err != nil {
		return reply{}, fault.Hint(fmt.Errorf("reach the running meterd: %w", err), "meterd must be running with this bus.dir, and you its user or root")
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(controlLimit)); err != nil {
		return reply{}, err
	}
	if _, err := fmt.Fprintln(conn, wordReload); err != nil {
		return reply{}, fmt.Errorf("ask the running meterd: %w", err)
	}
	var r reply
	if err := json.NewDecoder(conn).Decode(&r); err != nil {
		return reply{}, fmt.Errorf("ask the running meterd, which may have refused: %w", err)
	}
	if r.Error != "" {
		err := fmt.Errorf("refused, nothing changed: %s", r.Error)
		if r.Hint != "" {
			err = fault.Hint(err, "%s", r.Hint)
		}
		return reply{}, err
	}
	return r, nil
}
