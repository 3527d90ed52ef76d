package simulate

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
)

// chatRequest is what the server understands of POST /v1/chat/completions. Unknown fields are ignored, as servers do.
type chatRequest struct {
	Model               string          `json:"model"`
	Messages            json.RawMessage `json:"messages"` // after parsing: what is between the brackets
	Tools               json.RawMessage `json:"tools"`    // after parsing: the array, or nil
	ToolChoice          json.RawMessage `json:"tool_choice"`
	N                   *int            `json:"n"`
	MaxTokens           *int            `json:"max_tokens"`
	MaxCompletionTokens *int            `json:"max_completion_tokens"`
	MinTokens           int             `json:"min_tokens"`
	IgnoreEOS           bool            `json:"ignore_eos"`
	Stream              bool            `json:"stream"`
	StreamOptions       struct {
		IncludeUsage         bool `json:"include_usage"`
		ContinuousUsageStats bool `json:"continuous_usage_stats"`
	} `json:"stream_options"`

	toolNames []string // functions that may be called
}

// refusal is an OpenAI error with its HTTP status.
type refusal struct {
	Status  int     `json:"-"`
	Message string  `json:"message"`
	Type    string  `json:"type"`
	Param   *string `json:"param"`
	Code    string  `json:"code"`
}

func (r *refusal) Error() string { return r.Message }

func refuse(code, format string, args ...any) *refusal {
	return &refusal{Status: http.StatusBadRequest, Type: "invalid_request_error", Code: code, Message: fmt.Sprintf(format, args...)}
}

// parseRequest reads a request body. Every error is a *refusal.
func parseRequest(body []byte) (*chatRequest, error) {
	r := &chatRequest{}
	if err := json.Unmarshal(body, r); err != nil {
		return nil, refuse("invalid_json", "request body: %v", err)
	}
	var ok bool
	if r.Messages, ok = inside(r.Messages); !ok || !bytes.HasPrefix(bytes.TrimSpace(r.Messages), []byte("{")) {
		return nil, refuse("invalid_messages", "messages must be an array of at least one message object")
	}
	if string(r.Tools) == "null" {
		r.Tools = nil
	}
	if r.Tools != nil {
		if err := r.parseTools(); err != nil {
			return nil, err
		}
	}
	if r.MaxCompletionTokens != nil {
		r.MaxTokens = r.MaxCompletionTokens
	}
	switch {
	case r.MaxTokens != nil && *r.MaxTokens < 1:
		return nil, refuse("invalid_max_tokens", "max_tokens must be at least 1, got %d", *r.MaxTokens)
	case r.MinTokens < 0 || r.MaxTokens != nil && r.MinTokens > *r.MaxTokens:
		return nil, refuse("invalid_min_tokens", "min_tokens must be between 0 and max_tokens, got %d", r.MinTokens)
	case r.N != nil && *r.N != 1:
		return nil, refuse("invalid_n", "n must be 1, got %d", *r.N)
	}
	return r, nil
}

// parseTools collects the names of the functions.
func (r *chatRequest) parseTools() error {
	var tools []struct {
		Function struct {
			Name string `json:"name"`
		} `json:"function"`
	}
	if err := json.Unmarshal(r.Tools, &tools); err != nil {
		return refuse("invalid_tools", "tools: %v", err)
	}
	if string(r.ToolChoice) == `"none"` {
		return nil
	}
	for i, t := range tools {
		if t.Function.Name == "" {
			return refuse("invalid_tools", "tools[%d] has no function name", i)
		}
		r.toolNames = append(r.toolNames, t.Function.Name)
	}
	return nil
}

// sequence turns the request into work for an engine. The error is a *refusal where the context is too long.
func (r *chatRequest) sequence(p Params) (*sequence, error) {
	prompt := (len(r.Tools) + len(r.Messages) + BytesPerToken - 1) / BytesPerToken
	limit := p.MaxContext - prompt
	if r.MaxTokens != nil {
		limit = *r.MaxTokens
	}
	if limit < 1 || limit > p.MaxContext-prompt {
		return nil, refuse("context_length_exceeded",
			"this model's maximum context length is %d tokens, but the request has %d in the prompt and asks for %d of output",
			p.MaxContext, prompt, max(limit, 1))
	}
	least := r.MinTokens
	if r.IgnoreEOS {
		least = limit
	}
	return newSequence(p, r.Tools, r.Messages, limit, least), nil
}

// inside returns what is between the brackets of a JSON array.
func inside(array json.RawMessage) (json.RawMessage, bool) {
	n := len(array)
	if n < 2 || array[0] != '[' || array[n-1] != ']' {
		return nil, false
	}
	return array[1 : n-1], true
}
