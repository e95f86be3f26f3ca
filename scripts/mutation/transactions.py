# SPDX-License-Identifier: Apache-2.0
"""The rules for transactions: each compare, each operation, and the lease of each put."""

import re

from .rules import Rules


class TransactionRules(Rules):
    def all(self):
        source, code = self.source, self.source.code
        for found in re.finditer(r"\[(?=\s*\.(?:init|absent|range|put|delete)\()", code):
            begin = found.start()
            end = source.matching[begin]
            at, elements = begin + 1, []
            while at < end:
                stop = source.end_at_depth(at, [","])
                if code[at:stop].strip():
                    first = at + len(code[at:stop]) - len(code[at:stop].lstrip())
                    elements.append((first, first + len(code[at:stop].strip())))
                at = stop + 1
            if not code[begin + 1 : end].strip().startswith("."):
                continue
            for first, last in elements:
                # `nil` is left out by the function around.
                self.add(
                    "no-element", first, source.text[first:last], "left out",
                    [(first, first, "mutantLeftOut(@) ? nil : ", 2)])
                self.mutants[-1].token = (begin, end + 1, "[", "list")
        for found in re.finditer(r"\blease: ([\w.]+)\)", code):
            begin, end = found.span(1)
            if code[max(0, begin - 400) : begin].rfind(".put(") < 0 or found[1] == "0" or source.is_excluded(begin):
                continue
            put = code.rfind(".put(", 0, begin)
            if source.matching.get(put + 4, 0) < begin:
                continue
            self.add("no-lease", begin, source.text[put : end + 1], "lease 0", [(begin, end, f"(mutant(@) ? 0 : {found[1]})", 3)])
        for found in re.finditer(r"\bfailure: ([\w.]+)\)", code):
            begin, end = found.span(1)
            self.add("no-read", begin, f"failure: {found[1]}", "[]", [(begin, end, f"(mutant(@) ? [] : {found[1]})", 3)])
        return self.mutants
