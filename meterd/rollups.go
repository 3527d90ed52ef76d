package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"agentwatt/meterd/internal/rollup"
	"agentwatt/shared/bus"
)

// rollupConf says how long roll-ups are kept.
type rollupConf struct {
	Second span `yaml:"second"`
	Minute span `yaml:"minute"`
	Hour   span `yaml:"hour"`
}

// check finds ages that would discard the finer after the coarser.
func (r rollupConf) check() error {
	if r.Second > r.Minute || r.Minute > r.Hour {
		return fmt.Errorf("rollups: the coarser are kept at least as long as the finer: second %v, minute %v, hour %v",
			time.Duration(r.Second), time.Duration(r.Minute), time.Duration(r.Hour))
	}
	return nil
}

// ages returns them as the store wants them.
func (r rollupConf) ages() [3]time.Duration {
	return [3]time.Duration{time.Duration(r.Second), time.Duration(r.Minute), time.Duration(r.Hour)}
}

// rollUp makes roll-ups until ctx ends. Without them measuring goes on.
func rollUp(ctx context.Context, server *bus.Server, log *slog.Logger) {
	r, err := rollup.New(ctx, server, log)
	if err == nil {
		err = r.Run(ctx)
	}
	if err != nil && ctx.Err() == nil {
		log.Error("no roll-ups are made", "err", err)
	}
}
