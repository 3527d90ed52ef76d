package report

import (
	"bytes"
	"html/template"
	"io"
)

var page = template.Must(template.New("page").Parse(`<!doctype html><meta charset="utf-8"><title>AgentWatt</title><pre>{{.}}</pre>`))

// HTML writes the report as one page.
func HTML(w io.Writer, r Run) error {
	var b bytes.Buffer
	if err := Text(&b, r.Result); err != nil {
		return err
	}
	return page.Execute(w, b.String())
}
