package trajectory

import (
	"fmt"
	"strings"
)

// reasoning makes about size bytes of what a model thinks: prose about the repository, sometimes with code.
func (r *repo) reasoning(size int) string {
	var b strings.Builder
	for b.Len() < size {
		switch {
		case b.Len() > 0 && r.chance(12):
			b.WriteString("\n\n")
		case b.Len() > 0:
			b.WriteByte(' ')
		}
		if size-b.Len() > 900 && r.chance(14) {
			lines, _ := r.excerpt(r.some(), r.between(3, 14))
			b.WriteString("\n\n```\n" + strings.Join(lines, "\n") + "\n```\n\n")
		}
		b.WriteString(r.fill(r.pick(thoughts), 2))
	}
	return cut(b.String(), size)
}

// cut shortens s to at most size bytes, at the end of a word.
func cut(s string, size int) string {
	if len(s) <= size {
		return s
	}
	if i := strings.LastIndexAny(s[:max(size, 0)], " \n"); i > 0 {
		return s[:i] + "."
	}
	return s[:max(size, 0)]
}

// thoughts are the templates of reasoning.
var thoughts = []string{
	"Let me look at `~F` first.", "The issue is in `~f`: it assumes that `~v` is always set.", "Now I need to find where `~f` is called.",
	"We need to modify `~T.~f` so that it ~w.", "So when `~c`, the ~s.", "Looking at line ~L of `~F`, `~v.~m` is assigned before the check.",
	"I should run the tests to see whether this breaks anything.", "That explains the failure: expected ~n but got ~n.", "The simplest fix is to change `~e` to `~e`.",
	"However, `~f` is also used in `~F`, so the signature cannot change.", "Let's check how `~T` handles this case.", "Wait, that is not quite right, because `~m` may be None here.",
	"There are two options here: either `~f` ~w, or the caller does it.", "The test in `~F` covers only the ~s case.", "Actually, `~T` inherits from `~T`, which already has `~m`.",
	"Let me search for other usages of `~m`.", "I'll create a small script to reproduce the issue.", "The output shows that ~s.", "Hmm, this ~w, which is surprising.",
	"We could also handle it in `~f(~a)`, but this would affect ~T.", "OK, the change works. Now let me make sure that the existing tests still pass.", "Next, update `~F` in the same way.",
	"I think the right place is `~F`, around line ~L.", "First we check `~c`; if that holds we return early.", "Note that `~v` ~w.", "This is consistent with how `~f` does it.",
	"The error message says that ~s, so the lookup of `~m` must have failed.", "Let me view the rest of the file, from line ~L on.", "All ~n tests pass now except for one in `~F`.",
	"- `~f` ~w\n- `~f` ~w\n- `~T` ~w", "1. `~F`: ~w\n2. `~F`: ~w", "But what if `~v` is empty? Then `~e` raises, and we never reach `~f`.", "I'll add a regression test for this.",
}

// task makes the user's request: an issue report of about size bytes.
func (r *repo) task(size int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n\n", r.favour(r.types), r.fill("~s", 1))
	b.WriteString(r.fill("When I call `~f(~a)`, the ~s. This worked before the last release.\n\n### Steps to reproduce\n\n```\n", 2))
	b.WriteString(strings.Join(r.block("", 1), "\n") + "\n```\n\n### Expected\n\n" + r.fill("`~v.~m` should be ~n.", 1) + "\n\n### Actual\n\n```\n" + r.fill(r.pick(r.lang.failed), 2) + "\n```\n\n")
	for b.Len() < size {
		b.WriteString(r.fill(r.pick(thoughts), 2) + "\n")
	}
	return cut(b.String(), size)
}

// read makes the output of the read tool: numbered lines.
func (r *repo) read(f *file, size int) string {
	lines, first := r.excerpt(f, size/30+1)
	var b strings.Builder
	for i, l := range lines {
		if b.Len() > size {
			break
		}
		fmt.Fprintf(&b, "%6d\t%s\n", first+i+1, l)
	}
	return b.String()
}

// grep makes the output of a search for a name.
func (r *repo) grep(name string, size int) string {
	var b strings.Builder
	for _, f := range r.files {
		for i, l := range f.lines {
			if strings.Contains(l, name) && b.Len() < size {
				fmt.Fprintf(&b, "%s:%d:%s\n", f.path, i+1, l)
			}
		}
	}
	if b.Len() == 0 {
		return "No files found"
	}
	return b.String()
}

// paths makes a listing of files.
func (r *repo) paths(size int) string {
	var b strings.Builder
	for _, f := range r.files {
		b.WriteString("./" + f.path + "\n")
	}
	for b.Len() < size {
		fmt.Fprintf(&b, "./%s%s/%s%s\n", r.lang.dir, r.pick(nouns), r.name(false, r.pick(verbs), r.pick(nouns)), r.lang.ext)
	}
	return b.String()[:strings.LastIndexByte(b.String()[:min(b.Len(), max(size, 120))], '\n')+1]
}

// tests makes the output of a test run or a compiler.
func (r *repo) tests(size int) string {
	var b strings.Builder
	for b.Len() < size {
		kind := r.lang.passed
		if r.chance(35) {
			kind = r.lang.failed
		}
		b.WriteString(r.fill(r.pick(kind), 2) + "\n")
	}
	fmt.Fprintf(&b, "%d failed, %d passed in %d.%02ds\n", r.below(4), r.between(5, 400), r.below(60), r.below(100))
	return b.String()
}

// diff makes the output of git diff.
func (r *repo) diff(size int) string {
	var b strings.Builder
	for b.Len() < size {
		f := r.some()
		lines, first := r.excerpt(f, r.between(8, 16))
		fmt.Fprintf(&b, "diff --git a/%s b/%s\nindex %07x..%07x 100644\n--- a/%s\n+++ b/%s\n@@ -%d,%d +%d,%d @@ %s\n",
			f.path, f.path, r.below(1<<28), r.below(1<<28), f.path, f.path, first+1, len(lines), first+1, len(lines)+1, r.favour(r.functions))
		for i, l := range lines {
			if i > 2 && i < len(lines)-3 && r.chance(50) {
				b.WriteString("-" + l + "\n+" + l[:len(l)-len(strings.TrimLeft(l, " \t"))] + r.fill("~v.~m ~e", 2) + "\n")
				continue
			}
			b.WriteString(" " + l + "\n")
		}
	}
	return b.String()
}

// log makes the output of a program that logs.
func (r *repo) log(size int) string {
	var b strings.Builder
	for at := r.below(80000); b.Len() < size; at += r.below(4) {
		fmt.Fprintf(&b, "2026-03-%02d %02d:%02d:%02d,%03d %s [%s] %s\n", 1+at/4000, at/3600%24, at/60%60, at%60, r.below(1000),
			r.pick([]string{"INFO", "INFO", "DEBUG", "WARNING"}), r.favour(r.members), r.fill("~f: ~s ~n", 1))
	}
	return b.String()
}
