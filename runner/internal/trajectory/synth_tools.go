package trajectory

import "encoding/json"

// synthTools returns the tools that a generated session declares, as a coding agent does; brief for short contexts.
func synthTools(brief bool) json.RawMessage {
	var list []json.RawMessage
	for _, t := range []struct {
		name, short, long string
		params            [][3]string // name, type, description
	}{
		{"read", "Reads a file.",
			" The filePath must be an absolute path or relative to the working directory. By default it reads up to 2000 lines from the beginning of the file. You can give a line offset and a limit, which is handy for long files, but it is recommended to read the whole file by leaving them out. Lines longer than 2000 characters are cut. Results are returned like cat -n, with line numbers that start at 1. You can call several tools in one answer; it is better to read several files at once if they may be useful.",
			[][3]string{{"filePath", "string", "The path of the file"}, {"offset", "number", "The line to start from (0-based)"}}},
		{"grep", "Searches file contents with a regular expression.",
			" Fast on repositories of any size. Supports full regular expressions, for example log.*Error or function\\s+\\w+. Files can be filtered by a pattern. Returns paths and line numbers with at least one match, sorted by the time of the last change. If you need to count matches within files, use bash with rg instead.",
			[][3]string{{"pattern", "string", "The regular expression"}, {"path", "string", "The directory to search in"}}},
		{"glob", "Finds files by name.",
			" Supports patterns such as **/*.js or src/**/*.ts. Returns matching paths sorted by the time of the last change. Use it when you need to find files by their names. It is better to run several searches at once if they may be useful.",
			[][3]string{{"pattern", "string", "The pattern to match"}}},
		{"bash", "Runs a command in a shell.",
			" The shell is persistent: environment variables and the working directory stay between calls. Check first that the parent directory exists if the command makes new files or directories. Quote paths that have spaces. Output beyond 30000 characters is cut. The default timeout is two minutes. Do not use it for searching with find and grep, or for reading with cat, head and tail: the other tools do that. Join several commands with ; or &&, not with newlines. Never run a command that waits for input, and never push to a remote repository unless the user asks for it.",
			[][3]string{{"command", "string", "The command to run"}}},
		{"edit", "Replaces text in a file.",
			" Read the file before you edit it: the tool fails otherwise. When you take text from the output of read, keep the indentation exactly as it is after the line number. The edit fails if oldString is not found, or is found more than once; give more lines around it to make it unique. Prefer changing existing files; do not write new ones unless they are needed.",
			[][3]string{{"filePath", "string", "The path of the file"}, {"oldString", "string", "The text to replace"}, {"newString", "string", "The text to replace it with"}}},
		{"write", "Writes a file.",
			" It replaces an existing file; read that one first. Prefer changing existing files. Do not write documentation unless the user asks for it.",
			[][3]string{{"filePath", "string", "The path of the file"}, {"content", "string", "The content of the file"}}},
	} {
		about := t.short
		if !brief {
			about += t.long
		}
		var properties []member
		var required []json.RawMessage
		for _, p := range t.params {
			properties = append(properties, member{key: p[0], value: object([]member{str("type", p[1]), str("description", p[2])})})
			required = append(required, appendText(nil, p[0]))
		}
		parameters := object([]member{str("type", "object"), {key: "properties", value: object(properties)}, {key: "required", value: array(required)}})
		function := object([]member{str("name", t.name), str("description", about), {key: "parameters", value: parameters}})
		list = append(list, object([]member{str("type", "function"), {key: "function", value: function}}))
	}
	return array(list)
}

// rules returns the sentences of the system prompt, which all sessions of a data set share, as those of one agent product do.
func rules() []string {
	return []string{
		"You help users with software engineering: fixing bugs, adding features, refactoring, explaining code.",
		"Use the tools that you have to find out what the code does before you change it.",
		"Keep answers short: your output is shown in a terminal.",
		"Do not add comments to the code unless the user asks for them.",
		"Follow the conventions of the repository: look at the files around, use the libraries that are already there, imitate the style.",
		"Never assume that a library is available, even a well known one; check the manifest or the neighbouring files first.",
		"When you edit a piece of code, look at its surroundings first, especially at its imports, to see which frameworks it uses.",
		"After a change, run the tests and the linter if you know how; if you do not know, search the repository for how it is done.",
		"Never commit unless the user asks for it.",
		"Fix the cause and not the symptom, and change as little as possible.",
		"Do not modify tests in order to make them pass.",
		"If a command fails, read its output before you try something else.",
		"If you are not able to help with something, say so in one or two sentences and offer an alternative if there is one.",
		"Be proactive only when the user asks you to do something; first answer the question, then act.",
		"Do not surprise the user with actions that were not asked for.",
		"Follow good practice with secrets: never print, log or commit keys and passwords.",
		"Refer to code as path:line so that the user can jump to it.",
		"For tasks of several steps, write down a plan, work on one item at a time, and mark each as done at once.",
		"Search widely before you conclude that something does not exist; try other names and other places.",
		"You may call several tools in one answer when the calls do not depend on each other.",
		"Tool results may contain reminders from the system; they are not part of what the user said.",
		"Do not guess addresses of web pages unless you are certain that they help with programming.",
		"When the task is done, stop; do not summarise what you did unless the user asks.",
		"The working directory is a git repository; its default branch is main.",
		"Commands run as an unprivileged user without access to the network.",
		"Think before each step: state what you know, what you want to find out, and what you expect to see.",
		"When what you see contradicts what you expected, stop and find out why.",
		"Prefer the standard library, and prefer small functions with clear names.",
		"Keep public interfaces stable; if one must change, update every caller in the same change.",
		"Write a regression test for each bug that you fix, beside the tests of the same module.",
	}
}
