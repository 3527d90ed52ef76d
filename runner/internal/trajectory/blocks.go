package trajectory

import (
	"fmt"
	"strconv"
)

// hashed is a prompt recorded as the hashes of its blocks of tokens.
type hashed struct {
	tokens int
	blocks []uint64 // of the whole blocks; each stands for its text and all before it, or for its text alone
}

// prompts returns the text of the prompts of the conversation id, with hashes of this scope. What comes after the last whole block
// has no hash: it is the beginning of the block that the next prompt has there, or, where nothing goes on from it, a text of
// its own.
func prompts(scope, id string, size int, list []hashed) []fills {
	all := make([]fills, len(list))
	var rest fillID // of the prompt after this one
	for k := len(list) - 1; k >= 0; k-- {
		h := list[k]
		n := len(h.blocks)
		own := fillOf("rest of "+id, uint64(k))
		if k+1 < len(list) && h.goesOn(list[k+1]) {
			next := list[k+1]
			if own = rest; len(next.blocks) > n {
				own = fillOf(scope, next.blocks[n])
			}
		}
		rest = own
		for _, id := range h.blocks {
			all[k] = append(all[k], fill{fillOf(scope, id), size})
		}
		if more := h.tokens - n*size; more > 0 {
			all[k] = append(all[k], fill{rest, more})
		}
	}
	return all
}

// goesOn reports whether the next prompt has all blocks of this one and is longer.
func (h hashed) goesOn(next hashed) bool {
	if next.tokens <= h.tokens || len(next.blocks) < len(h.blocks) {
		return false
	}
	for i, id := range h.blocks {
		if next.blocks[i] != id {
			return false
		}
	}
	return true
}

// hashed reads a prompt of so many tokens. The hash of a last block that is not whole is left out: it stands for less than a
// block.
func (g *gather) hashed(tokens int, hashes []byte, size int) (hashed, error) {
	list, err := elements(hashes)
	if err != nil {
		return hashed{}, fmt.Errorf("hashes %w", err)
	}
	whole := tokens / size
	if len(list) < whole || len(list) > (tokens+size-1)/size {
		g.report.note("the prompt has more or fewer tokens than the blocks that are hashed: the end is cut, or text of its own")
		whole = min(whole, len(list))
	}
	h := hashed{tokens, make([]uint64, whole)}
	for i, raw := range list[:whole] {
		if h.blocks[i], err = parseHash(raw); err != nil {
			return h, err
		}
	}
	return h, nil
}

// parseHash reads a hash: any whole number of 64 bits or less.
func parseHash(raw []byte) (uint64, error) {
	if n, err := strconv.ParseUint(string(raw), 10, 64); err == nil {
		return n, nil
	}
	if n, err := strconv.ParseInt(string(raw), 10, 64); err == nil {
		return uint64(n), nil
	}
	return 0, fmt.Errorf("has the hash %.40s, which is not a whole number of 64 bits", raw)
}
