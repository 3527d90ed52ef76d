package clock

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Answer is what a host says when it is asked for its clock.
type Answer struct {
	Host     string `json:"host"`
	Boot     string `json:"boot"`                // kernel boot id; empty: not known
	Run      string `json:"run"`                 // segment whose clock the stamps are on
	Epoch    Stamp  `json:"epoch_unix_nanos"`    // that clock's stamp of the boot's monotonic zero
	Received Stamp  `json:"received_unix_nanos"` // when the question came
	Sent     Stamp  `json:"sent_unix_nanos"`     // and when the answer went
	Kernel   Kept   `json:"kernel"`              //
}

// Kept is the kernel's opinion of a wall clock, as in State, in a form for files and messages.
type Kept struct {
	Known        bool          `json:"known"`
	Synchronised bool          `json:"synchronised"`
	Offset       time.Duration `json:"offset_nanos"`
	EstError     time.Duration `json:"estimated_error_nanos"`
	MaxError     time.Duration `json:"maximum_error_nanos"`
}

// Answerer returns what answers questions for the clock of this host and boot. The question's content does not matter.
func (s *Segments) Answerer(host, boot string) func([]byte) []byte {
	return func([]byte) []byte {
		received, segment := s.Now(), s.Current()
		k := segment.State(s.Kernel())
		a := Answer{
			Host: host, Boot: boot, Run: segment.Run, Epoch: k.Epoch, Received: segment.Stamp(received),
			Kernel: Kept{k.Read != 0, k.Synchronised, k.Offset, k.EstError, k.MaxError},
		}
		a.Sent = segment.Stamp(s.Now()) // what encoding takes counts as the answer's way
		data, err := json.Marshal(a)
		if err != nil {
			return nil // cannot happen: texts and numbers
		}
		return data
	}
}

const (
	mostAnswer = 4096 // bytes
	mostName   = 1000 // bytes of a name in it
	mostStamp  = Stamp(1) << 62
)

// ParseAnswer reads an answer and refuses one that makes no sense.
func ParseAnswer(data []byte) (Answer, error) {
	var a Answer
	err := func() error {
		if len(data) > mostAnswer {
			return fmt.Errorf("%d bytes, at most %d", len(data), mostAnswer)
		}
		if err := json.Unmarshal(data, &a); err != nil {
			return err
		}
		switch {
		case len(a.Host) > mostName || len(a.Boot) > mostName || len(a.Run) > mostName:
			return errors.New("a name is too long")
		case a.Boot == "" || a.Epoch == 0:
			return errors.New("the host does not know its boot or its monotonic clock")
		case max(a.Epoch, -a.Epoch) > mostStamp || a.Received < 0 || a.Received > mostStamp || a.Sent < a.Received || a.Sent > mostStamp:
			return errors.New("its stamps cannot be")
		}
		return nil
	}()
	if err != nil {
		return Answer{}, fmt.Errorf("read the answer of a clock: %w", err)
	}
	return a, nil
}

// Exchange is one question to a host's clock and its answer, in terms of the two monotonic clocks, so that nothing that
// happens to the wall clocks matters: times are since the zero of each machine's CLOCK_MONOTONIC.
type Exchange struct {
	Host     string        `json:"host"`
	Boot     string        `json:"boot"`
	Run      string        `json:"run"`                    // of the host's meterd, with its segment
	Asked    time.Duration `json:"asked_runner_nanos"`     // sent, on the runner's clock
	Received time.Duration `json:"received_host_nanos"`    // on the host's
	Sent     time.Duration `json:"sent_host_nanos"`        //
	Got      time.Duration `json:"got_runner_nanos"`       //
	Tries    int           `json:"questions"`              // of which this exchange was the one with the shortest way
	Failed   int           `json:"questions_not_answered"` //
	Epoch    Stamp         `json:"host_epoch_unix_nanos"`  // of Run
	Kernel   Kept          `json:"host_kernel"`            //
}

// Between makes an exchange of an answer and the stamps of asking and getting it, on a clock with the given epoch.
func Between(asked, got, epoch Stamp, a Answer) Exchange {
	return Exchange{
		Host: a.Host, Boot: a.Boot, Run: a.Run, Epoch: a.Epoch, Kernel: a.Kernel, Asked: asked.Sub(epoch), Got: got.Sub(epoch),
		Received: a.Received.Sub(a.Epoch), Sent: a.Sent.Sub(a.Epoch),
	}
}

// Ask asks a host for its clock so many times and returns the exchange with the shortest way. now and epoch are of the own clock; ask
// returns the host's answer as it came. A host that does not answer twice before its first answer is not asked again: the
// error is then its last.
func Ask(tries int, now func() Stamp, epoch Stamp, ask func() ([]byte, error)) (best Exchange, err error) {
	answered, failed := false, 0
	for range tries {
		asked := now()
		data, failure := ask()
		got := now()
		var a Answer
		if failure == nil {
			a, failure = ParseAnswer(data)
		}
		if failure != nil {
			if failed++; failed == 2 && !answered {
				return best, failure
			}
			err = failure
			continue
		}
		if x := Between(asked, got, epoch, a); !answered || x.Way() < best.Way() {
			best, answered = x, true
		}
	}
	if !answered {
		return best, err
	}
	best.Tries, best.Failed = tries, failed
	return best, nil
}

// Way returns how long question and answer were under way, both together.
func (x Exchange) Way() time.Duration { return (x.Got - x.Asked) - (x.Sent - x.Received) }

// least bounds what an exchange can know from below: the readings of four clocks, and their rates while it lasts.
const least = time.Microsecond

// Offset returns how far the host's monotonic clock is ahead of the runner's, and the bound of its error: half the way, as
// all of it may have been spent in one direction.
func (x Exchange) Offset() (ahead, within time.Duration) {
	return (x.Received-x.Asked)/2 + (x.Sent-x.Got)/2, x.Way()/2 + least
}

// longest bounds times in an exchange: 36 years of uptime.
const longest = time.Duration(1) << 60

// plausible reports whether an exchange can have taken place.
func (x Exchange) plausible() bool {
	for _, d := range []time.Duration{x.Asked, x.Received, x.Sent, x.Got} {
		if d < 0 || d > longest {
			return false
		}
	}
	return x.Got >= x.Asked && x.Sent >= x.Received && x.Way() >= -least
}
