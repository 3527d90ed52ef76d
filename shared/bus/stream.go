package bus

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// The streams of one meterd. Each is a chain of sealed messages of its own.
const (
	Power        = "POWER"     // raw batches, subjects power.<host>.<source>
	RollupSecond = "ROLLUP_1S" // energy per second, rollup.1s.<host>.<source>
	RollupMinute = "ROLLUP_1M" // per minute, rollup.1m.<host>.<source>
	RollupHour   = "ROLLUP_1H" // per hour, rollup.1h.<host>.<source>
	cursors      = "CURSOR"    // how far each Cursor is, cursor.<stream>.<name>; not sealed
	cursorRoot   = "cursor"
)

// sealed are the streams that are chains.
var sealed = []string{Power, RollupSecond, RollupMinute, RollupHour}

// kind is a stream of roll-ups.
type kind struct {
	stream, root string
	age          time.Duration // for which they are kept where nothing else is said
	share        int64         // of ServerOptions.MaxBytes, one part in this many, may be taken beside the raw batches
}

// The shares are generous: roll-ups end by age.
var kinds = [3]kind{
	{RollupSecond, "rollup.1s", 30 * 24 * time.Hour, 2},
	{RollupMinute, "rollup.1m", 365 * 24 * time.Hour, 8},
	{RollupHour, "rollup.1h", 3650 * 24 * time.Hour, 16},
}

// makeStreams makes sure of every stream, with its limits.
func makeStreams(ctx context.Context, js jetstream.JetStream, o ServerOptions) error {
	for _, c := range streamConfigs(o) {
		if _, err := js.CreateOrUpdateStream(ctx, c); err != nil {
			return fmt.Errorf("make stream %s: %w", c.Name, err)
		}
	}
	return nil
}

func streamConfigs(o ServerOptions) []jetstream.StreamConfig {
	raw := fileStream(Power, "power batches, see batch.proto", subjects)
	// The server itself discards nothing: what goes is first named, by Keep. At the limit it takes nothing in until that is done.
	raw.MaxBytes, raw.Discard, raw.Duplicates = o.MaxBytes, jetstream.DiscardNew, min(dedupWindow, o.MaxAge)
	out := []jetstream.StreamConfig{raw}
	for i, k := range kinds {
		c := fileStream(k.stream, "roll-ups of power batches", k.root+".>")
		c.MaxBytes, c.MaxAge = max(o.MaxBytes/k.share, maxPayload), o.Rollups[i]
		c.Duplicates = min(dedupWindow, c.MaxAge)
		out = append(out, c)
	}
	places := fileStream(cursors, "how far the readers of this process are", cursorRoot+".>")
	places.MaxMsgsPerSubject = 1
	return append(out, places)
}

// fileStream describes a stream on the disk.
func fileStream(name, description, subjects string) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:        name,
		Description: description,
		Subjects:    []string{subjects},
		Storage:     jetstream.FileStorage,
		Retention:   jetstream.LimitsPolicy,
		Discard:     jetstream.DiscardOld,
		MaxMsgSize:  maxPayload,
		Replicas:    1,
		AllowDirect: true,
	}
}
