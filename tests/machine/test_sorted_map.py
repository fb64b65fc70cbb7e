# SPDX-License-Identifier: GPL-2.0-only
"""The small sorted dictionary against a plain one."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from difffuzz.machine.sorted_map import SortedMap

KEYS = st.integers(0, 20)


@settings(derandomize=True, database=None, deadline=None, max_examples=150)
@given(st.lists(st.tuples(KEYS, st.booleans())), KEYS, KEYS)
def test_it_answers_as_a_dictionary_does(
    steps: list[tuple[int, bool]], start: int, end: int
) -> None:
    tree: SortedMap[str] = SortedMap()
    plain: dict[int, str] = {}
    for number, (key, add) in enumerate(steps):
        if add:
            plain[key] = str(number)
            tree[key] = plain[key]
        elif key in plain:
            del plain[key]
            del tree[key]
        else:
            with pytest.raises(KeyError):
                del tree[key]
    assert tree.keys == sorted(plain)
    assert tree.values == [plain[key] for key in sorted(plain)]
    assert len(tree) == len(plain)
    below = [key for key in plain if key <= start]
    assert tree.floor(start) == (plain[max(below)] if below else None)
    assert tree.between(start, end) == [plain[key] for key in sorted(plain) if start <= key < end]
