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
	Subagents    int            `json:"subagents"`
	AtOnce       int            `json:"conversations_at_once"` // the most that one trajectory can have under way
	Turns        int            `json:"turns"`                 // those of sub-agents included, as in all that follows
	TurnsEach    Spread         `json:"turns_per_trajectory"`
	MessageBytes Spread         `json:"message_bytes"`    // per turn, as sent
	PromptTokens Spread         `json:"prompt_tokens"`    // per turn, where recorded
	OutputTokens Spread         `json:"output_tokens"`    // per turn, where recorded
	Estimated    bool           `json:"tokens_estimated"` // token counts of a generator, not of a tokenizer
	ToolSeconds  Spread         `json:"tool_seconds"`     // per call, where recorded
	ToolTotal    float64        `json:"tool_seconds_total"`
	Calls        map[string]int `json:"calls"`          // by tool; "": name not recorded
	Declared     Spread         `json:"tools_declared"` // per turn
	NoTools      int            `json:"turns_without_tools"`
	Longest      string         `json:"longest_trajectory"` // id of that with the longest request
	Stable       bool           `json:"prefix_stable"`
	SaltBefore   Spread         `json:"salt_before_offset"` // bytes into the messages, per conversation
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
	v := values{tools: map[string]float64{}, s: Summary{
		Name: d.Name, License: d.License, Source: d.Source, Digest: hex.EncodeToString(d.Digest[:]),
		Trajectories: len(d.Trajectories), Stable: true,
		Origins: map[string]int{}, Calls: map[string]int{}, Languages: map[string]int{},
	}}
	longest := 0
	for _, t := range d.Trajectories {
		v.trajectory(t)
		for _, c := range t.All() {
			if len(c.Messages) > longest {
				longest, v.s.Longest = len(c.Messages), t.ID
			}
		}
	}
	s := v.s
	s.TurnsEach, s.MessageBytes, s.PromptTokens, s.OutputTokens = spread(v.each), spread(v.sent), spread(v.prompt), spread(v.output)
	s.ToolSeconds, s.Declared, s.SaltBefore, s.SaltAfter = spread(v.tool), spread(v.declared), spread(v.before), spread(v.after)
	return s
}

// values collects what a summary spreads.
type values struct {
	s     Summary
	tools map[string]float64 // number of tools by their JSON, which many turns share

	each, sent, prompt, output, tool, declared, before, after []float64
}

func (v *values) trajectory(t *Trajectory) {
	v.s.Origins[t.Origin]++
	v.s.Turns += t.TreeTurns()
	v.s.Subagents += t.TreeSubagents()
	v.s.AtOnce = max(v.s.AtOnce, t.AtOnce())
	v.s.Estimated = v.s.Estimated || t.Origin == "synth"
	if language := t.language(); language != "" {
		v.s.Languages[language]++
	}
	v.each = append(v.each, float64(t.TreeTurns()))
	for _, c := range t.All() {
		v.s.Stable = v.s.Stable && c.stable()
		v.before = append(v.before, float64(c.SaltBefore))
		v.after = append(v.after, float64(c.SaltAfter))
		for _, turn := range c.Turns {
			v.turn(turn)
		}
	}
}

func (v *values) turn(t Turn) {
	v.sent = append(v.sent, float64(t.End))
	if t.Prompt > 0 {
		v.prompt = append(v.prompt, float64(t.Prompt))
	}
	if t.Output > 0 {
		v.output = append(v.output, float64(t.Output))
	}
	for _, c := range t.Calls {
		v.s.Calls[c.Tool]++
		if c.Duration > 0 {
			v.tool = append(v.tool, float64(c.Duration)/1e9)
			v.s.ToolTotal += float64(c.Duration) / 1e9
		}
	}
	if t.Tools == nil {
		v.s.NoTools++
	}
	n, ok := v.tools[string(t.Tools)]
	if !ok && t.Tools != nil {
		n = float64(len(list(t.Tools[1 : len(t.Tools)-1])))
		v.tools[string(t.Tools)] = n
	}
	v.declared = append(v.declared, n)
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
