package influx

// lines are lines of one request, each with its end.
type lines struct {
	text []byte
	ends []int // offset in text behind each line
}

func (l *lines) add(line []byte) {
	l.text = append(append(l.text, line...), '\n')
	l.ends = append(l.ends, len(l.text))
}

func (l *lines) reset() { l.text, l.ends = l.text[:0], l.ends[:0] }

func (l lines) count() int { return len(l.ends) }

// halves splits l, which has at least two lines.
func (l lines) halves() (a, b lines) {
	n := len(l.ends) / 2
	return l.part(0, n), l.part(n, len(l.ends))
}

func (l lines) part(from, to int) lines {
	begin := 0
	if from > 0 {
		begin = l.ends[from-1]
	}
	p := lines{text: l.text[begin:l.ends[to-1]:l.ends[to-1]], ends: make([]int, to-from)}
	for i := range p.ends {
		p.ends[i] = l.ends[from+i] - begin
	}
	return p
}
