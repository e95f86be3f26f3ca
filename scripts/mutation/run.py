# SPDX-License-Identifier: Apache-2.0
"""Runs mutants: the core's tests first, then the keys', then the simulator; the first that fails has killed it."""

import concurrent.futures
import json
import os
import re
import resource
import subprocess
import sys
import time

from . import package

RESULTS = package.WORK / "results.json"


def limited():
    """A mutant may ask for ever more memory."""
    resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def command(program, number, limit):
    """Exit status, output and seconds; the status is None after the time limit."""
    began = time.monotonic()
    environment = {**os.environ, "PHAROS_MUTANT": str(number)}
    process = subprocess.Popen(
        program, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        preexec_fn=limited, start_new_session=True)
    try:
        output, _ = process.communicate(timeout=limit)
        status = process.returncode
    except subprocess.TimeoutExpired:
        process.kill()
        output, _ = process.communicate()
        status = None
    return status, output.decode(errors="replace"), time.monotonic() - began


def steps(folder, seeds):
    tests = str(next(folder.glob("*PackageTests.xctest")))
    runner = [tests, "--testing-library", "swift-testing"]
    return [
        ("DecisionTests", [*runner, "--filter", "DecisionTests"]),
        ("PharosKeysTests", [*runner, "--filter", "PharosKeys"]),
        ("simulator", [str(folder / "simulate-mutant"), str(seeds)]),
    ]


def how(step, status, output, limit):
    """What killed it, in words."""
    if step == "simulator":
        found = re.search(r"VIOLATION: (.*)", output)
        if found:
            return f"simulator: {found[1]}"
    else:
        plain = re.sub(r"\x1b\[[0-9;]*m", "", output)
        found = sorted(set(re.findall(r"(?m)^\S* ?Test `?(.+?)`?(?:\(\))? recorded an issue", plain)))
        if found:
            more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
            return f"{step}: {found[0].strip(chr(34))}{more}"
    if status is None:
        return f"{step}: does not end within {limit:.0f} s"
    return f"{step}: crashes (status {status})"


def one(mutant, plan, limits):
    for step, program in plan:
        if not wanted(step, mutant):
            continue
        status, output, _ = command(program, mutant.number if mutant else 0, limits[step])
        if status != 0:
            return how(step, status, output, limits[step])
    return None


def wanted(step, mutant):
    """The keys' tests see no decisions, and the core's tests no keys."""
    is_key = mutant is not None and "/Decision/" not in mutant.file
    return mutant is None or step == "simulator" or (step == "PharosKeysTests") == is_key


def run(mutants, folder, options, known):
    """What killed each mutant, by name; None: it lives."""
    plan = steps(folder, options.seeds)
    limits = {}
    for step, program in plan:
        status, output, seconds = command(program, 0, 600)
        if status != 0:
            sys.exit(f"Without a mutant, {step} fails:\n{output[-4000:]}")
        print(f"{step}, without a mutant: {seconds:.1f} s", flush=True)
        limits[step] = 8 + 5 * seconds
    results = {}
    if options.all and options.goes_on and RESULTS.exists():
        names = {mutant.name for mutant in mutants}
        # What lived may have met its test since.
        results = {name: by for name, by in json.loads(RESULTS.read_text()).items() if by and name in names}
    waiting = [mutant for mutant in mutants if mutant.name not in results]
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        under_way = {pool.submit(one, mutant, plan, limits): mutant for mutant in waiting}
        for done, future in enumerate(concurrent.futures.as_completed(under_way), 1):
            mutant = under_way[future]
            results[mutant.name] = future.result()
            told = results[mutant.name] or "LIVES" + (" (known)" if mutant.name in known else "")
            print(f"[{done}/{len(waiting)}] {mutant.name}: {told}", flush=True)
            if options.all:
                RESULTS.write_text(json.dumps(results, indent=1))
    return results
