package bench

import (
	"time"

	"agentwatt/shared/clock"
	"agentwatt/shared/power"
)

// Experiment is what was run, as disclosed: identity of load, system, method. It is written to run.json before the first
// request and never changed.
type Experiment struct {
	ID          string      `json:"id"` // of the run
	Started     clock.Stamp `json:"started_unix_nanos"`
	Tool        string      `json:"tool"`                    // "runner <version>"
	Binary      string      `json:"binary_sha256"`           //
	Endpoint    string      `json:"endpoint"`                // URL without credentials
	Model       string      `json:"model"`                   //
	Dataset     string      `json:"dataset"`                 // file name
	DatasetSum  string      `json:"dataset_sha256"`          //
	Tiers       []Tier      `json:"tiers"`                   //
	TiersSum    string      `json:"tiers_sha256"`            //
	Profile     Profile     `json:"profile"`                 //
	Output      string      `json:"output_mode"`             // free, exact, recorded, fixed (METHOD 2)
	OutputAsked string      `json:"output_mode_asked"`       // before a visible fall-back
	OutputCap   int         `json:"output_cap"`              //
	ToolTime    string      `json:"tool_time_mode"`          // sampled, recorded, scaled, none
	Salt        string      `json:"salt_position"`           // before, after
	Seed        uint64      `json:"seed"`                    //
	Host        string      `json:"runner_host"`             //
	Boot        string      `json:"runner_boot"`             // kernel boot id: same boot, same clock
	Epoch       clock.Stamp `json:"runner_epoch_unix_nanos"` // the runner's stamp of that boot's monotonic zero; see clock.State
	Simulated   bool        `json:"simulated_endpoint"`
	System      System      `json:"system"` //
	Power       PowerPlan   `json:"power"`  //
	Server      ServerPlan  `json:"server_metrics,omitzero"`

	Fixed       *Fixed       `json:"fixed,omitempty"`       // a replay at one number of agents; nil: a search
	Calibration *Calibration `json:"calibration,omitempty"` // of the load generator, before the run; nil: it was not done
	Workers     []Worker     `json:"workers,omitempty"`     // that made the load; nil: the runner itself
}

// System describes what was tested and who says so. Free text is disclosed as given.
type System struct {
	Name         string            `json:"name"`
	Accelerator  string            `json:"accelerator"`          // product name
	Accelerators int               `json:"accelerators"`         // number in the deployment; 0: not stated
	Systems      int               `json:"systems"`              // number of systems; 0: not stated
	TDP          power.Power       `json:"tdp_microwatts"`       // nameplate of one accelerator; 0: not stated
	Submitter    string            `json:"submitter"`            // vendor or in-house
	Disclosure   map[string]string `json:"disclosure,omitempty"` // framework, version, parallelism, precision, ...
}

// PowerPlan says which power counts.
type PowerPlan struct {
	Bus      string        `json:"bus"`                // NATS URL without credentials; empty: no power
	Scopes   []power.Scope `json:"scopes"`             // headline scopes wanted; empty: all that are found
	Expected []string      `json:"expected,omitempty"` // device ids that must be present; empty: those seen before the first phase
	Idle     time.Duration `json:"idle_nanos"`         // measured before and after; 0: not
}
