package trajectory

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// scene is one generated session: an agent at work in a repository.
type scene struct {
	*repo
	shape  profile
	growth int // percent
	ids    int // tool calls so far
}

// action is one tool call with what comes of it.
type action struct {
	tool   string
	args   []member // JSON values by name
	slow   bool     // it runs a program
	result func(size int) string
}

func newScene(d dice, p profile, lang language) *scene {
	return &scene{repo: newRepo(d, lang, d.draw(p.files)), shape: p, growth: d.draw(p.growth)}
}

// play makes the trajectory.
func (s *scene) play(id, system string, tools json.RawMessage) *Trajectory {
	b := newBuilder(id, "synth", Limits{})
	must(b.add(object([]member{str("role", "system"), str("content", system)})))
	must(b.add(object([]member{str("role", "user"), str("content", s.task(s.draw(s.shape.task)*bytesPerToken))})))
	turns := s.draw(s.shape.turns)
	for k := range turns {
		prompt := estimate(len(tools) + len(b.t.Messages) + len("[]"))
		if prompt > s.shape.context {
			break
		}
		turn := Turn{Tools: tools, Prompt: prompt}
		if k == 0 {
			turn.Extra = object([]member{str("language", s.lang.name), str("tokens", "estimated")})
		}
		actions := s.decide(k*100/turns, s.draw(s.shape.output))
		message, size, ids := s.answer(actions)
		turn.Output = estimate(size)
		for _, a := range actions.calls {
			turn.Calls = append(turn.Calls, Call{a.tool, s.toolTime(a.slow)})
		}
		must(b.turn(turn))
		must(b.add(message))
		for i, a := range actions.calls {
			out := a.result(s.draw(s.shape.result) * s.growth / 100 * bytesPerToken / len(actions.calls))
			must(b.add(object([]member{str("role", "tool"), str("tool_call_id", ids[i]), str("content", out)})))
		}
	}
	b.t.Turns[len(b.t.Turns)-1].Calls = nil // the session ends with an answer
	t, err := b.done()
	must(err)
	return t
}

// must stops on what cannot be: the generator's own output breaks the rules of the format.
func must(err error) {
	if err != nil {
		panic("generated trajectory: " + err.Error())
	}
}

func estimate(bytes int) int { return (bytes + bytesPerToken - 1) / bytesPerToken }

func str(key, value string) member { return member{key: key, value: appendText(nil, value)} }

func num(key string, value int) member { return member{key: key, value: fmt.Append(nil, value)} }

func (s *scene) toolTime(slow bool) time.Duration {
	q := s.shape.quick
	if slow {
		q = s.shape.slow
	}
	return time.Duration(s.draw(q)) * time.Millisecond
}

// step is what the agent does in one turn.
type step struct {
	think int // bytes of reasoning
	calls []action
}

// decide chooses the calls of a turn and how much reasoning fills it up to a size in tokens. done is how far the session has
// come, in percent: agents look around first, then change and run things.
func (s *scene) decide(done, tokens int) step {
	size := tokens * bytesPerToken
	var calls []action
	switch {
	case size > 1200 && s.chance(35):
		calls = []action{s.write(size * s.between(30, 80) / 100)}
	case size > 400 && done > 20 && s.chance(60):
		calls = []action{s.edit(size * s.between(20, 70) / 100)}
	case size > 300 && s.chance(15):
		calls = []action{s.look(), s.look()}
	case s.chance(25 + done/2):
		calls = []action{s.shell()}
	default:
		calls = []action{s.look()}
	}
	for _, a := range calls {
		size -= len(object(a.args)) + len(a.tool)
	}
	return step{think: size, calls: calls}
}

// answer makes the assistant message of a step. size is what the model has to generate for it, in bytes.
func (s *scene) answer(st step) (message []byte, size int, ids []string) {
	m := []member{str("role", "assistant")}
	thought, said := "", ""
	if st.think > 24 {
		thought = s.reasoning(st.think)
		if i := strings.Index(thought, ". "); i > 0 && s.chance(20) {
			said, thought = thought[:i+1], thought[i+2:]
		}
	}
	if said == "" {
		m = append(m, member{key: "content", value: []byte("null")})
	} else {
		m = append(m, str("content", said))
	}
	if thought != "" {
		m = append(m, str("reasoning_content", thought))
	}
	size = len(thought) + len(said)
	var calls []json.RawMessage
	for _, a := range st.calls {
		id := fmt.Sprintf("call_%02d_%06x", s.ids, s.below(1<<24))
		s.ids++
		ids = append(ids, id)
		args := string(object(a.args))
		size += len(a.tool) + len(args)
		function := object([]member{str("name", a.tool), str("arguments", args)})
		calls = append(calls, object([]member{str("id", id), str("type", "function"), {key: "function", value: function}}))
	}
	m = append(m, member{key: "tool_calls", value: array(calls)})
	return object(m), size, ids
}

// look reads, searches or lists files.
func (s *scene) look() action {
	switch s.below(10) {
	case 0, 1, 2:
		name := s.favour([][]string{s.functions, s.members, s.types}[s.below(3)])
		return action{tool: "grep", args: []member{str("pattern", name), str("path", s.lang.dir)},
			result: func(size int) string { return s.grep(name, size) }}
	case 3:
		return action{tool: "glob", args: []member{str("pattern", "**/*"+s.lang.ext)}, result: s.paths}
	}
	f := s.some()
	return action{tool: "read", args: []member{str("filePath", f.path), num("offset", s.below(len(f.lines)))},
		result: func(size int) string { return s.read(f, size) }}
}

// shell runs a program.
func (s *scene) shell() action {
	f := s.some()
	a := action{tool: "bash", slow: true}
	command := ""
	switch s.below(10) {
	case 0, 1, 2, 3:
		command, a.result = s.lang.run, s.tests
	case 4:
		command, a.result = s.lang.run+" 2>&1 | tail -"+fmt.Sprint(s.between(10, 60)), s.tests
	case 5:
		command, a.result = "git diff", s.diff
	case 6:
		command, a.result = "git log -p -1 -- "+f.path, s.diff
	case 7:
		command, a.result = "cat logs/"+s.favour(s.members)+".log | tail -50", s.log
	case 8:
		command, a.result = "find . -name '*"+s.lang.ext+"' | head", s.paths
	default:
		from := s.between(1, len(f.lines))
		command = fmt.Sprintf("sed -n '%d,%dp' %s", from, from+s.between(10, 80), f.path)
		a.result = func(size int) string { return s.read(f, size) }
	}
	a.args = []member{str("command", command)}
	return a
}

// edit changes a file with about size bytes of arguments.
func (s *scene) edit(size int) action {
	f := s.some()
	before, after := s.change(f, max(1, size/80))
	return action{tool: "edit", args: []member{
		str("filePath", f.path), str("oldString", strings.Join(before, "\n")), str("newString", strings.Join(after, "\n")),
	}, result: func(size int) string { return s.edited(f, size) }}
}

// edited is what an editor says after a change; sometimes with what the compiler thinks of it.
func (s *scene) edited(f *file, size int) string {
	out := "The file " + f.path + " has been updated."
	if s.chance(30) {
		out += "\n\nThis file has errors, please fix them:\n" + s.tests(size/2)
	}
	return out
}

// write makes a new file of about size bytes.
func (s *scene) write(size int) action {
	path := s.lang.dir + s.pick(nouns) + "/" + s.name(false, s.pick(verbs), s.pick(nouns)) + s.lang.ext
	lines := s.source(size / 30)
	s.files = append(s.files, file{path, lines})
	f := &s.files[len(s.files)-1]
	return action{tool: "write", args: []member{str("filePath", path), str("content", strings.Join(lines, "\n")+"\n")},
		result: func(size int) string { return s.edited(f, size) }}
}
