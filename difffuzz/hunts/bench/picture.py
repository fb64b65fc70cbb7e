# SPDX-License-Identifier: GPL-2.0-only
"""The picture of scripts/bench-bugs: survival curves, the share of bugs not yet found."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from ...script import need
from ..methods import METHODS
from ..row import Row


def draw(runs: list[Row], path: Path) -> None:
    """Writes a picture: lockstep bugs, and bugs that need concurrency, as far as there are runs.

    A run that found nothing ends its curve's fall, at the share that is left.
    """
    need("matplotlib", "so there is no picture")
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    kinds = sorted({run.concurrent for run in runs})
    if not kinds:
        return
    figure, axes = pyplot.subplots(
        1, len(kinds), figsize=(6 * len(kinds), 5), sharey=True, squeeze=False
    )
    for axis, concurrent in zip(axes[0], kinds, strict=True):
        groups: dict[str, list[Row]] = defaultdict(list)
        for run in runs:
            if run.concurrent == concurrent:
                groups[run.method].append(run)
        for number, method in enumerate(METHODS):  # one colour each, in both halves
            group = groups[method]
            if not group:
                continue
            found = sorted(run.executions for run in group if run.found)
            end = max(run.executions for run in group)
            xs = [1, *found, max(end, found[-1] if found else 1)]
            left = [1 - count / len(group) for count in range(len(found) + 1)]
            label = f"{method} ({len(group)} runs)"
            axis.step(xs, [*left, left[-1]], where="post", color=f"C{number}", label=label)
        axis.set_xscale("log")
        axis.set_xlabel("executions")
        axis.set_title("bugs that need concurrency" if concurrent else "lockstep bugs")
        axis.set_ylim(0, 1.02)
        axis.grid(alpha=0.3)
        axis.legend()
    axes[0][0].set_ylabel("share of runs whose bug is not found yet")
    figure.tight_layout()
    figure.savefig(path)
