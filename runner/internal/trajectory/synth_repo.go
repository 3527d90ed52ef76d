package trajectory

import (
	"slices"
	"strconv"
	"strings"
)

// repo is the made-up repository that a generated session works in: names that recur, and files that are read, searched,
// tested and changed again and again, as in real sessions. Without that recurrence the text would compress and tokenise
// unlike code.
type repo struct {
	dice
	lang      language
	variables []string
	functions []string
	types     []string
	members   []string
	files     []file
}

type file struct {
	path  string
	lines []string
}

// newRepo makes a repository of count files.
func newRepo(d dice, lang language, count int) *repo {
	r := &repo{dice: d, lang: lang}
	for range 48 {
		r.variables = append(r.variables, r.name(false, r.pick(nouns)))
		r.functions = append(r.functions, r.name(false, r.pick(verbs), r.pick(nouns)))
		r.members = append(r.members, r.name(false, r.pick(nouns)))
	}
	for range 20 {
		r.variables = append(r.variables, r.name(false, r.pick(adjectives), r.pick(nouns)))
		r.functions = append(r.functions, r.name(false, r.pick(verbs), r.pick(adjectives), r.pick(nouns)))
		r.types = append(r.types, r.name(true, r.pick(nouns), r.pick(nouns)))
	}
	for range count {
		path := lang.dir + r.pick(nouns) + "/" + r.name(false, r.pick(nouns), r.pick(nouns)) + lang.ext
		r.files = append(r.files, file{path: path})
	}
	for i := range r.files { // after all paths exist: the text refers to them
		r.files[i].lines = r.source(r.between(40, 260))
	}
	return r
}

// name joins words as the language writes names.
func (r *repo) name(pascal bool, words ...string) string {
	if r.lang.snake && !pascal {
		return strings.Join(words, "_")
	}
	var b strings.Builder
	for i, w := range words {
		if i > 0 || pascal {
			w = strings.ToUpper(w[:1]) + w[1:]
		}
		b.WriteString(w)
	}
	return b.String()
}

// source makes a file of about n lines.
func (r *repo) source(n int) []string {
	var lines []string
	for _, t := range r.lang.head {
		lines = append(lines, r.fill(t, 2))
	}
	for len(lines) < n {
		lines = append(lines, r.lines(r.pick(r.lang.units), "", 3)...)
		lines = append(lines, "")
	}
	return lines
}

// lines expands a template of several lines, each behind indent. depth bounds blocks in blocks.
func (r *repo) lines(template, indent string, depth int) []string {
	var out []string
	for t := range strings.SplitSeq(strings.TrimSuffix(template, "\n"), "\n") {
		body := strings.TrimLeft(t, "\t")
		in := indent + strings.Repeat(r.lang.indent, len(t)-len(body))
		switch {
		case body == "~b":
			out = append(out, r.block(in, depth-1)...)
		case body == "":
			out = append(out, "")
		default:
			out = append(out, in+r.fill(body, 2))
		}
	}
	return out
}

// block makes some statements. At the innermost depth they hold no blocks.
func (r *repo) block(indent string, depth int) []string {
	var out []string
	for range r.between(1, 4) {
		s := r.pick(r.lang.statements)
		for depth <= 0 && strings.Contains(s, "~b") {
			s = r.pick(r.lang.statements)
		}
		out = append(out, r.lines(s, indent, depth)...)
	}
	return out
}

// fill replaces the placeholders of one line. depth bounds expressions in expressions.
func (r *repo) fill(template string, depth int) string {
	before, rest, found := strings.Cut(template, "~")
	if !found {
		return template
	}
	var b strings.Builder
	for ; found; before, rest, found = strings.Cut(rest, "~") {
		b.WriteString(before)
		if rest == "" || !strings.ContainsAny(rest[:1], "vfTmnswecapFL") {
			b.WriteByte('~')
			continue
		}
		b.WriteString(r.symbol(rest[0], depth))
		rest = rest[1:]
	}
	return b.String() + before
}

// symbol expands one placeholder.
func (r *repo) symbol(s byte, depth int) string {
	switch s {
	case 'v':
		return r.lang.sigil + r.favour(r.variables)
	case 'f':
		return r.favour(r.functions)
	case 'T':
		return r.favour(r.types)
	case 'm':
		return r.favour(r.members)
	case 'n':
		return strconv.Itoa(r.below([]int{3, 10, 100, 4096}[r.below(4)]))
	case 's':
		return r.pick(nouns) + " " + r.pick([]string{"is missing", "was not found in", "does not match", "already has", "is not a valid", "expects", "must not be empty:"}) + " " + r.pick(nouns)
	case 'w':
		return r.comment()
	case 'F':
		return r.files[r.below(r.below(len(r.files))+1)].path
	case 'L':
		return strconv.Itoa(r.between(5, 260))
	case 'p':
		return r.several(r.lang.param, r.between(1, 3), depth)
	case 'c':
		return r.fill(r.pick(r.lang.conditions), depth-1)
	case 'a':
		return r.several("~e", r.between(1, 2), depth-1)
	}
	if depth <= 0 { // e
		return r.fill([]string{"~v", "~n"}[r.below(2)], 0)
	}
	return r.fill(r.pick(r.lang.expressions), depth-1)
}

func (r *repo) several(template string, n, depth int) string {
	parts := make([]string, n)
	for i := range parts {
		parts[i] = r.fill(template, depth)
	}
	return strings.Join(parts, ", ")
}

// comment makes the words of a comment.
func (r *repo) comment() string {
	return r.pick([]string{"returns the", "checks the", "keeps track of each", "resolves a", "is called for every", "must run before the", "converts the"}) + " " +
		r.pick(adjectives) + " " + r.pick(nouns) + r.pick([]string{"", "", " of the " + r.pick(nouns), " if the " + r.pick(nouns) + " is " + r.pick(adjectives), " and its " + r.pick(nouns)})
}

// some returns a file, the first ones more often: agents come back to few files.
func (r *repo) some() *file { return &r.files[r.below(r.below(len(r.files))+1)] }

// excerpt returns at most n consecutive lines of f and the index of the first.
func (r *repo) excerpt(f *file, n int) (lines []string, first int) {
	n = min(n, len(f.lines))
	first = r.below(len(f.lines) - n + 1)
	return f.lines[first : first+n], first
}

// change replaces some lines of a file and returns the old and the new ones: an edit that later reads see.
func (r *repo) change(f *file, size int) (before, after []string) {
	size = min(size, len(f.lines)-1)
	at := r.below(len(f.lines) - size)
	before = slices.Clone(f.lines[at : at+size])
	indent := before[0][:len(before[0])-len(strings.TrimLeft(before[0], " \t"))]
	for _, l := range before {
		if r.chance(50) {
			after = append(after, l)
		} else {
			after = append(after, indent+r.fill(strings.SplitN(r.pick(r.lang.statements), "\n", 2)[0], 2))
		}
	}
	f.lines = slices.Replace(slices.Clone(f.lines), at, at+size, after...)
	return before, after
}

// The words of names and comments.
var (
	nouns      = strings.Fields("account adapter address attribute backend batch block buffer builder cache callback channel chunk client clock cluster column command config connection context cookie cursor database decoder default descriptor device digest directory document driver encoder endpoint engine entry error event executor factory field file filter flag format frame graph group handler header helper history hook host index instance item iterator job key label layer layout length level limit line link list listener lock log manager mapping match merge message metadata method migration mode model module name namespace network node object offset option order output owner package page parser path pattern payload permission plugin policy pool port prefix process profile project property provider proxy query queue range record reference region registry relation renderer report request resolver resource response result role route row rule schema scope section selector sequence serializer service session setting shape signal slice snapshot socket source stack state status step storage stream subject suffix table tag target task template test thread timeout token tracker transaction tree trigger type update user validator value vector version view visitor widget window worker writer")
	verbs      = strings.Fields("add apply assert attach build check clean close collect compile compute convert copy create decode delete detect dispatch emit encode ensure expand export extract fetch filter find flush format generate get handle import init insert is iter join list load lookup make map match merge move normalize notify open parse patch persist prepare process publish pull push query read rebuild reduce refresh register release reload remove rename render replace reset resolve restore retry run save scan select send serialize set setup sort split start stop store strip sync to trace transform translate trim update upload validate visit wait walk wrap write")
	adjectives = strings.Fields("absolute active atomic base cached canonical common complete current custom dirty dynamic empty expired external final first fixed foreign frozen full global hidden inline initial inner internal invalid last lazy local locked main missing nested next old optional outer parent partial pending previous primary private public random raw recent related remote root safe shared single skipped stale static strict target temporary unique unused valid virtual weak")
)
