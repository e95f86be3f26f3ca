# SPDX-License-Identifier: Apache-2.0
"""The rules that make mutants of Swift source. Each finds its places by the text, so that they survive changes of the lines.

A mutant is a name, and edits that are compiled in beside the original behind the mutant's number.
"""

import re
from dataclasses import dataclass, field


@dataclass
class Mutant:
    rule: str
    file: str
    function: str
    #: The text that the rule found, and what it becomes.
    before: str
    after: str
    at: int
    line: int
    #: (begin, end, text with @ for the number, level): nested edits of the same place are put together by their level.
    edits: list = field(default_factory=list)
    #: The token whose operator is replaced: (begin, end, operator, kind).
    token: tuple = None
    name: str = ""
    number: int = 0


def squeezed(text):
    return re.sub(r"\s+", " ", text).strip()


INFIX = re.compile(r"(?<=[\w)\]}?!])\s+(<=|>=|<|>|==|!=|&&|\|\||\+|-|\*|/)\s+(?=[\w(.!\[-])")
EDGE = {"<": "<=", "<=": "<", ">": ">=", ">=": ">"}
FLIP = {"==": "!=", "!=": "==", "<": ">=", "<=": ">", ">": "<=", ">=": "<"}
KEYWORDS = {
    "let", "var", "return", "if", "guard", "for", "switch", "func", "default", "private", "static", "init", "else", "while",
    "struct", "enum", "extension", "public", "mutating", "indirect", "fileprivate", "get", "set", "break", "import",
    "infix", "subscript", "consider",
}


class Rules:
    def __init__(self, source):
        self.source, self.mutants = source, []
        self.clauses = []

    def add(self, rule, at, before, after, edits=(), token=None):
        source = self.source
        self.mutants.append(
            Mutant(
                rule, source.path, source.function_at(at), squeezed(before), squeezed(after), at, source.line_of(at),
                list(edits), token))

    def all(self):
        self.conditions()
        self.operators()
        self.statements()
        self.constants()
        self.literals()
        self.extremes()
        self.instants()
        self.ternaries()
        return self.mutants

    # Conditions: each clause of if, guard, while, where, always or never true.

    def conditions(self):
        code = self.source.code
        for found in re.finditer(r"\b(if|guard|while|where)\b ", code):
            at = found.end()
            if found[1] == "where":
                # Of a loop, a label, not of a generic signature.
                line = code[code.rfind("\n", 0, found.start()) + 1 : found.start()].strip()
                if re.match(r"(func|extension|struct|public|private|static|mutating)", line):
                    continue
            stops = [" else "] if found[1] == "guard" else [" {"]
            if found[1] == "where":
                stops = [" {", ":", ", ."]
            while True:
                end = self.source.end_at_depth(at, stops + [", ", ",\n"] + (["\n        else"] if found[1] == "guard" else []))
                if found[1] == "guard":
                    other = re.compile(r"\s+else\b")
                    probe = at
                    while probe < end and not other.match(code, probe):
                        probe = self.source.matching.get(probe, probe) + 1
                    end = min(end, probe)
                clause = code[at:end].strip()
                begin = at + len(code[at:end]) - len(code[at:end].lstrip())
                if clause and not re.match(r"(let|var|case)\b", clause):
                    text = self.source.text[begin : begin + len(clause)]
                    self.clauses.append((begin, begin + len(clause)))
                    for rule, constant in (("always", "true"), ("never", "false")):
                        self.add(
                            rule, begin, text, constant,
                            [(begin, begin, f"(mutant(@) ? {constant} : (", 1), (begin + len(clause), begin + len(clause), "))", 1)])
                if end >= len(code) or not code.startswith(",", end) or found[1] == "where":
                    break
                at = end + 1

    # Operators: one operand left out, comparisons at their edge or turned round, plus for minus.

    def operators(self):
        source = self.source
        for found in INFIX.finditer(source.code):
            at, operator = found.start(1), found[1]
            if source.is_excluded(at):
                continue
            context = self._around(at)
            token = (at, found.end(1), operator)
            whole = any(begin <= at < end and source.inside[at] == source.inside[begin] for begin, end in self.clauses)

            def make(rule, after, kind):
                self.add(rule, at, context, after, token=(*token, kind))

            if operator in ("&&", "||"):
                make("first-only", f"without what follows {operator}", "left")
                make("second-only", f"without what precedes {operator}", "right")
            elif operator in FLIP:
                if operator in EDGE:
                    make("edge", f"{EDGE[operator]} for {operator}", "edge")
                if not whole:
                    make("flip", f"{FLIP[operator]} for {operator}", "flip")
            elif operator in "+-":
                make("sign", f"{'-' if operator == '+' else '+'} for {operator}", "sign")
                make("no-term", f"without what follows {operator}", "left")
            else:
                make("no-factor", f"without what follows {operator}", "left")

    def _around(self, at):
        """The operands as far as they stand on one line, for the name."""
        text, code = self.source.text, self.source.code
        begin, depth = at, 0
        while begin > 0 and not (
            depth == 0 and (code[begin - 1] in "([{,;\n" or code.endswith(("return ", "guard ", "if ", ": "), 0, begin))
        ):
            begin -= 1
            depth += {")": 1, "]": 1, "}": 1, "(": -1, "[": -1, "{": -1}.get(code[begin], 0)
        if not code[begin:at].strip():
            begin = code.rfind("\n", 0, begin - 1) + 1
        end, depth = at, 0
        while end < len(code) and not (depth == 0 and code[end] in ")]},;\n{"):
            depth += {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}.get(code[end], 0)
            end += 1
        return text[begin:end]

    # Statements: an assignment, an append or a call left out.

    def statements(self):
        source, code = self.source, self.source.code
        pattern = re.compile(
            r"(?:(?<=\n)[ ]*(?:case [^\n{}]*[^\n{}:]: )?|\{ )([a-z]\w*)((?:\??\.\w+|\[[^\]\n]*\])*)( (?:[+*/-]|<<)?= |\()")
        for found in pattern.finditer(code):
            begin = found.start(1)
            if found[1] in KEYWORDS or source.is_excluded(begin):
                continue
            if source.inside[begin] is None or code[source.inside[begin]] != "{":
                continue
            is_inline = code.startswith("{ ", found.start())
            before = code[: found.start() + (1 if is_inline else 0)].rstrip()
            if not is_inline and not re.search(r"[{};:)\w?\]]$", before):
                continue
            if not is_inline and re.search(r"\b(else|return|in|where)$", before):
                continue
            if found[3] == "(" and not found[2] and found[1] not in ("update",):
                continue
            end = self._statement_end(begin)
            if is_inline:
                end = source.end_at_depth(begin, [";", " }"])
            if end is None or code[begin:end].count("=") == 0 and found[3] != "(":
                continue
            text = source.text[begin:end]
            # An initializer must set everything.
            if source.function_at(begin) == "init":
                continue
            if ".report(" in text and "actions.append" in text:
                continue
            self.add("skip", begin, text, "left out", [(begin, begin, "if !mutant(@) { ", 0), (end, end, " }", 0)])

    def _statement_end(self, begin):
        """The end of the statement: of its last line that is deeper, or inside of its brackets."""
        source, code = self.source, self.source.code
        indent, at = source.indent_at(begin), begin
        while True:
            at = source.end_at_depth(at, ["\n"])
            following = code[at + 1 : code.find("\n", at + 1)]
            if code[at] != "\n":
                return None
            depth = len(following) - len(following.lstrip(" "))
            if following.strip() and depth > indent and following.strip()[0] not in CLOSERS:
                at += 1
                continue
            return at

    # Constants and literals.

    def constants(self):
        for found in re.finditer(r"\.(seconds|milliseconds)\((\d[\d_]*)", self.source.code):
            if self.source.is_excluded(found.start()) or int(found[2].replace("_", "")) == 0:
                continue
            begin, end = found.span(2)
            self.add(
                "zero", begin, self._around(found.start()), f"0 for {found[2]}",
                [(begin, end, f"(mutant(@) ? 0 : {found[2]})", 3)])

    def literals(self):
        for found in re.finditer(r"\b(true|false)\b", self.source.code):
            begin, end = found.span()
            if self.source.is_excluded(begin):
                continue
            other = "false" if found[1] == "true" else "true"
            line = self.source.text[self.source.text.rfind("\n", 0, begin) + 1 : self.source.text.find("\n", end)]
            text = "!mutant(@)" if found[1] == "true" else "mutant(@)"
            self.add("literal", begin, line, f"{other} for {found[1]}", [(begin, end, text, 3)])

    def extremes(self):
        for found in re.finditer(r"(?<![.\w])(min|max)\(", self.source.code):
            begin, end = found.start(1), found.end()
            if self.source.is_excluded(begin):
                continue
            other = "max" if found[1] == "min" else "min"
            text = self.source.text[begin : self.source.matching[end - 1] + 1]
            self.add(
                "extreme", begin, text, f"{other} for {found[1]}", [(begin, end, f"mutant{found[1].title()}(@, ", 3)])

    # When something was sent is not when it was answered; the longest TTL is not today's.

    def instants(self):
        code = self.source.code
        for found in re.finditer(r"(?<=[ (])(sentAt|askedAt|since)\b(?=[,)\n ])(?! =)", code):
            begin, end = found.span()
            line = code[code.rfind("\n", 0, begin) + 1 : begin]
            if self.source.is_excluded(begin) or re.search(r"\b(let|var) $", code[:begin]) or "func " in line:
                continue
            # Only where the function knows the present time.
            if "now: Instant" not in self.source.header_before(begin):
                continue
            self.add(
                "late", begin, self._around(begin), f"now for {found[1]}",
                [(begin, end, f"(mutant(@) ? now : {found[1]})", 3)])
        for found in re.finditer(r"\b(self\.node\.|node\.|self\.)longestTTL\(at: now\)", code):
            begin, end = found.span()
            if self.source.is_excluded(begin):
                continue
            self.add(
                "short-TTL", begin, self._around(begin), "leaseTTL for longestTTL",
                [(begin, end, f"(mutant(@) ? {found[1]}leaseTTL : {found[0]})", 3)])

    def ternaries(self):
        for found in re.finditer(r"(?<=[\w)])\s+\?\s", self.source.code):
            at = found.start()
            # The postfix operator that turns it round binds tighter than any other.
            before = self._around(at).split(" ? ")[0]
            if self.source.is_excluded(at) or re.search(r" (<|>|<=|>=|==|!=) ", squeezed(before)):
                continue
            self.add("other-way", at, self._around(at), "the condition turned round", token=(at, at, "?", "turn"))


CLOSERS = ")]}"


def named(mutants):
    """Gives each its name: file, function, rule, text; with an ordinal where that is not enough."""
    seen = {}
    for mutant in sorted(mutants, key=lambda mutant: (mutant.file, mutant.at, mutant.rule)):
        stem = mutant.file.rsplit("/", 1)[-1].removesuffix(".swift")
        text = re.sub(r"\bself\.", "", mutant.before)
        text = re.sub(r"\s+", "", re.sub(r"(?<=\w) (?=\w)", "_", text))
        if len(text) > 70:
            text = text[:45] + "…" + text[-22:]
        name = f"{stem}.{mutant.function}/{mutant.rule}/{text}"
        seen[name] = seen.get(name, 0) + 1
        mutant.name = name if seen[name] == 1 else f"{name}#{seen[name]}"
    return sorted(mutants, key=lambda mutant: mutant.name)
