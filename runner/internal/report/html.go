package report

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // the page and its style sheet
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
)

//go:embed page.html
var pageText string

//go:embed page.css
var pageStyle string

// HTML writes the report as one page that needs nothing but itself: pictures and style are inside, there is no script, and
// its content security policy forbids everything else.
func HTML(w io.Writer, r Run) error {
	t, err := template.New("page").Funcs(words(r.Result.Simulated)).Parse(pageText)
	if err != nil {
		return fmt.Errorf("parse the report's page: %w", err)
	}
	var b bytes.Buffer
	if err := t.Execute(&b, newPage(r)); err != nil {
		return fmt.Errorf("fill in the report's page: %w", err)
	}
	if _, err := w.Write(b.Bytes()); err != nil {
		return fmt.Errorf("write html report: %w", err)
	}
	return nil
}

// policy allows the page's own style sheet, by its digest, and nothing else.
func policy() string {
	sum := sha256.Sum256([]byte(pageStyle))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'none'"
}

// words are the page's ways to write values. heading marks every section of a simulated run.
func words(simulated bool) template.FuncMap {
	return template.FuncMap{
		"heading":  func(title string) head { return head{title, simulated} },
		"percent":  percent,
		"coverage": coverage,
		"int":      func(n int) string { return count(n) },
		"int64":    func(n int64) string { return count(n) },
		"plural":   plural,
		"span":     span,
		"quantity": quantity,
		"limit":    limit,
		"failures": failureKinds,
		"verdict":  verdictCell,
		"orElse":   func(otherwise, s string) string { return orElse(s, otherwise) },
	}
}

// head is a section's heading.
type head struct {
	Title     string
	Simulated bool
}
