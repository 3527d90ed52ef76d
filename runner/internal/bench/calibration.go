package bench

import "time"

// Calibration is what the load generator could do before the run, against a server of its own that knows when it sent what
// (METHOD 3). It is the floor of every time in the result.
type Calibration struct {
	StreamRate float64           `json:"tokens_per_second_and_stream"`
	Proven     float64           `json:"proven_chunks_per_second"` // the rate of the last clean step; 0: none was
	Steps      []CalibrationStep `json:"steps"`
}

// CalibrationStep is one rate. Times are in seconds.
type CalibrationStep struct {
	Streams   int           `json:"streams"`
	Chunks    int           `json:"chunks"`
	PerSecond float64       `json:"chunks_per_second"`
	Stamp     Summary       `json:"stamp_error"` // of a token's stamp, against when it was sent
	TTFT      Summary       `json:"ttft"`        // of a server that answers at once: what client, kernel and that server add
	Lag       Summary       `json:"lag"`         // how late requests were sent
	Merged    float64       `json:"merged_share"`
	CPU       time.Duration `json:"cpu_per_chunk_nanos"`
	Clean     bool          `json:"clean"` // the client kept up
}

// headroom is how much more than a phase asks of it the client must have been seen to do.
const headroom = 1.5

// unproven reports whether a phase asked more of the client than it was calibrated for. A client that was not calibrated is
// not held to anything here; the result says so elsewhere.
func (c *Calibration) unproven(perSecond float64) bool {
	return c != nil && headroom*perSecond > c.Proven
}
