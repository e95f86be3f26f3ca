# SPDX-License-Identifier: Apache-2.0
"""Which files are mutated, and which of the mutants that the rules find are kept."""

import re
import sys
import zlib

from . import package, rules, table
from . import transactions as transaction_rules
from .source import Source

#: The address lease's decisions. Citus, the detector and the ledger are not among them, nor what is only shown.
DECISION = ["AddressLease*", "KernelSide*", "KeySide*", "NodeState*", "Stance*", "ClusterView*", "Core", "Core+*", "CoreSettings",
            "Event", "WatchDebts*", "Trail*", "Question*", "Backoff*"]
NOT_DECISION = ["Core+Members", "Core+Operations", "Core+Ports", "Core+Status"]
#: The transactions, wherever they stand, and the tests that see them.
TRANSACTIONS = "Sources/*/PharosKeys*.swift"
TRANSACTION_TESTS = "Tests/*/PharosKeys*Tests.swift"
HELPERS = "Mutants.swift"

#: Functions in which a fault could most easily give an address to two nodes: every mutant is run. Of the functions that help
#: them, and of all others, one in so many, chosen by its name, so that the choice stays when the code around it changes.
EVERY = set(
    "judge facts reckonRight isCoveredByOlderTTL settleKernel giveBackKey revoke drop settle currentHolder acquired acquireFailed "
    "appeared hold shownAcquisition leaseKept isClear owns isHeld isSpare margin reckonTimes longestTTL ttlMayHaveChanged "
    "adoptionTTL isPostgresAnswerFresh summarize isContradicted isMarked markIfNew learnAcquisition failsafeSlack failsafeCover "
    "isCoveredByFailsafe addressTTL kinship merged wasQuarantined".split())
HELPING = set(
    "clearKernel renewKernel compareWithKey pursueAdoption obtainKey moveIfTooLong leaseGranted leaseGone leaseRevoked "
    "acquireFoundNoLease isAcquiring learnRefusal released trailMoved forgetCluster removed assigned assignFailed mayJudgeKernel "
    "hasRead learnFromEtcd completed mayFailsafeCover learn renewLease keepAlive keepAliveAnew".split())
HELPING_ONE_IN, OTHER_ONE_IN = 8, 30
#: Rules whose mutants are seldom more than noise there either: one in two.
HALVED = {"skip", "literal", "flip", "other-way", "edge", "zero"}
#: Every mutant of a line with one of these words.
WORDS = re.compile(
    r"quietUntil|keepAliveAnew|waitingPace|watchDebts|Announc|longestTTL|isMarkDoubtful|append\(\.revoke")


def chosen(mutants):
    """Those that are run. Where two rules make nearly the same of one place, the one that is harder to notice."""
    skipped = {(mutant.file, mutant.line) for mutant in mutants if mutant.rule == "skip"}
    zeroed = {(mutant.file, mutant.line) for mutant in mutants if mutant.rule == "zero"}
    kept = []
    for mutant in mutants:
        place, die = (mutant.file, mutant.line), zlib.crc32(mutant.name.encode())
        if mutant.rule == "literal" and place in skipped and re.search(r"= (true|false)\b", mutant.before):
            continue
        if mutant.rule in ("sign", "no-term") and place in zeroed or mutant.rule == "sign" and die % 3:
            continue
        if mutant.rule == "edge" and die % 3:
            continue
        one_in = HELPING_ONE_IN if mutant.function in HELPING else OTHER_ONE_IN
        if "/Decision/" not in mutant.file:
            one_in = 1
        elif mutant.function in EVERY:
            one_in = 2 if mutant.rule in HALVED else 1
        if die // 3 % one_in == 0 or mutant.rule != "literal" and WORDS.search(mutant.before):
            kept.append(mutant)
    return kept


def read(path):
    return Source(str(path.relative_to(package.ROOT)), path.read_text())


def made():
    """All that the rules make, chosen or not; the sources of the decisions, and those of the transactions, by path."""
    decision = {}
    for pattern in DECISION:
        for path in sorted((package.ROOT / "Sources/Decision").rglob(f"{pattern}.swift")):
            if path.stem not in NOT_DECISION:
                decision[str(path.relative_to(package.ROOT))] = read(path)
    transactions = {str(path.relative_to(package.ROOT)): read(path) for path in sorted(package.ROOT.glob(TRANSACTIONS))}
    if not transactions:
        sys.exit(f"No file {TRANSACTIONS}: the transactions are not mutated.")
    found = []
    for source in decision.values():
        found += rules.Rules(source).all()
    for source in transactions.values():
        found += transaction_rules.TransactionRules(source).all()
    return rules.named(found), decision, transactions


def prepared(named=()):
    """The mutants that compile, numbered: those that are chosen, those of these names, and those of which a reason says why they
    may live, for it must stay true; the sources by path; the names of those that do not compile."""
    found, decision, transactions = made()
    kept = {mutant.name for mutant in chosen(found)} | set(named) | set(table.reasons())
    mutants = [mutant for mutant in found if mutant.name in kept]
    for number, mutant in enumerate(mutants, 1):
        mutant.number = number
    sources = {**decision, **transactions}
    kept, dropped = compiling(mutants, decision)
    return kept, sources, dropped


def rewritten(mutants, sources):
    """The rewritten texts by path, and each module's helpers."""
    files, definitions = {}, {}
    for path, source in sources.items():
        module = path.split("/")[1]
        files[path] = package.rewritten(
            source, [mutant for mutant in mutants if mutant.file == path], definitions.setdefault(module, []))
    for module, texts in definitions.items():
        files[f"Sources/{module}/{HELPERS}"] = package.HELPERS + "".join(texts)
    return files


def compiling(mutants, sources):
    """Leaves out mutants until the module compiles: those on a line with an error, or else the statements left out in the
    function that ends there."""
    others = {
        str(path.relative_to(package.ROOT)): path.read_text()
        for path in sorted((package.ROOT / "Sources/Decision").rglob("*.swift"))
        if str(path.relative_to(package.ROOT)) not in sources
    }
    kept, dropped = list(mutants), []
    for _ in range(12):
        errors = package.type_errors({**others, **rewritten(kept, sources)})
        if not errors:
            return kept, dropped
        bad = set()
        for path, lines in errors.items():
            if path not in sources:
                sys.exit(f"{path} does not compile: {lines}")
            source = sources[path]
            for line, message in lines.items():
                here = [mutant for mutant in kept if mutant.file == path and line in lines_of(mutant, source)]
                if not here:
                    here = [
                        mutant for mutant in kept
                        if mutant.file == path and mutant.rule == "skip" and source.is_in_function(mutant.line, line)]
                if not here:
                    sys.exit(f"{path}:{line}: {message}: no mutant is to blame")
                bad.update(mutant.number for mutant in here)
        dropped += [mutant for mutant in kept if mutant.number in bad]
        kept = [mutant for mutant in kept if mutant.number not in bad]
    sys.exit("The mutants do not compile after 12 rounds.")


def lines_of(mutant, source):
    places = [edit[0] for edit in mutant.edits] + ([mutant.token[0]] if mutant.token else [])
    return {source.line_of(place) for place in places}


def generate(mutants, sources):
    files = rewritten(mutants, sources)
    tests = [str(path.relative_to(package.ROOT)) for path in sorted(package.ROOT.glob(TRANSACTION_TESTS))]
    package.generate(files, {path.split("/")[1] for path in sources}, tests)
