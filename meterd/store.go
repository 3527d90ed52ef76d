package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"agentwatt/shared/bus"
	"agentwatt/shared/fault"
)

// store is the embedded bus, open for writing.
type store struct {
	server    *bus.Server
	publisher *bus.Publisher
}

// openStore starts the embedded bus. It outlives ctx, so that the last batches find it.
func openStore(ctx context.Context, conf busConf, log *slog.Logger) (store, error) {
	server, err := bus.Serve(context.WithoutCancel(ctx), bus.ServerOptions{
		Listen: conf.Listen, Dir: conf.Dir, MaxBytes: int64(conf.MaxBytes), MaxAge: time.Duration(conf.MaxAge), Log: log,
	})
	if errors.Is(err, fs.ErrPermission) {
		return store{}, fault.Hint(err, "give meterd a directory that it may write to: --dir, or bus.dir in its configuration")
	}
	if err != nil {
		return store{}, fault.Hint(err, "if another meterd runs here, stop it, or give this one a --listen and a --dir of its own")
	}
	publisher, err := server.Publisher()
	if err != nil {
		server.Close()
		return store{}, fmt.Errorf("open the bus for writing: %w", err)
	}
	return store{server, publisher}, nil
}

func (s store) close() {
	s.publisher.Close()
	s.server.Close()
}
