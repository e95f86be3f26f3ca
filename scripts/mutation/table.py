# SPDX-License-Identifier: Apache-2.0
"""The known survivors with their reasons, the table in docs/mutants.md, and the verdict of a run."""

from . import package

SURVIVORS = package.ROOT / "Tests/Mutants/survivors.txt"
TABLE = package.ROOT / "docs/mutants.md"


def reasons():
    """The reason why each known survivor may live: lines with names, then indented lines that say it for all of them."""
    found, names, is_told = {}, [], True
    for line in SURVIVORS.read_text().splitlines() if SURVIVORS.exists() else []:
        if not line.strip() or line.startswith("#"):
            continue
        if line.startswith(" "):
            for name in names:
                found[name] = (found[name] + " " + line.strip()).strip()
            is_told = True
        else:
            names = [line.strip()] if is_told else [*names, line.strip()]
            found[line.strip()] = ""
            is_told = False
    return found


def cell(text):
    return text.replace("|", "\\|")


def write(mutants, dropped, results, options):
    known = reasons()
    killed = sum(1 for mutant in mutants if results[mutant.name])
    rows = [
        "# Mutants of the decisions",
        "",
        "Made by `make mutants`; not to be edited. Each row is one small fault in the code that decides where an address is, made by",
        "a rule over the source (`scripts/mutation/rules.py`), and what found it: the first test that failed, else the first of",
        f"{options.seeds} simulated clusters in which an invariant broke. A mutant that nothing finds stands in",
        "`Tests/Mutants/survivors.txt` with the reason why it may live.",
        "",
        f"{len(mutants)} mutants: {killed} killed, {len(mutants) - killed} live. {len(dropped)} more that the rules made do not compile.",
        "",
        "| Mutant | Change | Killed by |",
        "| --- | --- | --- |",
    ]
    for mutant in mutants:
        by = results[mutant.name] or "**lives**, because " + known.get(mutant.name, "(no reason yet)")
        rows.append(f"| `{cell(mutant.name)}` | {cell(mutant.after)} | {cell(by)} |")
    TABLE.write_text("\n".join(rows) + "\n")


def verdict(mutants, results, is_whole):
    known = reasons()
    living = [name for name, by in results.items() if by is None]
    new = [name for name in living if name not in known]
    for name in sorted(name for name, by in results.items() if by and name in known):
        print(f"killed now, so it can leave {SURVIVORS.name}: {name}")
    names = {mutant.name for mutant in mutants}
    for name in sorted(name for name in known if name not in names):
        print(f"no rule makes it any more, so it can leave {SURVIVORS.name}: {name}")
    print(f"{len(results)} mutants: {len(results) - len(living)} killed, {len(living)} live")
    for name in new:
        print(f"NEW SURVIVOR: {name}")
    if new:
        print(f"Write a test that kills it, or say in {SURVIVORS.relative_to(package.ROOT)} why it may live.")
    return 1 if new else 0
