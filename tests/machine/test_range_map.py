# SPDX-License-Identifier: GPL-2.0-only
"""Look-ups of ranges, against a plain dictionary."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from difffuzz.machine.range_map import RangeMap

KEYS = st.integers(0, 20)


@settings(max_examples=150)
@given(st.dictionaries(KEYS, st.text(max_size=2)), KEYS, KEYS)
def test_it_answers_as_a_dictionary_does(plain: dict[int, str], start: int, end: int) -> None:
    tree: RangeMap[str] = RangeMap(plain)
    below = [key for key in plain if key <= start]
    assert tree.floor(start) == (plain[max(below)] if below else None)
    assert tree.between(start, end) == [plain[key] for key in sorted(plain) if start <= key < end]
