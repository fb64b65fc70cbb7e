# SPDX-License-Identifier: GPL-2.0-only
"""The VMA tree: a range map that splits and merges, checked against a plain dictionary."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from difffuzz.machine.vma import Vma, VmaTree

changes = st.lists(st.tuples(st.integers(0, 30), st.integers(1, 10), st.integers(0, 3)))


@settings(max_examples=200)
@given(changes)
def test_tree_is_a_range_map(program: list[tuple[int, int, int]]) -> None:
    tree, expected = VmaTree(), dict.fromkeys(range(40), 1)
    tree.insert(Vma(0, 40, 1))
    for start, n, flags in program:
        end = min(start + n, 40)
        for vma in tree.overlapping(start, end):
            if vma.start < start:
                vma = tree.split(vma, start)
            if end < vma.end:
                tree.split(vma, end)
            tree.remove(vma)
        if flags:
            tree.insert(Vma(start, end, flags))
            tree.merge(start, end)
        expected.update(dict.fromkeys(range(start, end), flags))
        for addr in range(40):
            found = tree.find(addr)
            assert (found.flags if found is not None else 0) == expected[addr]
    for lower, upper in zip(list(tree), list(tree)[1:], strict=False):
        assert lower.end <= upper.start


def test_equal_neighbours_become_one() -> None:
    tree = VmaTree()
    for start in (0, 20, 10):
        tree.insert(Vma(start, start + 10, 3))
        tree.merge(start, start + 10)
    assert [(vma.start, vma.end) for vma in tree] == [(0, 30)]
