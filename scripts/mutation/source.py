# SPDX-License-Identifier: Apache-2.0
"""Swift source as the rules see it: without comments and texts, and with the places marked where a change means nothing.

This is no parser. It relies on what `swift format` makes of every file here: spaces around infix operators, one statement a
line, continuation lines deeper than the line that they continue.
"""

import re

OPEN, CLOSE = "([{", ")]}"
DECLARATION = re.compile(
    r"^( *)(?:@\w+(?:\([^)\n]*\))? )*"
    r"(?:(?:public|private|fileprivate|internal|static|mutating|indirect|private\(set\)) )*"
    r"(func|init|var|let|subscript)\b ?([\w<>=+-]*)",
    re.MULTILINE,
)


def masked(text):
    """The text with comments and string literals blanked, every other character in its place."""
    out = list(text)

    def blank(begin, end):
        for index in range(begin, end):
            if out[index] != "\n":
                out[index] = " "

    def literal(at):
        """The end of the string literal that begins at `at`."""
        at += 1
        while text[at] != '"':
            if text[at] == "\\" and text[at + 1] == "(":
                at, depth = at + 2, 1
                while depth:
                    if text[at] == '"':
                        at = literal(at)
                        continue
                    depth += {"(": 1, ")": -1}.get(text[at], 0)
                    at += 1
            else:
                at += 2 if text[at] == "\\" else 1
        return at + 1

    at = 0
    while at < len(text):
        if text.startswith("//", at):
            end = text.find("\n", at)
            end = len(text) if end < 0 else end
            blank(at, end)
            at = end
        elif text[at] == '"':
            end = literal(at)
            # Kept as an operand, so that what stands beside it still is an infix operator.
            blank(at, end)
            out[at], out[end - 1] = "Q", "Q"
            at = end
        else:
            at += 1
    return "".join(out)


class Source:
    """One file."""

    def __init__(self, path, text):
        self.path, self.text, self.code = path, text, masked(text)
        self.stem = path.rsplit("/", 1)[-1].removesuffix(".swift")
        self.matching = {}
        stack = []
        # Innermost open bracket before each character.
        self.inside = []
        for index, character in enumerate(self.code):
            self.inside.append(stack[-1] if stack else None)
            if character in OPEN:
                stack.append(index)
            elif character in CLOSE:
                self.matching[stack.pop()] = index
        self.declarations = [
            (found.start(), len(found[1]), found[3] or found[2])
            for found in DECLARATION.finditer(self.code)
            if found[2] in ("func", "init", "subscript") or len(found[1]) <= 4
        ]
        self.excluded = self._patterns() + self._reports() + self._headers()

    def line_of(self, at):
        return self.text.count("\n", 0, at) + 1

    def indent_at(self, at):
        begin = self.code.rfind("\n", 0, at) + 1
        return len(self.code[begin:]) - len(self.code[begin:].lstrip(" "))

    def function_at(self, at):
        """The name of the function, property or initializer that encloses the place."""
        indent, name = self.indent_at(at), self.stem
        line = self.code.rfind("\n", 0, at) + 1
        for begin, depth, found in self.declarations:
            if begin > at:
                break
            if depth < indent or begin == line:
                name = found
        return name

    def is_in_function(self, line, last):
        """Whether the line stands in the function to which the line `last` belongs."""
        starts = [self.line_of(begin) for begin, _ in self._headers()]
        starts += [self.line_of(begin) for begin, _, _ in self.declarations]
        return max((start for start in starts if start <= last), default=0) <= line <= last

    def header_before(self, at):
        """The declaration of the function that the place is in."""
        begins = [begin for begin, end in self._headers() if begin < at]
        return self.code[max(begins) : self.code.index("{", max(begins))] if begins else ""

    def end_at_depth(self, at, stops):
        """The first place from `at` on, outside of every bracket opened since, where one of `stops` begins."""
        while at < len(self.code):
            for stop in stops:
                if self.code.startswith(stop, at):
                    return at
            if self.code[at] in OPEN:
                at = self.matching[at]
            elif self.code[at] in CLOSE:
                return at
            at += 1
        return at

    def is_excluded(self, at):
        return any(begin <= at < end for begin, end in self.excluded)

    def _patterns(self):
        """Patterns: behind `case`, up to ` = ` in a condition, or up to the colon or the `where` of a switch's label."""
        zones = []
        for found in re.finditer(r"\bcase\b", self.code):
            before = self.code[: found.start()].rstrip()
            if re.search(r"\b(if|guard|while|for)$|,$", before) and not self.code[: found.start()].endswith("\n"):
                stops = [" = ", " in "]
            elif before.endswith(",") or re.search(r"\b(if|guard|while|for)$", before):
                stops = [" = ", " in "]
            else:
                stops = [":", " where "]
            end = self.end_at_depth(found.end(), stops)
            # A case of an enum's declaration has no colon.
            line_end = self.code.find("\n", found.end())
            while self.code[:line_end].rstrip().endswith(",") and line_end < end:
                line_end = self.code.find("\n", line_end + 1)
            zones.append((found.start(), min(end, line_end if line_end >= 0 else end)))
        return zones

    def _reports(self):
        """What is only said: `actions.append(.report(…))`."""
        zones = []
        for found in re.finditer(r"actions\.append\(\s*\.report\(", self.code):
            bracket = self.code.index("(", found.start())
            zones.append((found.start(), self.matching[bracket] + 1))
        return zones

    def _headers(self):
        """Declarations' parameter lists."""
        zones = []
        for found in re.finditer(r"\b(func [^\s(]+|func \S+ |init|subscript)\(", self.code):
            if self.code[found.start() - 1] in " \n":
                bracket = found.end() - 1
                line = self.code.rfind("\n", 0, found.start()) + 1
                zones.append((line, self.matching[bracket] + 1))
        return zones
