// Package wire is the published encoding of a power batch: batch.proto, in columns of small steps.
//
// The package writes and reads the columns itself, because they are where the bytes and the time are; any protobuf
// library reads the same bytes by batch.proto. Encode loses nothing but fractions of a microsecond, and pays for those by
// widening Sample.Within, so that the true time of a reading stays covered.
package wire

import (
	"math"

	"agentwatt/shared/power"
)

// Version is the version of batch.proto that this package writes, and the newest that it reads.
const Version = 1

// Limits on one batch, in both directions. They bound what a hostile batch can cost: Decode allocates at most a fixed
// multiple of the size of its input, whatever the input claims.
const (
	MaxMeters  = 4096    // meters in a batch
	MaxSamples = 1 << 20 // samples in a batch
	MaxText    = 4096    // bytes in any one text
	MaxNotes   = 4096    // notes in a batch
	MaxLosses  = 4096    // losses in a batch

	// maxMadeID bounds an id made from a kind and a device, which costs the sender almost nothing.
	maxMadeID = 256
)

// Field numbers of batch.proto. A test compares them with that file.
const (
	batchVersion = 1
	batchHost    = 2
	batchBoot    = 3
	batchRun     = 4
	batchSource  = 5
	batchSeq     = 6
	batchMissed  = 7
	batchClock   = 8
	batchOrigin  = 9
	batchDevices = 10
	batchKinds   = 11
	batchSeries  = 12
	batchNotes   = 13
	batchLosses  = 14

	lossRun    = 1
	lossSource = 2
	lossFirst  = 3
	lossLast   = 4
	lossReason = 5

	noteTime   = 1
	noteDevice = 2
	noteKey    = 3
	noteValue  = 4

	clockRead         = 1
	clockOffset       = 2
	clockEstError     = 3
	clockMaxError     = 4
	clockSynchronised = 5
	clockEpoch        = 6

	kindIDBefore      = 1
	kindIDAfter       = 2
	kindName          = 3
	kindScope         = 4
	kindQuantity      = 5
	kindScaleNum      = 6
	kindScaleDen      = 7
	kindWrap          = 8
	kindPeriod        = 9
	kindAveraging     = 10
	kindDelay         = 11
	kindLimit         = 12
	kindAccuracy      = 13
	kindModel         = 14
	kindSimulated     = 15
	kindPeriodFrom    = 16
	kindAveragingFrom = 17
	kindDelayFrom     = 18
	kindAccuracyFrom  = 19
	kindGainPPM       = 20
	kindCalibration   = 21
	kindBuffered      = 22
	kindStep          = 23

	seriesDevice     = 1
	seriesKind       = 2
	seriesID         = 3
	seriesTimeStep   = 4
	seriesRawStep    = 5
	seriesSameTimes  = 6
	seriesTime       = 7
	seriesWithin     = 8
	seriesRaw        = 9
	seriesDeviceTime = 10
	seriesStatus     = 11
)

// maxMicros is the last whole microsecond that a clock.Stamp or a time.Duration holds.
const maxMicros = math.MaxInt64 / 1000

// kind is what the meters of one kind share: a meter without device and id, and how the id is made.
type kind struct {
	before, after string
	meter         power.Meter // ID and Device are empty
}
