# SPDX-License-Identifier: GPL-2.0-only
"""Pages with words: numbers that name them, and accesses to one word."""

from __future__ import annotations

from difffuzz.machine.content import WORDS, Contents
from difffuzz.machine.host import HostMM
from difffuzz.machine.user_access import user_cmpxchg, user_load, user_store
from difffuzz.program.limits import area_base
from difffuzz.sched import Scheduler

HVA = area_base(1)


def test_a_small_number_is_word_0() -> None:
    contents = Contents()
    assert contents.word(7, 0) == 7
    assert contents.word(7, 1) == 0
    assert contents.with_word(7, 0, 9) == 9
    assert contents.number({0: 9}) == 9
    assert contents.number({5: 0}) == 0


def test_equal_pages_have_equal_numbers() -> None:
    one, other = Contents(), Contents()
    first = one.with_word(one.with_word(3, 5, 8), 6, 1)
    second = other.with_word(other.with_word(3, 6, 1), 5, 8)
    assert first == second >= WORDS
    assert one.words(first) == {0: 3, 5: 8, 6: 1}
    assert one.with_word(one.with_word(first, 5, 0), 6, 0) == 3


def test_words_go_where_their_page_goes() -> None:
    mm = HostMM(Scheduler(), ("thp", "4k", "hugetlb2m", "shared"))
    assert user_load(mm, HVA, atomic=True) is None  # nothing is faulted in
    assert user_store(mm, HVA + 16, 11)
    assert user_load(mm, HVA + 16, atomic=True) == 11
    before = mm.lookup(HVA)
    mm.migrate(HVA, HVA + 4096)
    assert mm.lookup(HVA) >> 12 != before >> 12
    assert user_load(mm, HVA + 16, atomic=False) == 11
    mm.swap_out(HVA, HVA + 4096)
    assert user_load(mm, HVA + 16, atomic=True) is None
    assert user_load(mm, HVA + 16, atomic=False) == 11


def test_cmpxchg_tells_what_was_there() -> None:
    mm = HostMM(Scheduler(), ("thp", "4k", "hugetlb2m", "shared"))
    assert user_cmpxchg(mm, HVA + 8, 0, 5) == 0
    assert user_cmpxchg(mm, HVA + 8, 4, 6) == 5
    assert user_load(mm, HVA + 8, atomic=False) == 5
    assert user_load(mm, 0x1000, atomic=False) is None
