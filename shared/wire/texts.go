package wire

// texts are texts that were decoded before: a source says the same ones in each batch, and a map finds one in less time than
// it takes to check and copy it. A nil map keeps nothing.
type texts map[string]string

// maxTexts bounds what a sender that makes up new texts all the time can have kept.
const maxTexts = 2 * MaxMeters

// keep returns t ready to take more.
func (t texts) keep() texts {
	if t == nil {
		return texts{}
	}
	if len(t) > maxTexts {
		clear(t)
	}
	return t
}

// of returns b as a text.
func (t texts) of(b []byte) string {
	if s, ok := t[string(b)]; ok {
		return s
	}
	s := string(b)
	t.add(s)
	return s
}

func (t texts) add(s string) {
	if t != nil {
		t[s] = s
	}
}
