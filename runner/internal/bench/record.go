// Package bench turns what was seen into what is claimed: records of requests, windows, tiers and their verdicts, the
// capacity search, the join with power, and the result. METHOD sections 1 and 3 to 6 are its specification.
//
// The package is pure: no network, no goroutine, no clock, no log. The live run, `runner report` and `runner verify`
// call the same functions on the same records.
package bench

import (
	"slices"
	"time"

	"agentwatt/shared/clock"
)

// StampSource says who took the receive stamps of a request.
type StampSource string

// Receive stamps are the kernel's where it gives them, else taken by the reader before parsing (METHOD 3).
const (
	KernelStamps StampSource = "kernel"
	UserStamps   StampSource = "user"
)

// Failure is the kind of failure of a request; empty means it did not fail.
type Failure string

// The failures of METHOD 3. A failed request counts as TTFT = infinity and speed = 0 in every denominator.
const (
	FailConnect   Failure = "connect"   // no connection
	FailWrite     Failure = "write"     // the request could not be written
	FailStatus    Failure = "status"    // not 2xx; Reply.Status has it
	FailTimeout   Failure = "timeout"   // a deadline of a stage passed
	FailStream    Failure = "stream"    // an error inside a 200 stream
	FailTruncated Failure = "truncated" // the stream ended without its end
	FailEmpty     Failure = "empty"     // zero output tokens
	FailProtocol  Failure = "protocol"  // not HTTP, not SSE, or not the API
	InFlight      Failure = "in-flight" // not finished when the phase was closed; a violation if it waited longer than the limit
	Cancelled     Failure = "cancelled" // the run was interrupted; never counted
)

// Unknown marks a token count that the server did not report. Zero is a count.
const Unknown = -1

// Reply is what the endpoint client saw of one request. Stamps that did not happen are zero.
type Reply struct {
	WriteBegin  clock.Stamp `parquet:"write_begin_unix_nanos,delta"`  // just before the first byte was given to the socket
	WriteEnd    clock.Stamp `parquet:"write_end_unix_nanos,delta"`    // after the last byte was
	Headers     clock.Stamp `parquet:"headers_unix_nanos,delta"`      // response header complete
	FirstByte   clock.Stamp `parquet:"first_byte_unix_nanos,delta"`   // first body byte
	FirstOutput clock.Stamp `parquet:"first_output_unix_nanos,delta"` // first event with output (METHOD 3)
	FirstAnswer clock.Stamp `parquet:"first_answer_unix_nanos,delta"` // first output that is not reasoning
	LastOutput  clock.Stamp `parquet:"last_output_unix_nanos,delta"`  //
	Done        clock.Stamp `parquet:"done_unix_nanos,delta"`         // stream drained, or failed

	Stamps       StampSource   `parquet:"stamps,dict"`          //
	UserLagMax   time.Duration `parquet:"user_lag_max_nanos"`   // largest difference between user and kernel stamp; 0 if user stamps
	Reused       bool          `parquet:"reused_connection"`    // the connection had carried a request before
	Status       int           `parquet:"http_status"`          // 0: no response
	Failure      Failure       `parquet:"failure,dict"`         //
	Detail       string        `parquet:"detail,dict"`          // of the failure, one line
	Finish       string        `parquet:"finish_reason,dict"`   //
	Model        string        `parquet:"served_model,dict"`    // as the server names itself in the stream
	BodyBytes    int           `parquet:"body_bytes"`           // request body
	Events       int           `parquet:"events"`               // server-sent events with a payload, [DONE] excluded
	Chunks       int           `parquet:"output_chunks"`        // events with output
	MergedReads  int           `parquet:"merged_reads"`         // reads that held more than one output event: they share one stamp
	FirstRead    int           `parquet:"first_read_chunks"`    // events with output in the read that brought the first one: they share its stamp
	FirstReadLag time.Duration `parquet:"first_read_lag_nanos"` // how late that read was, against the kernel's stamp; 0 if user stamps
	Prompt       int           `parquet:"prompt_tokens"`        // from usage; Unknown
	Cached       int           `parquet:"cached_tokens"`        // from usage; Unknown
	Output       int           `parquet:"output_tokens"`        // from usage, reasoning included; Unknown
	Reasoning    int           `parquet:"reasoning_tokens"`     // from usage; Unknown
	FirstChunk   int           `parquet:"first_chunk_tokens"`   // tokens in the first output chunk; see FirstKnown
	FirstKnown   bool          `parquet:"first_chunk_known"`    // FirstChunk is from continuous usage; else it is assumed to be 1
	ToolCalls    int           `parquet:"tool_calls"`           // tool calls in the answer
	OutputBytes  int           `parquet:"output_bytes"`         // text of content, reasoning and tool-call arguments
}

// Record is one turn as it was played: one row of requests/phase-NNNN.parquet.
type Record struct {
	Phase      int    `parquet:"phase"`           // phase during which the request began
	Agent      int    `parquet:"agent"`           // slot, from 0
	Play       int    `parquet:"play"`            // ordinal of the trajectory play of this agent in this run, from 0
	Trajectory string `parquet:"trajectory,dict"` //
	Turn       int    `parquet:"turn"`            // index in the conversation
	Turns      int    `parquet:"turns"`           // turns in the conversation
	Salt       string `parquet:"salt,dict"`       //

	Conversation int `parquet:"conversation"` // of the trajectory: 0 is the main one, then its sub-agents in the order of the file

	Sched       clock.Stamp   `parquet:"sched_unix_nanos,delta"` // when it was due: end of the planned tool time
	ToolTool    string        `parquet:"tool,dict"`              // tool whose time precedes this request; empty: none
	ToolPlanned time.Duration `parquet:"tool_planned_nanos"`     // tool time planned before this request
	ToolActual  time.Duration `parquet:"tool_actual_nanos"`      // from the end of the previous answer to WriteBegin

	Recorded  int `parquet:"recorded_output_tokens"` // recorded output length; 0: not known
	Requested int `parquet:"requested_max_tokens"`   // the cap that was sent
	Shared    int `parquet:"shared_prefix_bytes"`    // bytes of tools and messages that the same play sent before: the longest prefix hit in theory
	Messages  int `parquet:"message_bytes"`          // bytes of this request's tools and messages

	Reply
}

// Request identifies a request of a run: no turn is played twice in one play.
type Request struct{ Agent, Play, Conversation, Turn int }

// Request returns which request the record is of.
func (r Record) Request() Request { return Request{r.Agent, r.Play, r.Conversation, r.Turn} }

// Without leaves out of a list the requests that have ended.
func Without(list []Record, ended map[Request]bool) []Record {
	return slices.DeleteFunc(list, func(r Record) bool { return ended[r.Request()] })
}

// Last reports whether the record ends its conversation: its last turn, or a failure.
func (r Record) Last() bool { return r.Failure != "" || r.Turn == r.Turns-1 }

// TTFT returns the time to first token. ok is false where no output came: it is then infinite.
func (r Record) TTFT() (d time.Duration, ok bool) {
	if r.Failure != "" || r.FirstOutput == 0 {
		return 0, false
	}
	return r.FirstOutput.Sub(r.WriteBegin), true
}

// OutputSpeed returns output tokens per second after the first chunk. ok is false where it does not exist: failures (which
// count as 0) and one-chunk answers (which are excluded and counted); tell them apart by Failure.
func (r Record) OutputSpeed() (tokensPerSecond float64, ok bool) {
	d := r.LastOutput.Sub(r.FirstOutput)
	if r.Failure != "" || r.Chunks < 2 || d <= 0 || r.Output <= r.FirstChunk {
		return 0, false
	}
	return float64(r.Output-r.FirstChunk) / d.Seconds(), true
}

// E2ESpeed returns output tokens per second over the whole request, the wait for the first token included.
func (r Record) E2ESpeed() (tokensPerSecond float64, ok bool) {
	d := r.LastOutput.Sub(r.WriteBegin)
	if r.Failure != "" || d <= 0 || r.Output <= 0 {
		return 0, false
	}
	return float64(r.Output) / d.Seconds(), true
}

// Lag returns how late the request was written: WriteBegin - Sched (METHOD 3, the client must not be the bottleneck).
func (r Record) Lag() time.Duration { return r.WriteBegin.Sub(r.Sched) }

// Start returns when the request began: its first byte, or, where none was ever written, when it was due. A request
// belongs to the window that holds its start.
func (r Record) Start() clock.Stamp {
	if r.WriteBegin != 0 {
		return r.WriteBegin
	}
	return r.Sched
}

// Completed reports whether the record is the answered last turn of its trajectory's main conversation.
func (r Record) Completed() bool { return !r.failed() && r.Turn == r.Turns-1 && r.Conversation == 0 }

// failed reports whether the request failed by METHOD 3. An answer without output is a failure whatever the client called it.
func (r Record) failed() bool { return r.Failure != "" || r.FirstOutput == 0 || r.Output == 0 }
