package trajectory

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/tiktoken-go/tokenizer"
)

// n words are n tokens, in every order, at the beginning of a message and after others.
func TestFillTokens(t *testing.T) {
	if len(fillWords) != 1<<fillBits || !slices.IsSorted(fillWords) || len(slices.Compact(slices.Clone(fillWords))) != len(fillWords) {
		t.Fatalf("%d words, want %d different ones in order", len(fillWords), 1<<fillBits)
	}
	text := fills{{fillOf("test", 1), 20_000}}
	for _, encoding := range []tokenizer.Encoding{tokenizer.Cl100kBase, tokenizer.O200kBase} {
		codec, err := tokenizer.Get(encoding)
		if err != nil {
			t.Fatal(err)
		}
		count := func(s string) int {
			n, err := codec.Count(s)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		for _, w := range fillWords {
			if count(w) != 1 || count(" "+w) != 1 {
				t.Errorf("%s: %q is not one token with and without a space before it", encoding, w)
			}
		}
		for _, n := range []int{1, 63, 64, 65, 20_000} {
			if got := count(string(text.appendWords(nil, 0, n))); got != n {
				t.Errorf("%s: %d words are %d tokens", encoding, n, got)
			}
		}
	}
}

func TestFillIDs(t *testing.T) {
	words := func(f fillID, n int) string { return string(fills{{f, n}}.appendWords(nil, 0, n)) }
	first, all := map[string]uint64{}, map[string]bool{}
	for id := range uint64(3 << fillBits) {
		f := fillOf("trace", id)
		if other, ok := first[f.word(0)]; ok && (id-other)%(1<<fillBits) != 0 {
			t.Fatalf("ids %d and %d begin with the same word %q", id, other, f.word(0))
		}
		first[f.word(0)] = id
		all[words(f, fillDigits)] = true
	}
	for bit := range 64 {
		all[words(fillOf("", 1<<bit), fillDigits)] = true
	}
	if want := 3<<fillBits + 64; len(all) != want {
		t.Errorf("%d different texts of %d words, want %d", len(all), fillDigits, want)
	}
	if a, b := words(fillOf("a", 7), 64), words(fillOf("b", 7), 64); a == b {
		t.Error("the same id in two scopes has the same text")
	}
	// Written down, since a text that changes would change the digests of data sets.
	if got, want := words(fillOf("", 1), 8), "able ready mess books buff ration fail models"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A prompt cut anywhere is the prompt.
func TestFillPieces(t *testing.T) {
	prompt := fills{{fillOf("", 1), 5}, {fillOf("", 2), 3}, {fillOf("", 3), 6}}
	whole := prompt.appendWords(nil, 0, prompt.tokens())
	if got := len(strings.Fields(string(whole))); got != 14 {
		t.Fatalf("%d words, want 14", got)
	}
	for cut := range 15 {
		a, b := prompt.appendWords(nil, 0, cut), prompt.appendWords(nil, cut, 14)
		if got := bytes.TrimSpace(bytes.Join([][]byte{a, b}, []byte(" "))); !bytes.Equal(got, whole) {
			t.Errorf("cut at %d: got %q, want %q", cut, got, whole)
		}
	}
}
