package status

import (
	"runtime"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"agentwatt/meterd/internal/sampler"
)

// collector turns a report into metrics at each scrape.
type collector struct {
	report func() Report
}

// Describe sends nothing: what there is depends on the host, and is checked at each scrape.
func (c collector) Describe(chan<- *prometheus.Desc) {}

// Collect sends the metrics of the present report.
func (c collector) Collect(out chan<- prometheus.Metric) {
	r := c.report()
	e := emitter{out}
	e.gauge("meterd_build_info", "Version of meterd, as a label; always 1.", 1, "version", r.Version, "goversion", runtime.Version())
	e.gauge("meterd_start_time_seconds", "When meterd started, since the Unix epoch.", seconds(r.Started))
	e.gauge("meterd_ready", "Whether readings are stored: 1, or 0 with the reasons on /readyz.", flag(len(r.Reasons()) == 0))
	e.gauge("meterd_alive", "Whether every sampler and the store moves.", flag(r.Alive == nil))
	e.meters(r)
	for _, s := range r.Sources {
		e.source(s)
	}
	e.store(r)
	e.clock(r)
	e.sink(r.Sink)
}

// emitter makes metrics.
type emitter struct{ out chan<- prometheus.Metric }

func (e emitter) gauge(name, help string, v float64, labels ...string) {
	e.send(prometheus.GaugeValue, name, help, v, labels)
}

func (e emitter) counter(name, help string, v float64, labels ...string) {
	e.send(prometheus.CounterValue, name, help, v, labels)
}

// send makes one metric; labels are names and values by turns.
func (e emitter) send(kind prometheus.ValueType, name, help string, v float64, labels []string) {
	var names, values []string
	for i := 0; i < len(labels); i += 2 {
		names, values = append(names, labels[i]), append(values, labels[i+1])
	}
	e.out <- prometheus.MustNewConstMetric(prometheus.NewDesc(name, help, names, nil), kind, v, values...)
}

func (e emitter) meters(r Report) {
	for _, m := range r.Meters {
		labels := []string{
			"host", r.Host, "source", m.Source, "meter", m.Meter.ID, "device", m.Meter.Device, "name", m.Meter.Name,
			"scope", string(m.Meter.Scope), "quantity", m.Meter.Quantity.String(), "simulated", strconv.FormatBool(m.Meter.Simulated),
		}
		if !m.Stale {
			e.gauge("meter_power_watts", "Power of a meter; absent while there is no fresh value. Scopes are not to be added up.", m.Watts, labels...)
		}
		e.counter("meter_energy_joules_total", "Energy of a meter since meterd started, gaps left out. Scopes are not to be added up.", m.Joules, labels...)
	}
}

func (e emitter) source(s Source) {
	st := s.Stats
	e.gauge("meterd_source_up", "Whether a source is there.", flag(!s.Gone), "source", s.Name)
	for _, c := range []struct {
		name, help string
		n          uint64
	}{
		{"meterd_reads_total", "Reads begun.", st.Ticks},
		{"meterd_ticks_missed_total", "Reads that were due and not begun.", st.Missed},
		{"meterd_reads_failed_total", "Reads that failed as a whole.", st.Failed},
		{"meterd_samples_total", "Samples read.", st.Samples},
		{"meterd_batches_total", "Batches stored.", st.Batches},
		{"meterd_batches_dropped_total", "Batches lost, which later ones name.", st.Dropped},
		{"meterd_publish_refused_total", "Attempts to store a batch that failed.", st.Refused},
	} {
		e.counter(c.name, c.help, float64(c.n), "source", s.Name)
	}
	e.gauge("meterd_queue_batches", "Batches that wait for the store.", float64(st.Queued), "source", s.Name)
	e.latency("meterd_read_seconds", "How long a read of a source takes, since the start.", st.Read, st.Ticks, s.Name)
	e.latency("meterd_late_seconds", "How late a read begins, since the start.", st.Late, st.Ticks, s.Name)
}

func (e emitter) latency(name, help string, l sampler.Latency, n uint64, source string) {
	if n == 0 {
		return
	}
	e.gauge(name, help, l.P50.Seconds(), "source", source, "percentile", "50")
	e.gauge(name, help, l.P99.Seconds(), "source", source, "percentile", "99")
	e.gauge(name, help, l.Max.Seconds(), "source", source, "percentile", "100")
}

func (e emitter) store(r Report) {
	if r.Direct != nil {
		e.gauge("meterd_cluster_connected", "Whether the cluster that takes the batches can be reached.", flag(*r.Direct))
	}
	for _, c := range r.Cursors {
		e.gauge("meterd_cursor_lag_messages", "Stored messages that a reader of the store has not done with.", float64(c.Messages), "cursor", c.Name)
	}
	if r.Store == nil {
		return
	}
	e.gauge("meterd_store_up", "Whether the store takes batches.", flag(r.Store.Down == ""))
	e.gauge("meterd_disk_free_bytes", "Room on the disk of the store.", float64(r.Store.Free))
	for _, s := range r.Store.Streams {
		e.gauge("meterd_stream_bytes", "Bytes of a stream.", float64(s.Bytes), "stream", s.Name)
		e.gauge("meterd_stream_limit_bytes", "Bytes that a stream may have.", float64(s.Limit), "stream", s.Name)
		e.gauge("meterd_stream_messages", "Messages in a stream.", float64(s.Messages), "stream", s.Name)
		e.gauge("meterd_stream_last_sequence", "Sequence of the last message of a stream.", float64(s.Last), "stream", s.Name)
		if s.FirstTime != 0 {
			e.gauge("meterd_stream_first_time_seconds", "When the oldest message of a stream was stored, since the Unix epoch.", seconds(s.FirstTime.Time()), "stream", s.Name)
		}
	}
	if h := r.Store.Hub; h.Configured {
		e.gauge("meterd_hub_connected", "Whether the hub can be reached.", flag(h.Connected))
		if h.Known {
			e.gauge("meterd_hub_behind_messages", "Batches that were not sent to the hub yet.", float64(h.Behind))
		}
	}
}

func (e emitter) clock(r Report) {
	e.counter("meterd_clock_segments_total", "Segments of the clock since the start: 1, and one more for each step or change of synchronisation.", float64(r.Segments))
	if r.Clock.Read == 0 {
		return
	}
	e.gauge("meterd_clock_synchronised", "Whether the kernel says that the clock is disciplined.", flag(r.Clock.Synchronised))
	e.gauge("meterd_clock_offset_seconds", "Correction that the kernel is applying.", r.Clock.Offset.Seconds())
	e.gauge("meterd_clock_estimated_error_seconds", "Error of the clock that the kernel estimates.", r.Clock.EstError.Seconds())
	e.gauge("meterd_clock_maximum_error_seconds", "Bound on the error of the clock, by the kernel.", r.Clock.MaxError.Seconds())
}

func (e emitter) sink(s *Sink) {
	if s == nil {
		return
	}
	e.gauge("meterd_influx_up", "Whether the last request to InfluxDB went well.", flag(!s.Failing))
	e.counter("meterd_influx_points_total", "Points written to InfluxDB.", float64(s.Points))
	e.counter("meterd_influx_requests_total", "Requests that InfluxDB took.", float64(s.Requests))
	e.counter("meterd_influx_retries_total", "Requests to InfluxDB that had to be repeated.", float64(s.Retries))
	e.counter("meterd_influx_rejected_total", "Points that InfluxDB will never take.", float64(s.Rejected))
	e.counter("meterd_influx_lost_total", "Messages that were gone before InfluxDB took them.", float64(s.Lost))
	if !s.LastSuccess.IsZero() {
		e.gauge("meterd_influx_last_success_time_seconds", "When InfluxDB last took something, since the Unix epoch.", seconds(s.LastSuccess))
	}
}

func flag(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func seconds(t time.Time) float64 { return float64(t.UnixNano()) / 1e9 }
