package manual

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"time"
)

// setting matches a line with a key: its name, and its value with the comment behind.
var setting = regexp.MustCompile(`^([A-Za-z_0-9]+):(?: +(.*))?$`)

// settings makes a page of a reference file, in which paragraphs of comments stand before keys, and what one key means behind its value.
func settings(file, about, source string, date time.Time, reference []byte) []byte {
	p := &page{}
	fmt.Fprintf(p, ".TH %q 5 %q %q \"AgentWatt\"\n", strings.ToUpper(file), date.Format("Jan 2006"), source)
	fmt.Fprintf(p, ".SH NAME\n%s \\- %s\n.SH DESCRIPTION\n", escape(file), escape(about))
	for line := range strings.Lines(string(reference)) {
		p.line(strings.TrimSpace(line), len(line)-len(strings.TrimLeft(line, " ")))
	}
	p.paragraph()
	return p.Bytes()
}

// page is a page being written.
type page struct {
	bytes.Buffer
	path []string // of the key that was last
	text []string // lines of the comment that is being read
}

func (p *page) line(line string, indent int) {
	m := setting.FindStringSubmatch(line)
	comment, isComment := strings.CutPrefix(line, "#")
	switch {
	case isComment && comment != "":
		p.text = append(p.text, strings.TrimPrefix(comment, " "))
	case isComment: // blank, inside a comment
	case m != nil:
		if p.path == nil {
			p.WriteString(".SH SETTINGS\n")
		}
		p.paragraph()
		p.key(indent/2, m[1], m[2])
	default: // nothing, or a value that goes on
		p.paragraph()
		if line != "" {
			p.WriteString(escape(line) + "\n")
		}
	}
}

// key writes the entry of a key: its path, its default, and what stands behind it. What holds other keys has no entry.
func (p *page) key(depth int, name, rest string) {
	p.path = append(p.path[:min(depth, len(p.path))], name)
	value, comment, _ := strings.Cut(" "+rest, " #")
	if value, comment = strings.TrimSpace(value), strings.TrimSpace(comment); value+comment == "" {
		return
	}
	fmt.Fprintf(p, ".TP\n\\fB%s\\fR: %s\n", escape(strings.Join(p.path, ".")), escape(value))
	if comment != "" {
		p.WriteString(escape(comment) + "\n")
	}
}

// paragraph writes the comment that was read. Lines that are set in, and those of a list, are an example and stay lines.
func (p *page) paragraph() {
	example := false
	for i, l := range p.text {
		set := strings.HasPrefix(l, "  ") || strings.HasPrefix(l, "- ")
		switch {
		case set && !example:
			p.WriteString(".PP\n.RS\n.nf\n")
		case !set && example:
			p.WriteString(".fi\n.RE\n.PP\n")
		case i == 0:
			p.WriteString(".PP\n")
		}
		p.WriteString(escape(l) + "\n")
		example = set
	}
	if example {
		p.WriteString(".fi\n.RE\n")
	}
	p.text = nil
}

// escape makes text of what roff would take for a command.
func escape(s string) string {
	s = strings.NewReplacer(`\`, `\e`, `-`, `\-`).Replace(s)
	if strings.HasPrefix(s, ".") || strings.HasPrefix(s, "'") {
		s = `\&` + s
	}
	return s
}
