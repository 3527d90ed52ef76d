package simulate

import (
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"agentwatt/shared/power"
)

// writeJSON answers with v.
func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client went away: nobody to tell
}

// writeRefusal answers with an OpenAI error.
func writeRefusal(w http.ResponseWriter, err error) {
	r := &refusal{Status: http.StatusInternalServerError, Type: "server_error", Code: "stopped", Message: err.Error()}
	errors.As(err, &r)
	writeJSON(w, r.Status, struct {
		Error *refusal `json:"error"`
	}{r})
}

// models answers GET /v1/models.
func (s *Server) models(w http.ResponseWriter, _ *http.Request) {
	type model struct {
		ID      string `json:"id"`
		Object  string `json:"object"`
		Created int64  `json:"created"`
		OwnedBy string `json:"owned_by"`
		Longest int    `json:"max_model_len"`
	}
	writeJSON(w, http.StatusOK, struct {
		Object string  `json:"object"`
		Data   []model `json:"data"`
	}{"list", []model{{s.options.Model, "model", time.Now().Unix(), "agentwatt-simulate", s.p.MaxContext}}})
}

// power answers GET /power: what the devices show.
func (s *Server) power(w http.ResponseWriter, _ *http.Request) {
	type shown struct {
		ID      string       `json:"id"`
		Name    string       `json:"name"`
		Energy  power.Energy `json:"energy_microjoules"`
		Power   power.Power  `json:"power_microwatts"`
		Changed int64        `json:"changed_unix_nanos"`
		Limit   power.Power  `json:"limit_microwatts"`
	}
	now, devices := s.engine.devices()
	limit := PeakPower(s.p)
	list := make([]shown, 0, len(devices))
	for i, d := range devices {
		list = append(list, shown{deviceID(i), "Simulated accelerator", d.energy, d.mean, d.changed.UnixNano(), limit})
	}
	writeJSON(w, http.StatusOK, struct {
		Simulated bool          `json:"simulated"`
		Now       int64         `json:"unix_nanos"`
		Period    time.Duration `json:"period_nanos"`
		Devices   []shown       `json:"devices"`
	}{true, now.UnixNano(), s.p.CounterPeriod, list})
}

// truth answers GET /truth: what the engine really did.
func (s *Server) truth(w http.ResponseWriter, _ *http.Request) {
	t := s.Truth()
	writeJSON(w, http.StatusOK, struct {
		Simulated bool          `json:"simulated"`
		Start     int64         `json:"start_unix_nanos"`
		Now       int64         `json:"unix_nanos"`
		Energy    power.Energy  `json:"energy_microjoules"`
		Late      time.Duration `json:"late_max_nanos"`
		Steps     int           `json:"steps"`
		Tokens    int           `json:"output_tokens"`
		Prefilled int           `json:"prefilled_tokens"`
		Reused    int           `json:"reused_tokens"`
		Admitted  int           `json:"requests_admitted"`
		Finished  int           `json:"requests_finished"`
		Cancelled int           `json:"requests_cancelled"`
		Evicted   int           `json:"blocks_evicted"`
		Waiting   int           `json:"requests_waiting"`
		Running   int           `json:"requests_running"`
	}{
		true, t.Start.UnixNano(), t.Now.UnixNano(), t.Energy, t.Late,
		t.Totals.Steps, t.Totals.Tokens, t.Totals.Prefilled, t.Totals.Reused,
		t.Totals.Admitted, t.Totals.Finished, t.Totals.Cancelled, t.Totals.Evicted, t.Totals.Waiting, t.Totals.Running,
	})
}
