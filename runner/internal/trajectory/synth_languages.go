package trajectory

// language is what the generator knows of a programming language: how names look and a small grammar of templates.
//
// In a template, ~ and a letter is replaced: v variable, f function, T type, m member, n number, s words in a string, w words of
// a comment, e expression, c condition, a arguments, p parameters, b block (statements, alone on its line), F file, L line
// number. Tabs at the start of a line are levels of indentation.
type language struct {
	name, ext, dir string
	weight         int // how often, relative to the others; METHOD 2: Python most, then TypeScript, Go
	indent         string
	snake          bool   // names like_this, else likeThis
	sigil          string // before a variable
	head           []string
	units          []string // top-level declarations
	statements     []string
	conditions     []string
	expressions    []string
	param          string
	run            string   // command that runs the tests
	passed, failed []string // lines of its test runner and compiler
}

// What most languages share.
var (
	cConditions  = []string{"~v.~m == ~n", "~v > ~n", "!~v.~f(~a)", "~v == ~e && ~v.~m < ~n", "~v.~m || ~v.~m"}
	cExpressions = []string{"~v", "~v", "~n", "~v.~m", "~v.~m", "~f(~a)", "~v.~f(~a)", "~v + ~n", "~v.~m - ~v", `"~s"`, "~v[~n]", "~v[~v]"}
)

// languages returns the languages. The caller owns the list.
func languages() []language {
	return []language{
		{
			name: "Python", ext: ".py", dir: "src/", weight: 24, indent: "    ", snake: true,
			head:       []string{"\"\"\"~w.\"\"\"", "", "from __future__ import annotations", "", "import logging", "from dataclasses import dataclass", "from typing import Any, Iterable, Optional", "", "logger = logging.getLogger(__name__)", ""},
			units:      []string{"def ~f(~p) -> ~T:\n\t\"\"\"~w.\"\"\"\n\t~b\n\treturn ~e\n\n", "class ~T:\n\t\"\"\"~w.\"\"\"\n\n\tdef __init__(self, ~p) -> None:\n\t\tself.~m = ~v\n\t\tself.~m = ~e\n\n\tdef ~f(self, ~p):\n\t\t~b\n\t\treturn self.~m\n\n", "@dataclass\nclass ~T:\n\t~m: int = ~n\n\t~m: Optional[str] = None\n\t~m: list[~T] = field(default_factory=list)\n\n", "def test_~f():\n\t~v = ~f(~a)\n\t~b\n\tassert ~v.~m == ~n\n\n"},
			statements: []string{"~v = ~e", "~v = ~e", "self.~m = ~e", "# ~w", "if ~c:\n\t~b", "for ~v in ~v.~m:\n\t~b", "return ~e", "raise ValueError(f\"~s: {~v!r}\")", "logger.debug(\"~s %s\", ~v)", "with ~f(~a) as ~v:\n\t~b", "try:\n\t~v = ~f(~a)\nexcept KeyError:\n\t~v = None", "~v = [~e for ~v in ~v if ~c]", "~v.append(~e)", "assert ~c, \"~s\""},
			conditions: []string{"~v is None", "not ~v", "~v.~m == ~n", "isinstance(~v, ~T)", "~v in ~v.~m", "len(~v) > ~n and ~v"}, expressions: append([]string{"self.~m", "~v.get(\"~m\")", "{\"~m\": ~v}", "~f(~v, ~m=~v)"}, cExpressions...),
			param: "~v: ~T", run: "python -m pytest -x -q tests/",
			passed: []string{"~F::test_~f PASSED", "~F::Test~T::test_~f PASSED                              [ ~n%]", "~F ......................................"}, failed: []string{"~F:~L: in ~f\n\t~v = ~f(~a)\nE   AttributeError: '~T' object has no attribute '~m'", "E       assert ~n == ~n\nE        +  where ~n = ~v.~m", "FAILED ~F::test_~f - ValueError: ~s", "  File \"~F\", line ~L, in ~f\n    ~v = ~e"},
		},
		{
			name: "TypeScript", ext: ".ts", dir: "src/", weight: 16, indent: "  ",
			head:       []string{"import { ~T, ~f } from './~m'", "import type { ~T } from '../types'", ""},
			units:      []string{"export function ~f(~p): ~T {\n\t~b\n\treturn ~e\n}\n", "export interface ~T {\n\t~m: string\n\t~m?: number\n\treadonly ~m: ~T[]\n\t~f(~p): Promise<~T>\n}\n", "export class ~T extends ~T {\n\tprivate ~m = new Map<string, ~T>()\n\n\tasync ~f(~p): Promise<void> {\n\t\t~b\n\t}\n}\n", "describe('~T', () => {\n\tit('~s', async () => {\n\t\tconst ~v = await ~f(~a)\n\t\texpect(~v.~m).toBe(~n)\n\t})\n})\n"},
			statements: []string{"const ~v = ~e", "const ~v = await ~f(~a)", "const { ~m, ~m } = ~v", "// ~w", "if (~c) {\n\t~b\n}", "for (const ~v of ~v.~m) {\n\t~b\n}", "return ~e", "throw new Error(`~s: ${~v}`)", "this.~m.set(~v.~m, ~e)", "~v.~m?.~f(~a)", "await Promise.all(~v.map((~v) => ~f(~a)))"},
			conditions: append([]string{"~v === undefined", "~v?.~m !== null", "typeof ~v === 'string'"}, cConditions...), expressions: append([]string{"{ ...~v, ~m: ~e }", "~v as ~T", "this.~m", "~v ?? ~n"}, cExpressions...),
			param: "~v: ~T", run: "pnpm vitest run",
			passed: []string{" ✓ ~F (~n tests) ~nms", "   ✓ ~T > ~s ~nms"}, failed: []string{"~F:~L:~n - error TS2339: Property '~m' does not exist on type '~T'.\n\n~L   const ~v = ~e\n         ~~~~~~", " × ~T > ~s\n   → expected ~n to be ~n // Object.is equality", "    at ~f (~F:~L:~n)"},
		},
		{
			name: "Go", ext: ".go", dir: "internal/", weight: 12, indent: "\t",
			head:       []string{"// Package ~m ~w.", "package ~m", "", "import (", "\t\"context\"", "\t\"errors\"", "\t\"fmt\"", ")", ""},
			units:      []string{"// ~f ~w.\nfunc ~f(ctx context.Context, ~p) (*~T, error) {\n\t~b\n\treturn ~v, nil\n}\n", "// ~T ~w.\ntype ~T struct {\n\t~m string\n\t~m int\n\t~m []~T\n\tmu sync.Mutex\n}\n", "func (~v *~T) ~f(~p) error {\n\t~b\n\treturn nil\n}\n", "func Test~T(t *testing.T) {\n\tfor _, tc := range []struct{ name string; want int }{\n\t\t{\"~s\", ~n},\n\t\t{\"~s\", ~n},\n\t} {\n\t\tgot := ~f(~a)\n\t\tif got != tc.want {\n\t\t\tt.Errorf(\"~s: got %d, want %d\", got, tc.want)\n\t\t}\n\t}\n}\n"},
			statements: []string{"~v := ~e", "~v, err := ~f(~a)\nif err != nil {\n\treturn nil, fmt.Errorf(\"~s: %w\", err)\n}", "// ~w", "if ~c {\n\t~b\n}", "for _, ~v := range ~v.~m {\n\t~b\n}", "switch ~v.~m {\ncase ~n:\n\t~b\ndefault:\n\treturn nil, errors.New(\"~s\")\n}", "defer ~v.~f()", "~v.~m = append(~v.~m, ~e)", "~v.~m = ~e", "if err := ~v.~f(ctx, ~a); err != nil {\n\treturn nil, err\n}"},
			conditions: append([]string{"~v == nil", "len(~v.~m) > ~n", "_, ok := ~v[~v]; !ok"}, cConditions...), expressions: append([]string{"&~T{~m: ~e}", "len(~v)", "ctx.Err()"}, cExpressions...),
			param: "~v *~T", run: "go test ./...",
			passed: []string{"ok  \t~F\t0.~ns", "--- PASS: Test~T (0.~ns)", "=== RUN   Test~T/~m"}, failed: []string{"./~F:~L:~n: ~v.~m undefined (type *~T has no field or method ~m)", "--- FAIL: Test~T (0.~ns)\n    ~F:~L: ~s: got ~n, want ~n", "\t~F:~L +0x~n"},
		},
		{
			name: "Java", ext: ".java", dir: "src/main/java/", weight: 7, indent: "    ",
			head:       []string{"package com.example.~m;", "", "import java.util.List;", "import java.util.Map;", "import java.util.Optional;", ""},
			units:      []string{"/** ~w. */\npublic final class ~T {\n\tprivate final ~T ~m;\n\tprivate int ~m = ~n;\n\n\tpublic ~T ~f(~p) throws IOException {\n\t\t~b\n\t\treturn ~e;\n\t}\n}\n", "\t@Test\n\tvoid ~f() {\n\t\tvar ~v = new ~T(~a);\n\t\tassertEquals(~n, ~v.~f());\n\t}\n", "\t@Override\n\tpublic boolean ~f(~p) {\n\t\t~b\n\t\treturn ~c;\n\t}\n"},
			statements: []string{"final var ~v = ~e;", "~T ~v = new ~T(~a);", "// ~w", "if (~c) {\n\t~b\n}", "for (~T ~v : ~v.~m()) {\n\t~b\n}", "return ~e;", "throw new IllegalStateException(\"~s: \" + ~v);", "this.~m = ~e;", "~v.stream().filter(~v -> ~c).toList();", "log.debug(\"~s {}\", ~v);"},
			conditions: append([]string{"~v == null", "~v.isEmpty()", "~v instanceof ~T"}, cConditions...), expressions: append([]string{"Optional.ofNullable(~v)", "new ~T(~a)", "this.~m"}, cExpressions...),
			param: "~T ~v", run: "mvn -q test",
			passed: []string{"[INFO] Tests run: ~n, Failures: 0, Errors: 0, Skipped: 0, Time elapsed: 0.~n s -- in ~T", "[INFO] Running com.example.~T"}, failed: []string{"[ERROR] ~F:[~L,~n] cannot find symbol\n[ERROR]   symbol:   method ~f(~T)\n[ERROR]   location: class ~T", "\tat com.example.~T.~f(~T.java:~L)", "org.opentest4j.AssertionFailedError: expected: <~n> but was: <~n>"},
		},
		{
			name: "Rust", ext: ".rs", dir: "src/", weight: 7, indent: "    ", snake: true,
			head:       []string{"//! ~w.", "", "use std::collections::HashMap;", "use crate::~m::{~T, ~T};", ""},
			units:      []string{"/// ~w.\npub fn ~f(~p) -> Result<~T, Error> {\n\t~b\n\tOk(~v)\n}\n", "#[derive(Debug, Clone, PartialEq)]\npub struct ~T {\n\tpub ~m: String,\n\t~m: Vec<~T>,\n\t~m: Option<u64>,\n}\n", "impl ~T {\n\tpub fn ~f(&mut self, ~p) -> Option<&~T> {\n\t\t~b\n\t\tself.~m.get(~n)\n\t}\n}\n", "#[test]\nfn ~f() {\n\tlet ~v = ~T::new(~a);\n\tassert_eq!(~v.~m, ~n);\n}\n"},
			statements: []string{"let ~v = ~e;", "let mut ~v = ~e;", "let ~v = ~f(~a)?;", "// ~w", "if ~c {\n\t~b\n}", "for ~v in &~v.~m {\n\t~b\n}", "match ~v.~m {\n\tSome(~v) => ~f(~a),\n\tNone => return Err(Error::new(\"~s\")),\n}", "self.~m.push(~e);", "return Err(anyhow!(\"~s: {}\", ~v));", "~v.iter().map(|~v| ~e).collect::<Vec<_>>();"},
			conditions: append([]string{"let Some(~v) = ~v.~m", "~v.is_empty()", "self.~m.contains(&~v)"}, cConditions...), expressions: append([]string{"&~v", "self.~m.clone()", "~T { ~m: ~e, ..Default::default() }", "~v.unwrap_or(~n)"}, cExpressions...),
			param: "~v: &~T", run: "cargo test",
			passed: []string{"test ~m::tests::~f ... ok", "   Compiling ~m v0.~n.~n (/workspace)"}, failed: []string{"error[E0599]: no method named `~f` found for struct `~T` in the current scope\n  --> ~F:~L:~n\n   |\n~L |     let ~v = ~e;\n   |                ^^^^ method not found in `~T`", "test ~m::tests::~f ... FAILED", "thread '~f' panicked at ~F:~L:~n:\nassertion `left == right` failed\n  left: ~n\n right: ~n"},
		},
		{
			name: "JavaScript", ext: ".js", dir: "lib/", weight: 8, indent: "  ",
			head:       []string{"'use strict'", "", "const ~v = require('./~m')", "const { ~f, ~f } = require('../~m')", ""},
			units:      []string{"function ~f (~p) {\n\t~b\n\treturn ~e\n}\n", "module.exports = class ~T {\n\tconstructor (~p) {\n\t\tthis.~m = ~v\n\t\tthis.~m = ~e\n\t}\n\n\tasync ~f (~p) {\n\t\t~b\n\t}\n}\n", "test('~s', async (t) => {\n\tconst ~v = ~f(~a)\n\tt.equal(~v.~m, ~n)\n})\n"},
			statements: []string{"const ~v = ~e", "let ~v = ~e", "// ~w", "if (~c) {\n\t~b\n}", "~v.forEach((~v) => {\n\t~b\n})", "return ~e", "throw new TypeError('~s')", "this.~m = ~e", "~v.on('~m', (~v) => ~f(~a))", "process.nextTick(~f, ~v)"},
			conditions: append([]string{"typeof ~v === 'function'", "~v === undefined", "Array.isArray(~v)"}, cConditions...), expressions: append([]string{"Object.assign({}, ~v, { ~m: ~e })", "~v || ~n", "this.~m"}, cExpressions...),
			param: "~v", run: "npm test",
			passed: []string{"# Subtest: ~s\nok ~n - ~s", "  ✔ ~s (~nms)"}, failed: []string{"not ok ~n - ~s\n  ---\n  at: ~f (~F:~L:~n)\n  expected: ~n\n  actual: ~n\n  ...", "TypeError: Cannot read properties of undefined (reading '~m')\n    at ~T.~f (~F:~L:~n)"},
		},
		{
			name: "C++", ext: ".cpp", dir: "src/", weight: 6, indent: "  ", snake: true,
			head:       []string{"#include \"~m.h\"", "", "#include <memory>", "#include <string>", "#include <vector>", "", "namespace ~m {", ""},
			units:      []string{"// ~w.\nstd::unique_ptr<~T> ~f(~p) {\n\t~b\n\treturn std::make_unique<~T>(~a);\n}\n", "class ~T final : public ~T {\n public:\n\texplicit ~T(~p);\n\tbool ~f(~p) const override;\n\n private:\n\tstd::vector<~T> ~m_;\n\tsize_t ~m_ = ~n;\n};\n", "TEST(~TTest, ~T) {\n\t~T ~v(~a);\n\tEXPECT_EQ(~v.~f(), ~n);\n}\n"},
			statements: []string{"auto ~v = ~e;", "const auto& ~v = ~e;", "// ~w", "if (~c) {\n\t~b\n}", "for (const auto& ~v : ~v->~m()) {\n\t~b\n}", "return ~e;", "~m_ = std::move(~v);", "throw std::runtime_error(\"~s\");", "~v.push_back(~e);", "std::lock_guard<std::mutex> lock(~m_);"},
			conditions: append([]string{"~v == nullptr", "~v->empty()", "~m_.size() > ~n"}, cConditions...), expressions: append([]string{"~v->~m", "static_cast<size_t>(~v)", "std::move(~v)", "~T::~f(~a)"}, cExpressions...),
			param: "const ~T& ~v", run: "cmake --build build && ctest --test-dir build",
			passed: []string{"[       OK ] ~TTest.~T (~n ms)", "[ ~n%] Building CXX object ~F.o"}, failed: []string{"~F:~L:~n: error: no member named '~m' in '~T'\n  ~L |   auto ~v = ~e;\n      |             ^~~~~", "~F:~L: Failure\nExpected equality of these values:\n  ~v.~f()\n    Which is: ~n\n  ~n"},
		},
		{
			name: "C", ext: ".c", dir: "src/", weight: 4, indent: "\t", snake: true,
			head:       []string{"/* ~w. */", "#include <stdlib.h>", "#include <string.h>", "#include \"~m.h\"", ""},
			units:      []string{"static int ~f(struct ~v *~v, ~p)\n{\n\tsize_t i;\n\n\t~b\n\treturn 0;\n}\n", "struct ~v {\n\tchar *~m;\n\tsize_t ~m;\n\tstruct ~v *~m;\n\tunsigned int flags;\n};\n", "/* ~w */\nvoid ~f(~p)\n{\n\t~b\n}\n"},
			statements: []string{"~v->~m = ~e;", "if (~c)\n\treturn -EINVAL;", "if (~c) {\n\t~b\n}", "for (i = 0; i < ~v->~m; i++) {\n\t~b\n}", "/* ~w */", "memcpy(~v->~m, ~v, sizeof(*~v));", "~v = ~f(~a);", "goto err_~m;", "free(~v->~m);", "log_error(\"~s: %d\", ~v->~m);"},
			conditions: []string{"!~v", "~v->~m == NULL", "~v->~m >= ~n", "~f(~a) < 0", "~v & FLAG_~n"}, expressions: append([]string{"~v->~m", "&~v->~m", "sizeof(struct ~v)", "(~v << ~n)"}, cExpressions...),
			param: "struct ~v *~v", run: "make check",
			passed: []string{"PASS: ~F", "  CC      ~F"}, failed: []string{"~F:~L:~n: error: 'struct ~v' has no member named '~m'\n  ~L |         ~v->~m = ~e;\n      |           ^~", "FAIL: ~F (exit status: ~n)", "~F:~L:~n: warning: unused variable '~v' [-Wunused-variable]"},
		},
		{
			name: "C#", ext: ".cs", dir: "src/", weight: 4, indent: "    ",
			head:       []string{"using System;", "using System.Collections.Generic;", "using System.Threading.Tasks;", "", "namespace Example.~T;", ""},
			units:      []string{"/// <summary>~w.</summary>\npublic sealed class ~T : I~T\n{\n\tprivate readonly ~T _~m;\n\n\tpublic async Task<~T> ~f(~p)\n\t{\n\t\t~b\n\t\treturn ~e;\n\t}\n}\n", "\t[Fact]\n\tpublic void ~f()\n\t{\n\t\tvar ~v = new ~T(~a);\n\t\tAssert.Equal(~n, ~v.~m);\n\t}\n", "public record ~T(string ~m, int ~m, IReadOnlyList<~T> ~m);\n"},
			statements: []string{"var ~v = ~e;", "var ~v = await ~f(~a);", "// ~w", "if (~c)\n{\n\t~b\n}", "foreach (var ~v in ~v.~m)\n{\n\t~b\n}", "return ~e;", "throw new InvalidOperationException($\"~s {~v}\");", "_~m = ~e;", "using var ~v = ~f(~a);"},
			conditions: append([]string{"~v is null", "~v is ~T ~v", "string.IsNullOrEmpty(~v)"}, cConditions...), expressions: append([]string{"~v?.~m", "new ~T { ~m = ~e }", "_~m", "~v.Where(~v => ~c).ToList()"}, cExpressions...),
			param: "~T ~v", run: "dotnet test",
			passed: []string{"  Passed Example.~T.~f [~n ms]"}, failed: []string{"~F(~L,~n): error CS1061: '~T' does not contain a definition for '~m'", "  Failed Example.~T.~f [~n ms]\n  Error Message:\n   Assert.Equal() Failure: Values differ\nExpected: ~n\nActual:   ~n", "   at Example.~T.~f(~T ~v) in ~F:line ~L"},
		},
		{
			name: "Ruby", ext: ".rb", dir: "lib/", weight: 4, indent: "  ", snake: true,
			head:       []string{"# frozen_string_literal: true", "", "require 'set'", "require_relative '~m'", ""},
			units:      []string{"module ~T\n\t# ~w\n\tclass ~T < ~T\n\t\tattr_reader :~m, :~m\n\n\t\tdef ~f(~p)\n\t\t\t~b\n\t\t\t~e\n\t\tend\n\tend\nend\n", "def self.~f(~p)\n\t~b\nend\n", "it '~s' do\n\t~v = described_class.new(~a)\n\texpect(~v.~m).to eq(~n)\nend\n"},
			statements: []string{"~v = ~e", "@~m = ~e", "# ~w", "if ~c\n\t~b\nend", "~v.each do |~v|\n\t~b\nend", "return ~e if ~c", "raise ArgumentError, \"~s: #{~v}\"", "@~m ||= ~f(~a)", "~v << ~e", "unless ~c\n\t~b\nend"},
			conditions: []string{"~v.nil?", "~v.empty?", "~v.~m == ~n", "@~m.key?(:~m)", "~v.is_a?(~T)"}, expressions: append([]string{"@~m", "~v[:~m]", "~v.map { |~v| ~v.~m }", "{ ~m: ~v, ~m: ~n }"}, cExpressions...),
			param: "~v", run: "bundle exec rspec",
			passed: []string{"  ~s", "...................."}, failed: []string{"  ~n) ~T ~s\n     Failure/Error: expect(~v.~m).to eq(~n)\n\n       expected: ~n\n            got: ~n\n     # ./~F:~L:in `block (3 levels) in <top (required)>'", "NoMethodError: undefined method `~m' for nil\n    ~F:~L:in `~f'"},
		},
		{
			name: "PHP", ext: ".php", dir: "src/", weight: 3, indent: "    ", sigil: "$",
			head:       []string{"<?php", "", "declare(strict_types=1);", "", "namespace App\\~T;", "", "use App\\~T\\~T;", ""},
			units:      []string{"final class ~T implements ~TInterface\n{\n\tprivate array $~m = [];\n\n\tpublic function __construct(private readonly ~T $~m)\n\t{\n\t}\n\n\tpublic function ~f(~p): ~T\n\t{\n\t\t~b\n\n\t\treturn ~e;\n\t}\n}\n", "\tpublic function test~T(): void\n\t{\n\t\t~v = new ~T(~a);\n\t\tself::assertSame(~n, ~v->~f());\n\t}\n"},
			statements: []string{"~v = ~e;", "$this->~m = ~e;", "// ~w", "if (~c) {\n\t~b\n}", "foreach (~v->~m as ~v) {\n\t~b\n}", "return ~e;", "throw new \\RuntimeException(sprintf('~s \"%s\".', ~v));", "~v[] = ~e;"},
			conditions: []string{"null === ~v", "!~v instanceof ~T", "isset(~v['~m'])", "\\count(~v) > ~n", "$this->~m"}, expressions: []string{"~v", "~n", "$this->~m", "~v->~f(~a)", "new ~T(~a)", "~v['~m'] ?? null", "'~s'", "array_map(fn (~v) => ~v->~m, ~v)"},
			param: "~T ~v", run: "vendor/bin/phpunit",
			passed: []string{"...............................................................  ~n / ~n (~n%)"}, failed: []string{"~n) App\\Tests\\~TTest::test~T\nFailed asserting that ~n is identical to ~n.\n\n/app/~F:~L", " ------ ------------------------------------------------\n  ~L     Call to an undefined method App\\~T::~f().\n ------ ------------------------------------------------"},
		},
		{
			name: "Kotlin", ext: ".kt", dir: "src/main/kotlin/", weight: 3, indent: "    ",
			head:       []string{"package com.example.~m", "", "import kotlinx.coroutines.flow.Flow", "import kotlinx.coroutines.flow.map", ""},
			units:      []string{"/** ~w. */\nclass ~T(private val ~m: ~T, val ~m: Int = ~n) : ~T() {\n\tsuspend fun ~f(~p): ~T? {\n\t\t~b\n\t\treturn ~e\n\t}\n}\n", "data class ~T(val ~m: String, val ~m: List<~T> = emptyList())\n", "internal fun ~T.~f(~p) = ~e\n", "\t@Test\n\tfun `~s`() = runTest {\n\t\tval ~v = ~f(~a)\n\t\tassertEquals(~n, ~v.~m)\n\t}\n"},
			statements: []string{"val ~v = ~e", "var ~v = ~e", "// ~w", "if (~c) {\n\t~b\n}", "~v.forEach { ~v ->\n\t~b\n}", "return ~e", "require(~c) { \"~s: $~v\" }", "when (~v) {\n\tis ~T -> ~f(~a)\n\telse -> error(\"~s\")\n}", "~m = ~e"},
			conditions: append([]string{"~v == null", "~v.isEmpty()", "~v is ~T", "~v in ~v.~m"}, cConditions...), expressions: append([]string{"~v?.~m", "~v ?: ~n", "~v.map { it.~m }", "~v.copy(~m = ~e)"}, cExpressions...),
			param: "~v: ~T", run: "./gradlew test",
			passed: []string{"~TTest > ~s PASSED", "> Task :~m:compileKotlin"}, failed: []string{"e: file:///workspace/~F:~L:~n Unresolved reference: ~m", "~TTest > ~s FAILED\n    org.opentest4j.AssertionFailedError at ~TTest.kt:~L"},
		},
		{
			name: "Swift", ext: ".swift", dir: "Sources/", weight: 2, indent: "    ",
			head:       []string{"import Foundation", "", "// ~w", ""},
			units:      []string{"/// ~w.\npublic struct ~T: Codable, Equatable {\n\tpublic let ~m: String\n\tvar ~m: [~T] = []\n\n\tpublic mutating func ~f(~p) throws -> ~T? {\n\t\t~b\n\t\treturn ~e\n\t}\n}\n", "extension ~T: ~T {\n\tfunc ~f(~p) async -> Bool {\n\t\t~b\n\t\treturn ~c\n\t}\n}\n", "func test~T() throws {\n\tlet ~v = try ~f(~a)\n\tXCTAssertEqual(~v.~m, ~n)\n}\n"},
			statements: []string{"let ~v = ~e", "var ~v = ~e", "// ~w", "guard let ~v = ~v.~m else { return nil }", "if ~c {\n\t~b\n}", "for ~v in ~v.~m {\n\t~b\n}", "return ~e", "throw ~T.~m(\"~s\")", "self.~m = ~e", "~v.~m.append(~e)"},
			conditions: append([]string{"let ~v = ~v as? ~T", "~v.isEmpty", "~v != nil"}, cConditions...), expressions: append([]string{"~v?.~m", "~v ?? ~n", "~v.map { $0.~m }", "~T(~m: ~e)"}, cExpressions...),
			param: "_ ~v: ~T", run: "swift test",
			passed: []string{"Test Case '-[~TTests test~T]' passed (0.~n seconds)."}, failed: []string{"~F:~L:~n: error: value of type '~T' has no member '~m'", "~F:~L: error: -[~TTests test~T] : XCTAssertEqual failed: (\"~n\") is not equal to (\"~n\")"},
		},
		{
			name: "Scala", ext: ".scala", dir: "src/main/scala/", weight: 2, indent: "  ",
			head:       []string{"package example.~m", "", "import scala.concurrent.Future", "import scala.util.{Failure, Success}", ""},
			units:      []string{"/** ~w. */\nfinal class ~T(~p) extends ~T {\n\tdef ~f(~p): Either[Error, ~T] = {\n\t\t~b\n\t\tRight(~e)\n\t}\n}\n", "final case class ~T(~m: String, ~m: Option[Int] = None, ~m: Seq[~T] = Nil)\n", "object ~T {\n\tdef apply(~p): ~T = new ~T(~a)\n}\n", "test(\"~s\") {\n\tval ~v = ~f(~a)\n\tassertEquals(~v.~m, ~n)\n}\n"},
			statements: []string{"val ~v = ~e", "// ~w", "if (~c) {\n\t~b\n}", "~v.foreach { ~v =>\n\t~b\n}", "~v match {\n\tcase Some(~v) => ~f(~a)\n\tcase None => throw new NoSuchElementException(\"~s\")\n}", "for {\n\t~v <- ~f(~a)\n\t~v <- ~v.~m\n} yield ~e", "logger.info(s\"~s $~v\")"},
			conditions: append([]string{"~v.isEmpty", "~v.exists(_.~m == ~n)", "~v.isInstanceOf[~T]"}, cConditions...), expressions: append([]string{"~v.map(_.~m)", "~v.getOrElse(~n)", "~v.copy(~m = ~e)", "Some(~e)"}, cExpressions...),
			param: "~v: ~T", run: "sbt test",
			passed: []string{"  + ~s 0.~ns", "[info] ~TSuite:"}, failed: []string{"[error] ~F:~L:~n: value ~m is not a member of example.~T\n[error]     val ~v = ~e\n[error]                ^", "==> X example.~TSuite.~s  0.~ns munit.ComparisonFailException: ~F:~L"},
		},
	}
}
