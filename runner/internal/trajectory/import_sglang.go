package trajectory

import (
	"fmt"
	"io"
)

// importSGLang reads SGLang's agentic traces: {metadata, conversations:[[{messages, prompt_tokens}]]}. Each entry of a
// conversation is a turn with the messages that it adds. The recorded answers are not part of the format.
func (l Limits) importSGLang(in io.Reader, file string) (*Dataset, *Report, error) {
	g := l.newGather(in, file, SGLang)
	return g.each(func(ms []member) error {
		conversations, err := elements(find(ms, "conversations"))
		if err != nil {
			return fmt.Errorf("conversations %w", err)
		}
		g.report.Rows--
		for i, raw := range conversations {
			g.report.Rows++
			if err := g.sglang(i, raw, without(ms, "conversations")); err != nil {
				g.leave(fmt.Errorf("conversation %d: %w", i+1, err))
			}
		}
		return nil
	})
}

func isSGLang(ms []member) bool {
	list, err := elements(find(ms, "conversations"))
	return err == nil && len(list) > 0 && list[0][0] == '['
}

// sglang imports one conversation; about is what the file says of all.
func (g *gather) sglang(i int, raw []byte, about []member) error {
	turns, err := elements(raw)
	if err != nil {
		return err
	}
	c := g.chat(fmt.Sprintf("%s-%d", stem(g.in.file), i+1))
	for k, raw := range turns {
		ms, err := members(raw)
		if err != nil {
			return fmt.Errorf("turn %d %w", k, err)
		}
		if err := c.sglangTurn(ms); err != nil {
			return fmt.Errorf("turn %d: %w", k, err)
		}
	}
	if i > 0 {
		about = nil
	}
	return g.finish(c, about)
}

func (c *chat) sglangTurn(ms []member) error {
	added, err := elements(find(ms, "messages"))
	if err != nil {
		return fmt.Errorf("messages %w", err)
	}
	for i, raw := range added {
		m, err := members(raw)
		if err != nil {
			return fmt.Errorf("messages[%d] %w", i, err)
		}
		if err := c.say(m); err != nil {
			return err
		}
	}
	t := Turn{Extra: object(without(ms, "messages", "prompt_tokens", "completion_tokens", "output_tokens"))}
	for _, field := range []struct {
		key string
		to  *int
	}{{"prompt_tokens", &t.Prompt}, {"completion_tokens", &t.Output}, {"output_tokens", &t.Output}} {
		if value := find(ms, field.key); value != nil {
			if *field.to, err = count(value); err != nil {
				return fmt.Errorf("%s %w", field.key, err)
			}
		}
	}
	if c.b.last != "assistant" {
		c.report.note("the answer is not recorded: the turns after it have a history without it")
	}
	return c.ask(t)
}
