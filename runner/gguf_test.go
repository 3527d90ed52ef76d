package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
)

// tinyModel makes a llama with random weights, in the GGUF format (version 3): a real server runs it like any other, only faster. Its
// tokens are bytes and some words, and the words are all that it writes: the rest of its output weights are 0, and no word ends an answer.
func tinyModel() []byte {
	const (
		wide, deep, heads, inner = 64, 2, 4, 128
		longest                  = 1 << 17
	)
	g := &gguf{}
	tokens, scores, kinds := []string{"<unk>", "<s>", "</s>"}, []float32{0, 0, 0}, []int32{2, 3, 3}
	for i := range 256 {
		tokens, scores, kinds = append(tokens, fmt.Sprintf("<0x%02X>", i)), append(scores, 0), append(kinds, 6)
	}
	first := len(tokens)
	for i := range 61 {
		tokens, scores, kinds = append(tokens, fmt.Sprintf("▁w%c%c", 'a'+i%26, 'a'+i/26)), append(scores, -1), append(kinds, 1)
	}
	g.text("general.architecture", "llama")
	g.text("general.name", "tiny random llama")
	for _, kv := range []struct {
		key   string
		value uint32
	}{
		{"llama.context_length", longest}, {"llama.embedding_length", wide}, {"llama.block_count", deep}, {"llama.feed_forward_length", inner},
		{"llama.attention.head_count", heads}, {"llama.attention.head_count_kv", heads}, {"llama.rope.dimension_count", wide / heads},
		{"llama.vocab_size", uint32(len(tokens))}, {"tokenizer.ggml.bos_token_id", 1}, {"tokenizer.ggml.eos_token_id", 2}, {"tokenizer.ggml.unknown_token_id", 0},
	} {
		g.key(kv.key, 4)
		g.put(kv.value)
	}
	g.key("llama.attention.layer_norm_rms_epsilon", 6)
	g.put(float32(1e-5))
	g.text("tokenizer.ggml.model", "llama")
	g.list("tokenizer.ggml.tokens", 8, len(tokens), func(i int) { g.string(tokens[i]) })
	g.list("tokenizer.ggml.scores", 6, len(scores), func(i int) { g.put(scores[i]) })
	g.list("tokenizer.ggml.token_type", 5, len(kinds), func(i int) { g.put(kinds[i]) })
	g.text("tokenizer.chat_template", "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}assistant:")

	random := rand.New(rand.NewPCG(1, 2))
	noise := func(int) float32 { return float32(random.NormFloat64() * 0.2) }
	one := func(int) float32 { return 1 }
	g.tensor("token_embd.weight", noise, wide, len(tokens))
	g.tensor("output_norm.weight", one, wide)
	g.tensor("output.weight", func(i int) float32 {
		if i/wide < first {
			return 0
		}
		return noise(i)
	}, wide, len(tokens))
	for l := range deep {
		name := func(s string) string { return fmt.Sprintf("blk.%d.%s.weight", l, s) }
		g.tensor(name("attn_norm"), one, wide)
		g.tensor(name("ffn_norm"), one, wide)
		for _, s := range []string{"attn_q", "attn_k", "attn_v", "attn_output"} {
			g.tensor(name(s), noise, wide, wide)
		}
		g.tensor(name("ffn_gate"), noise, wide, inner)
		g.tensor(name("ffn_up"), noise, wide, inner)
		g.tensor(name("ffn_down"), noise, inner, wide)
	}
	return g.file()
}

// gguf is a file being made.
type gguf struct {
	keys, infos, data bytes.Buffer
	nKeys, nTensors   uint64
}

const ggufAlign = 32

func (g *gguf) put(v any) {
	if err := binary.Write(&g.keys, binary.LittleEndian, v); err != nil {
		panic(err)
	}
}

func (g *gguf) string(s string) {
	g.put(uint64(len(s)))
	g.keys.WriteString(s)
}

func (g *gguf) key(name string, kind uint32) {
	g.nKeys++
	g.string(name)
	g.put(kind)
}

func (g *gguf) text(name, value string) {
	g.key(name, 8)
	g.string(value)
}

func (g *gguf) list(name string, kind uint32, n int, each func(i int)) {
	g.key(name, 9)
	g.put(kind)
	g.put(uint64(n))
	for i := range n {
		each(i)
	}
}

// tensor adds a tensor of 32-bit floats; the first dimension is the innermost.
func (g *gguf) tensor(name string, value func(i int) float32, dims ...int) {
	g.nTensors++
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(name)))
	b = append(b, name...)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(dims)))
	n := 1
	for _, d := range dims {
		b = binary.LittleEndian.AppendUint64(b, uint64(d))
		n *= d
	}
	b = binary.LittleEndian.AppendUint32(b, 0)
	g.infos.Write(binary.LittleEndian.AppendUint64(b, uint64(g.data.Len())))
	for i := range n {
		g.data.Write(binary.LittleEndian.AppendUint32(nil, math.Float32bits(value(i))))
	}
	g.data.Write(make([]byte, (ggufAlign-g.data.Len()%ggufAlign)%ggufAlign))
}

func (g *gguf) file() []byte {
	b := binary.LittleEndian.AppendUint32([]byte("GGUF"), 3)
	b = binary.LittleEndian.AppendUint64(b, g.nTensors)
	b = binary.LittleEndian.AppendUint64(b, g.nKeys)
	b = append(append(b, g.keys.Bytes()...), g.infos.Bytes()...)
	b = append(b, make([]byte, (ggufAlign-len(b)%ggufAlign)%ggufAlign)...)
	return append(b, g.data.Bytes()...)
}
