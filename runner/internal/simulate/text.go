package simulate

import "strconv"

// corpus is what simulated models say. It has nothing that JSON would have to escape, and four bytes are one token.
const corpus = "Let me look at the failing test first, then read the function that it calls. " +
	"func (s *Store) Get(ctx context.Context, key string) (Value, error) { v, ok := s.items[key]; if !ok { return Value{}, ErrMissing }; return v, nil } " +
	"The index is computed before the bounds check, so an empty slice panics; I move the check up. " +
	"def parse(line): head, _, rest = line.partition(':'); return head.strip(), rest.strip() or None " +
	"Next I run the whole suite and compare the output with what the issue says. " +
	"for (size_t i = 0; i + 1 < n; ++i) { if (a[i] > a[i + 1]) { swap(a + i, a + i + 1); } } " +
	"git diff --stat; go test ./... -run TestGet -count 1; grep -rn ErrMissing --include '*.go' . " +
	"Two callers depend on the old behaviour, therefore I keep the signature and change only the message. "

const corpusTokens = len(corpus) / BytesPerToken

// appendText appends the text of tokens [from, to) of an output.
func appendText(dst []byte, digest uint64, from, to int) []byte {
	at := int((digest%uint64(corpusTokens) + uint64(from)) % uint64(corpusTokens))
	for n := to - from; n > 0; {
		m := min(n, corpusTokens-at)
		dst = append(dst, corpus[at*BytesPerToken:(at+m)*BytesPerToken]...)
		n -= m
		at = 0
	}
	return dst
}

// deviceID names the i-th simulated accelerator.
func deviceID(i int) string { return "SIM-" + strconv.Itoa(i) }
