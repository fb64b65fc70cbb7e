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
from io import StringIO
from random import Random

from ...script import end, need
from ...shipped import PACKAGE, checkout
from .judge import judge, unreached
from .names import MODEL, explained

ASSERTIONS = (r"kvm\.warn\(", r"raise (KernelSplat|AssertionError)\(")


def main() -> int:
    """Measures, prints, and returns the exit status."""
    arguments = sys.argv[1:]
    try:
        seconds, seed = (*map(int, arguments), *(600, 1)[len(arguments) :])
    except ValueError:
        print("usage: scripts/coverage [SECONDS] [SEED]", file=sys.stderr)
        return 2
    reasons = checkout("docs/coverage.md") / "docs" / "coverage.md"
    need("coverage")
    import coverage

    # Before the model is imported, so that its definitions count as reached.
    include = [str(PACKAGE / name / "*") for name in MODEL]
    cov = coverage.Coverage(
        data_file=None, config_file=False, include=include, concurrency="greenlet"
    )
    cov.start()
    from .campaign import Campaign

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
    return 1 if judge(unreached(cov.analysis2), explained(reasons.read_text())) else 0


if __name__ == "__main__":
    end("coverage", main)
