# SPDX-License-Identifier: GPL-2.0-only
"""Which lines of the model (difffuzz/kvm, difffuzz/machine) do programs reach?

Runs every program of the corpus, then generated and mutated ones for a while, and prints a table
and what nothing reached.  docs/coverage.md has the reason for each of these lines: one without a
reason makes the exit status 1.  What an assertion does when it fires is not counted: a run that
reaches that is a finding.

    scripts/coverage [SECONDS] [SEED]      (default: 600 seconds of fuzzing, seed 1)
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping
from io import StringIO
from random import Random

import coverage
from coverage_names import DOCUMENT, MODEL, ROOT, Source, explained, model_files

ASSERTIONS = (r"kvm\.warn\(", r"raise (KernelSplat|AssertionError)\(")


def main(arguments: list[str]) -> int:
    """Measures, prints, and returns the exit status."""
    try:
        seconds, seed = (*map(int, arguments), *(600, 1)[len(arguments) :])
    except ValueError:
        print("usage: scripts/coverage [SECONDS] [SEED]", file=sys.stderr)
        return 2
    # Before the model is imported, so that its definitions count as reached.
    include = [str(ROOT / "difffuzz" / name / "*") for name in MODEL]
    cov = coverage.Coverage(
        data_file=None, config_file=False, include=include, concurrency="greenlet"
    )
    cov.start()
    from coverage_programs import Campaign

    campaign = Campaign(Random(seed))
    campaign.run_corpus()
    campaign.fuzz(seconds)
    cov.stop()
    print(f"{campaign.runs} programs, {seconds} seconds of fuzzing, seed {seed}")
    for signature, count in campaign.signatures.most_common():
        print(f"divergence {signature}: {count} times")
    total = cov.report(file=StringIO())
    for assertion in ASSERTIONS:
        cov.exclude(assertion)
    cov.report(skip_covered=True)
    print(f"With what assertions do when they fire: {total:.1f} %")
    return 1 if judge(unreached(cov), explained(DOCUMENT.read_text())) else 0


def unreached(cov: coverage.Coverage) -> Counter[str]:
    """What nothing reached, with the number of lines of each."""
    found: Counter[str] = Counter()
    for path in model_files():
        _, statements, _, missing, _ = cov.analysis2(str(path))
        found += Source(path).unreached(set(statements), set(missing))
    return found


def judge(found: Mapping[str, int], reasons: list[str]) -> int:
    """Prints what is not explained, or that all is; returns how many lines are not."""
    for name in sorted(set(reasons) - found.keys()):
        print(f"explained, but reached: {name}")
    unexplained = {name: lines for name, lines in found.items() if name not in reasons}
    for name, lines in sorted(unexplained.items()):
        print(f"not explained ({lines}): {name}")
    count, without = sum(found.values()), sum(unexplained.values())
    print(f"{count} lines not reached, {without or 'none'} of them without a reason")
    return without


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    sys.exit(main(sys.argv[1:]))
