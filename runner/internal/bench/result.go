package bench

import (
	"time"

	"agentwatt/shared/clock"
	"agentwatt/shared/power"
)

// Outcome of a phase for one tier, from the point estimate (METHOD 4).
type Outcome string

// The outcomes. Invalid says that the measurement, not the system, failed.
const (
	Pass     Outcome = "pass"
	Fail     Outcome = "fail"
	Invalid  Outcome = "invalid"
	Unjudged Outcome = "unjudged" // the phase ended early for other tiers and says nothing about this one
)

// Confidence says whether the interval around the point estimate agrees with the outcome.
type Confidence string

// The confidences.
const (
	Confident Confidence = "confident"
	Undecided Confidence = "undecided"
)

// Observed is one objective as seen in a phase.
type Observed struct {
	Objective Objective `json:"objective"`
	Value     float64   `json:"value"` // in the metric's base unit; +Inf is written as the string "inf", NaN (n = 0) as null
	Low       float64   `json:"low"`   // 95 % interval, bootstrap clustered by trajectory play
	High      float64   `json:"high"`  //
	N         int       `json:"n"`     // requests behind it
	Plays     int       `json:"plays"` // trajectory plays behind it; the interval decides nothing below 6
	Met       bool      `json:"met"`   //
}

// Verdict is a phase judged for one tier.
type Verdict struct {
	Tier       string     `json:"tier"`
	Outcome    Outcome    `json:"outcome"`
	Confidence Confidence `json:"confidence"`
	Observed   []Observed `json:"observed"`
	Reasons    []string   `json:"reasons,omitempty"` // why invalid or failed, beyond the objectives
}

// EndReason says why a phase ended.
type EndReason string

// The end reasons. Only EndStopRule can pass.
const (
	EndStopRule    EndReason = "stop-rule"
	EndCertain     EndReason = "failure-certain" // more violations than the rest of the phase could make good
	EndTimeout     EndReason = "timeout"         // never a pass
	EndInterrupted EndReason = "interrupted"     // by the user or a crash; judged by nobody
	EndLost        EndReason = "load-lost"       // a part of the load generator; PhaseFacts.Lost says which. Never valid
)

// PhaseFacts is what the load generator fixed about a phase before any power was read. They are in run.json.
type PhaseFacts struct {
	Index       int         `json:"index"`                   // from 1; names requests/phase-NNNN.parquet
	Agents      int         `json:"agents"`                  // N
	Purpose     string      `json:"purpose"`                 // "ramp", "bisect", "re-test"
	Begin       clock.Stamp `json:"begin_unix_nanos"`        // the fleet was told N
	Full        clock.Stamp `json:"full_unix_nanos"`         // all N agents active, none leaving; zero: never
	WindowBegin clock.Stamp `json:"window_begin_unix_nanos"` // half-open window; zero: never
	WindowEnd   clock.Stamp `json:"window_end_unix_nanos"`   //
	End         clock.Stamp `json:"end_unix_nanos"`          // requests begun inside the window drained, or given up
	Reason      EndReason   `json:"end_reason"`              //
	Client      ClientCost  `json:"client"`                  //

	Lost    string        `json:"lost,omitempty"`    // what was lost, with EndLost
	Workers []WorkerFacts `json:"workers,omitempty"` // nil: the load was made by the coordinator itself
}

// ClientCost is what the load generator cost and how late it was during a phase: the observer observed.
type ClientCost struct {
	CPU        time.Duration `json:"cpu_nanos"`                   // user and system time of the process
	GCPauseMax time.Duration `json:"gc_pause_max_nanos"`          //
	SchedP99   time.Duration `json:"scheduler_latency_p99_nanos"` // runtime scheduler latency
	SchedMax   time.Duration `json:"scheduler_latency_max_nanos"` //
	HeapBytes  uint64        `json:"heap_bytes"`                  //
	Host       *HostLoad     `json:"host,omitempty"`              // nil: the system does not tell
}

// HostLoad is what else happened on the load generator's host during a phase.
type HostLoad struct {
	Stolen  float64 `json:"stolen"`            // share of all processor time that the hypervisor gave to others
	Busiest float64 `json:"busiest_processor"` // share of time that the busiest processor was not idle
}

// Reading says how well the client kept up with the answers: what its own part in the times may be.
type Reading struct {
	Chunks     int     `json:"output_chunks"`      // events with output
	PerSecond  float64 `json:"chunks_per_second"`  // over the window
	Merged     float64 `json:"merged_share"`       // reads that held more than one, per chunk: by the server's or the network's doing, or because they came late
	Latest     Summary `json:"latest_read"`        // seconds from the kernel's stamp to the latest read of a request
	LateFirsts int     `json:"late_first_outputs"` // requests whose first output came in one read with others, and late: its stamp is not its own
	UserStamps int     `json:"user_stamped"`       // requests whose stamps are the reader's
}

// ScopePower is the power of one scope over a phase's window: the sum over its devices, each joule once.
type ScopePower struct {
	Scope       power.Scope       `json:"scope"`
	Mean        power.Power       `json:"mean_microwatts"`    // 0 unless Valid
	Energy      power.Energy      `json:"energy_microjoules"` // of the whole window; 0 unless Valid
	Coverage    float64           `json:"coverage"`           // the worst device's; 0 unless Valid
	Uncertainty power.Uncertainty `json:"uncertainty"`        //
	Devices     []string          `json:"devices"`            // counted, each once
	Meters      []string          `json:"meters"`             // ids of the meters counted, in the order of Devices
	Missing     []string          `json:"missing,omitempty"`  // expected and not valid
	Valid       bool              `json:"valid"`              // every expected device present and valid
	Simulated   bool              `json:"simulated"`          //
	Warnings    []power.Warning   `json:"warnings,omitempty"` //
	Uses        []power.Use       `json:"uses"`               // per meter: the one counted per device, and those it was checked against
}

// Phase is a phase evaluated.
type Phase struct {
	PhaseFacts
	Requests     int                `json:"requests"`               // begun inside the window; cancelled ones left out
	Failures     map[Failure]int    `json:"failures"`               // of them, by kind; cancelled ones are counted here only
	SingleChunk  int                `json:"single_chunk"`           // one-chunk answers: no output speed
	NoUsage      int                `json:"no_usage"`               // answers without token usage: no speed
	FirstAssumed int                `json:"first_chunk_assumed"`    // requests whose first chunk was taken for one token
	Trajectories int                `json:"trajectories"`           // completed inside the window
	Verdicts     []Verdict          `json:"verdicts"`               // one per tier, in the tiers' order
	Metrics      map[string]Summary `json:"metrics"`                // by metric name: output_speed, ttft, e2e_speed, lag, ...
	Agentwise    []AgentSummary     `json:"agents_detail"`          // per agent, by slot: what pooling hides
	SlowestAgent int                `json:"slowest_agent"`          // slot with the lowest P25 of output speed; -1: none
	LatestAgent  int                `json:"latest_agent"`           // slot with the highest P95 of TTFT; -1: none
	SpeedSpread  Summary            `json:"agent_output_speed_p25"` // distribution over the agents of each one's P25
	TTFTSpread   Summary            `json:"agent_ttft_p95"`         // distribution over the agents of each one's P95
	ByContext    []ContextBucket    `json:"by_context"`             //
	Tokens       Tokens             `json:"tokens"`                 //
	InFlight     float64            `json:"in_flight"`              // requests in flight, time-weighted mean over the window
	DutyCycle    float64            `json:"duty_cycle"`             // InFlight / Agents
	Reading      Reading            `json:"reading"`                //
	Power        []ScopePower       `json:"power,omitempty"`
	Server       *ServerWindow      `json:"server,omitempty"` // what the server told of itself in the window; nil: nothing
	Warnings     []string           `json:"warnings,omitempty"`
}

// Summary is the distribution of one metric over a phase's requests, failures included where the metric counts them.
type Summary struct {
	N                                int     `json:"n"`
	P5, P25, P50, P75, P90, P95, P99 float64 `json:"-"` // written by Summary's MarshalJSON as p5..p99, base unit, "inf" for infinity
}

// AgentSummary is one agent's share of a phase.
type AgentSummary struct {
	Agent        int     `json:"agent"`
	Requests     int     `json:"requests"`
	Trajectories int     `json:"trajectories"`
	SpeedP25     float64 `json:"output_speed_p25"` // NaN (null in JSON) where no request has one
	TTFTP95      float64 `json:"ttft_p95_seconds"` // NaN (null in JSON) where no request has one
}

// ContextBucket is the part of a phase whose prompts fall in [From, To) tokens.
type ContextBucket struct {
	From     int     `json:"from_tokens"`
	To       int     `json:"to_tokens"` // 0: no upper end
	Requests int     `json:"requests"`
	SpeedP25 float64 `json:"output_speed_p25"` // NaN (null in JSON) where no request has one
	TTFTP95  float64 `json:"ttft_p95_seconds"` // NaN (null in JSON) where no request has one
}

// Tokens are the token totals of a window, from the server's usage.
type Tokens struct {
	Prompt    int64 `json:"prompt"`
	Cached    int64 `json:"cached"`
	Output    int64 `json:"output"`
	Reasoning int64 `json:"reasoning"`
	Unknown   int   `json:"unknown_requests"` // answered without usage: their tokens are missing above
	// Requests whose server reported no cached tokens, and their prompt tokens: if all, Cached is unknown rather than 0.
	CachedUnknown  int   `json:"cached_unknown_requests"`
	PromptUncached int64 `json:"prompt_of_cached_unknown"`
}

// Standing of a printed figure (METHOD 1).
type Standing string

// The standings. An invalid figure has no number.
const (
	Valid        Standing = "valid"
	Degraded     Standing = "degraded"
	InvalidValue Standing = "invalid"
)

// Figure is agents per megawatt at one scope with everything METHOD 1 asks to print beside it.
type Figure struct {
	Scope               power.Scope       `json:"scope"`
	Standing            Standing          `json:"standing"`
	Reasons             []string          `json:"reasons,omitempty"`
	Agents              int               `json:"agents"`
	MeanPower           power.Power       `json:"mean_power_microwatts"`
	AgentsPerMegawatt   float64           `json:"agents_per_megawatt"`
	Low                 float64           `json:"agents_per_megawatt_low"`       // k = 2
	High                float64           `json:"agents_per_megawatt_high"`      // k = 2
	Uncertainty         power.Uncertainty `json:"uncertainty"`                   // bracket of N included
	Coverage            float64           `json:"coverage"`                      //
	Devices             []string          `json:"devices"`                       //
	PerAccelerator      float64           `json:"agents_per_accelerator"`        // 0: the number of accelerators is not known
	PerSystem           float64           `json:"agents_per_system"`             //
	WattsPerAgent       float64           `json:"watts_per_agent"`               //
	JoulesPerToken      float64           `json:"joules_per_output_token"`       //
	JoulesPerTurn       float64           `json:"joules_per_turn"`               //
	JoulesPerTrajectory float64           `json:"joules_per_trajectory"`         //
	JoulesPerFresh      float64           `json:"joules_per_fresh_input_token"`  //
	JoulesPerCached     float64           `json:"joules_per_cached_input_token"` //
	TokensPerSecond     float64           `json:"output_tokens_per_second"`      //
	Nameplate           float64           `json:"agents_per_megawatt_nameplate"` // from the stated TDP, never a measurement; 0: not stated
	Simulated           bool              `json:"simulated"`                     //
}

// TierResult is the answer for one tier.
type TierResult struct {
	Tier       Tier       `json:"tier"`
	Agents     int        `json:"agents"`     // largest N that passed; 0: none did
	FirstFail  int        `json:"first_fail"` // smallest N above Agents that failed; 0: none was tried
	Confidence Confidence `json:"confidence"` // of the phases at the edge
	Complete   bool       `json:"complete"`   // the search came to its end for this tier
	Monotone   bool       `json:"monotone"`   // no phase contradicts another
	SpreadLow  int        `json:"spread_low"` // the smallest answer that single phases support; Agents if monotone
	SpreadHigh int        `json:"spread_high"`
	Retests    []Retest   `json:"retests"` //
	Phase      int        `json:"phase"`   // index of the phase whose window gives the figures: the last pass at Agents; 0: none
	Figures    []Figure   `json:"figures"` // one per headline scope with power
	Notes      []string   `json:"notes,omitempty"`
	Fixed      *Tried     `json:"fixed,omitempty"` // of a replay at one N: there was no search, and Agents is 0
}

// Retest is one repetition of an N that had been judged before.
type Retest struct {
	Phase   int     `json:"phase"`
	Agents  int     `json:"agents"`
	Outcome Outcome `json:"outcome"`
}

// Result is everything that a run claims. It is a pure function of the run directory.
type Result struct {
	Schema     int            `json:"schema"` // 1
	Run        Experiment     `json:"experiment"`
	Simulated  bool           `json:"simulated"`  // endpoint or meters are simulated: never evidence about hardware
	Comparable bool           `json:"comparable"` // profile and modes are those of a published method
	Complete   bool           `json:"complete"`   // the search came to its end
	Tiers      []TierResult   `json:"tiers"`
	Phases     []Phase        `json:"phases"`
	IdleBefore []ScopePower   `json:"idle_before,omitempty"`
	IdleAfter  []ScopePower   `json:"idle_after,omitempty"`
	Context    []Context      `json:"power_context,omitempty"`  // what the meters told beside their samples
	Server     *ServerMetrics `json:"server_metrics,omitempty"` // how the server was watched; nil: not known
	Warnings   []string       `json:"warnings,omitempty"`
}
