package trajectory

import (
	"encoding/hex"
	"maps"
	"slices"
)

// Summary is what can be said about a data set without playing it.
type Summary struct {
	Name         string         `json:"name"`
	License      string         `json:"license"`
	Source       string         `json:"source"`
	Digest       string         `json:"sha256"`
	Origins      map[string]int `json:"origins"` // trajectories by origin
	Trajectories int            `json:"trajectories"`
	Turns        int            `json:"turns"`
	TurnsEach    Spread         `json:"turns_per_trajectory"`
	MessageBytes Spread         `json:"message_bytes"`    // per turn, as sent
	PromptTokens Spread         `json:"prompt_tokens"`    // per turn, where recorded
	OutputTokens Spread         `json:"output_tokens"`    // per turn, where recorded
	Estimated    bool           `json:"tokens_estimated"` // token counts of a generator, not of a tokenizer
	ToolSeconds  Spread         `json:"tool_seconds"`     // per call, where recorded
	Calls        map[string]int `json:"calls"`            // by tool; "": name not recorded
	Declared     Spread         `json:"tools_declared"`   // per turn
	NoTools      int            `json:"turns_without_tools"`
	Longest      string         `json:"longest_trajectory"` // id of that with the longest request
	Stable       bool           `json:"prefix_stable"`
	SaltBefore   Spread         `json:"salt_before_offset"` // bytes into the messages, per trajectory
	SaltAfter    Spread         `json:"salt_after_offset"`
	Languages    map[string]int `json:"languages,omitempty"` // trajectories by language, where stated
}

// Spread describes the values of one quantity. Percentiles are nearest-rank order statistics.
type Spread struct {
	N    int     `json:"n"` // values; 0: not recorded, the others are 0 then
	Min  float64 `json:"min"`
	Mean float64 `json:"mean"`
	P50  float64 `json:"p50"`
	P95  float64 `json:"p95"`
	Max  float64 `json:"max"`
}

// spread sorts values.
func spread(values []float64) Spread {
	n := len(values)
	if n == 0 {
		return Spread{}
	}
	slices.Sort(values)
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	rank := func(percent int) float64 { return values[(n*percent+99)/100-1] }
	return Spread{n, values[0], sum / float64(n), rank(50), rank(95), values[n-1]}
}

// Summarize describes d.
func Summarize(d *Dataset) Summary {
	s := Summary{
		Name: d.Name, License: d.License, Source: d.Source, Digest: hex.EncodeToString(d.Digest[:]),
		Trajectories: len(d.Trajectories), Stable: true,
		Origins: map[string]int{}, Calls: map[string]int{}, Languages: map[string]int{},
	}
	var each, sent, prompt, output, tool, declared, before, after []float64
	count := map[string]float64{} // of tools, by their JSON
	longest := 0
	for _, t := range d.Trajectories {
		s.Origins[t.Origin]++
		s.Turns += len(t.Turns)
		s.Stable = s.Stable && t.stable()
		if language := t.language(); language != "" {
			s.Languages[language]++
		}
		each, before, after = append(each, float64(len(t.Turns))), append(before, float64(t.SaltBefore)), append(after, float64(t.SaltAfter))
		if len(t.Messages) > longest {
			longest, s.Longest = len(t.Messages), t.ID
		}
		s.Estimated = s.Estimated || t.Origin == "synth"
		for _, turn := range t.Turns {
			sent = append(sent, float64(turn.End))
			if turn.Prompt > 0 {
				prompt = append(prompt, float64(turn.Prompt))
			}
			if turn.Output > 0 {
				output = append(output, float64(turn.Output))
			}
			for _, c := range turn.Calls {
				s.Calls[c.Tool]++
				if c.Duration > 0 {
					tool = append(tool, float64(c.Duration)/1e9)
				}
			}
			if turn.Tools == nil {
				s.NoTools++
			}
			n, ok := count[string(turn.Tools)]
			if !ok {
				n = float64(len(list(bytesWithin(turn.Tools))))
				count[string(turn.Tools)] = n
			}
			declared = append(declared, n)
		}
	}
	s.TurnsEach, s.MessageBytes, s.PromptTokens, s.OutputTokens = spread(each), spread(sent), spread(prompt), spread(output)
	s.ToolSeconds, s.Declared, s.SaltBefore, s.SaltAfter = spread(tool), spread(declared), spread(before), spread(after)
	return s
}

// Names returns the keys of m, the most frequent first.
func Names(m map[string]int) []string {
	return slices.SortedFunc(maps.Keys(m), func(a, b string) int {
		if m[a] != m[b] {
			return m[b] - m[a]
		}
		if a < b {
			return -1
		}
		return 1
	})
}

// bytesWithin strips the brackets of an array.
func bytesWithin(array []byte) []byte {
	if len(array) < 2 {
		return nil
	}
	return array[1 : len(array)-1]
}

// stable reports whether each turn's messages begin with those of the turn before and end at the end of a message.
func (t *Trajectory) stable() bool {
	end := 0
	for _, turn := range t.Turns {
		if turn.End < end || turn.End > len(t.Messages) || turn.End < len(t.Messages) && t.Messages[turn.End] != ',' {
			return false
		}
		end = turn.End
	}
	return true
}

// language returns what the trajectory says about its programming language; empty: nothing.
func (t *Trajectory) language() string {
	extra, err := members(t.Turns[0].Extra)
	if err != nil {
		return ""
	}
	language, _ := text(find(extra, "language"))
	return language
}
