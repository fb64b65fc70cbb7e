# SPDX-License-Identifier: GPL-2.0-only
"""Whether each line that nothing reached has its reason in docs/coverage.md."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

from .names import Source, model_files

Analysis = tuple[str, list[int], list[int], list[int], str]
"""Of a file, from coverage: name, statements, excluded lines, missing lines, the same as text."""


def unreached(analyse: Callable[[str], Analysis]) -> Counter[str]:
    """What nothing reached, with the number of lines of each."""
    found: Counter[str] = Counter()
    for path in model_files():
        _, statements, _, missing, _ = analyse(str(path))
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
