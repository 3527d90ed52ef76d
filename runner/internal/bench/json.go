package bench

import (
	"encoding/json"
	"fmt"
	"math"
)

// number is a float in JSON that may be infinite ("inf", "-inf") or absent (NaN: null).
type number float64

// MarshalJSON writes the number.
func (n number) MarshalJSON() ([]byte, error) {
	switch v := float64(n); {
	case math.IsNaN(v):
		return []byte("null"), nil
	case math.IsInf(v, 1):
		return []byte(`"inf"`), nil
	case math.IsInf(v, -1):
		return []byte(`"-inf"`), nil
	default:
		return json.Marshal(v)
	}
}

// UnmarshalJSON reads what MarshalJSON writes.
func (n *number) UnmarshalJSON(data []byte) error {
	switch string(data) {
	case "null":
		*n = number(math.NaN())
	case `"inf"`:
		*n = number(math.Inf(1))
	case `"-inf"`:
		*n = number(math.Inf(-1))
	default:
		var v float64
		if err := json.Unmarshal(data, &v); err != nil {
			return fmt.Errorf("number %s: %w", data, err)
		}
		*n = number(v)
	}
	return nil
}

// The types below stand in JSON for those of result.go whose floats may be infinite or absent. They are written out field by
// field without names, so that a field added to one alone does not compile.

type observedJSON struct {
	Objective Objective `json:"objective"`
	Value     number    `json:"value"`
	Low       number    `json:"low"`
	High      number    `json:"high"`
	N         int       `json:"n"`
	Plays     int       `json:"plays"`
	Met       bool      `json:"met"`
}

// MarshalJSON writes infinite values as "inf" and absent ones as null.
func (o Observed) MarshalJSON() ([]byte, error) {
	return json.Marshal(observedJSON{o.Objective, number(o.Value), number(o.Low), number(o.High), o.N, o.Plays, o.Met})
}

// UnmarshalJSON reads what MarshalJSON writes.
func (o *Observed) UnmarshalJSON(data []byte) error {
	var j observedJSON
	err := json.Unmarshal(data, &j)
	*o = Observed{j.Objective, float64(j.Value), float64(j.Low), float64(j.High), j.N, j.Plays, j.Met}
	return err
}

type summaryJSON struct {
	N   int    `json:"n"`
	P5  number `json:"p5"`
	P25 number `json:"p25"`
	P50 number `json:"p50"`
	P75 number `json:"p75"`
	P90 number `json:"p90"`
	P95 number `json:"p95"`
	P99 number `json:"p99"`
}

// MarshalJSON writes infinite values as "inf". Without values there are no percentiles.
func (s Summary) MarshalJSON() ([]byte, error) {
	if s.N == 0 {
		return []byte(`{"n":0}`), nil
	}
	return json.Marshal(summaryJSON{s.N, number(s.P5), number(s.P25), number(s.P50), number(s.P75), number(s.P90), number(s.P95), number(s.P99)})
}

// UnmarshalJSON reads what MarshalJSON writes.
func (s *Summary) UnmarshalJSON(data []byte) error {
	var j summaryJSON
	err := json.Unmarshal(data, &j)
	*s = Summary{j.N, float64(j.P5), float64(j.P25), float64(j.P50), float64(j.P75), float64(j.P90), float64(j.P95), float64(j.P99)}
	return err
}

type agentSummaryJSON struct {
	Agent        int    `json:"agent"`
	Requests     int    `json:"requests"`
	Trajectories int    `json:"trajectories"`
	SpeedP25     number `json:"output_speed_p25"`
	TTFTP95      number `json:"ttft_p95_seconds"`
}

// MarshalJSON writes infinite values as "inf" and absent ones as null.
func (a AgentSummary) MarshalJSON() ([]byte, error) {
	return json.Marshal(agentSummaryJSON{a.Agent, a.Requests, a.Trajectories, number(a.SpeedP25), number(a.TTFTP95)})
}

// UnmarshalJSON reads what MarshalJSON writes.
func (a *AgentSummary) UnmarshalJSON(data []byte) error {
	var j agentSummaryJSON
	err := json.Unmarshal(data, &j)
	*a = AgentSummary{j.Agent, j.Requests, j.Trajectories, float64(j.SpeedP25), float64(j.TTFTP95)}
	return err
}

type contextBucketJSON struct {
	From     int    `json:"from_tokens"`
	To       int    `json:"to_tokens"`
	Requests int    `json:"requests"`
	SpeedP25 number `json:"output_speed_p25"`
	TTFTP95  number `json:"ttft_p95_seconds"`
}

// MarshalJSON writes infinite values as "inf" and absent ones as null.
func (b ContextBucket) MarshalJSON() ([]byte, error) {
	return json.Marshal(contextBucketJSON{b.From, b.To, b.Requests, number(b.SpeedP25), number(b.TTFTP95)})
}

// UnmarshalJSON reads what MarshalJSON writes.
func (b *ContextBucket) UnmarshalJSON(data []byte) error {
	var j contextBucketJSON
	err := json.Unmarshal(data, &j)
	*b = ContextBucket{j.From, j.To, j.Requests, float64(j.SpeedP25), float64(j.TTFTP95)}
	return err
}
