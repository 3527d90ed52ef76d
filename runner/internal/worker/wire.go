// Package worker lets other hosts make the load of a run: workers offer themselves on NATS as a micro service, a coordinator gives
// each a share of the agents and merges their raw records on its own clock. A worker that dies, stalls or loses a record ends the
// phase, and is named.
package worker

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/klauspost/compress/zstd"

	"agentwatt/runner/internal/agent"
	"agentwatt/runner/internal/bench"
	"agentwatt/shared/clock"
)

// Service is the name under which workers offer themselves.
const Service = "agentwatt-worker"

// Subjects. A worker's own have its service id, those of a run its id.
const (
	workerRoot = "agentwatt.worker." // <id>.<verb>
	loadRoot   = "agentwatt.load."   // <run>.<what>
)

// The verbs of a worker.
const (
	verbPrepare = "prepare" // Job; answers when its agents could start
	verbResize  = "resize"  // resize; answers at once, beats tell when it is done
	verbState   = "state"   // answers state, after all records before it are stored
	verbCost    = "cost"    // answers bench.ClientCost since the question before
	verbClock   = "clock"   // answers clock.Answer
	verbRelease = "release" // ends the job; answers when its agents have ended
)

// Job is a worker's part of a run.
type Job struct {
	Run       string          `json:"run"`
	Index     int             `json:"index"`   // of the worker, from 0
	Workers   int             `json:"workers"` // the worker has the agents Index, Index+Workers, Index+2*Workers, ...
	Dataset   string          `json:"dataset"` // object in the run's bucket: trajectories in the native format
	Plan      agent.Plan      `json:"plan"`    // without trajectories
	Spawn     float64         `json:"spawn_per_second"`
	Endpoint  json.RawMessage `json:"endpoint"`     // what the program makes its client of; no key
	Calibrate float64         `json:"calibrate_to"` // chunks per second; negative: not
	Lease     time.Duration   `json:"lease_nanos"`  // the job ends when the coordinator is silent for so long
	Beat      time.Duration   `json:"beat_nanos"`   // time between signs of life
	Flush     time.Duration   `json:"flush_nanos"`  // records are sent that often
}

// Ready is what a worker says when it is prepared.
type Ready struct {
	Calibration *bench.Calibration `json:"calibration,omitempty"`
}

// resize asks for a number of agents.
type resize struct {
	Ask    int           `json:"ask"` // number of the question, from 1
	Agents int           `json:"agents"`
	Delay  time.Duration `json:"delay_nanos"` // before the first is spawned, so that workers take turns
}

// state is the agents of a worker at one moment.
type state struct {
	Records  int            `json:"records"` // messages with records that came before
	InFlight []bench.Record `json:"in_flight"`
}

// beat is a sign of life.
type beat struct {
	Now    clock.Stamp `json:"now"`
	Active int         `json:"active"`
	Ask    int         `json:"ask"`  // the last resize that is done
	Full   clock.Stamp `json:"full"` // when it was
	Broken string      `json:"broken,omitempty"`
}

// batch is a message with records.
type batch struct {
	Seq     int            `json:"seq"` // from 1
	Records []bench.Record `json:"records"`
}

// Messages are JSON in zstd: both ends are the same program, and records compress well.
var (
	encoder, _ = zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest))
	decoder, _ = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxMessage))
)

// maxMessage bounds a message, unpacked.
const maxMessage = 256 << 20

func pack(v any) ([]byte, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return encoder.EncodeAll(data, nil), nil
}

func unpack(data []byte, v any) error {
	plain, err := decoder.DecodeAll(data, nil)
	if err == nil {
		err = json.Unmarshal(plain, v)
	}
	if err != nil {
		return fmt.Errorf("read a message of %d bytes: %w", len(data), err)
	}
	return nil
}

func subject(run, what string) string { return loadRoot + run + "." + what }
