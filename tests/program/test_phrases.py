# SPDX-License-Identifier: GPL-2.0-only
"""Phrases: each makes operations that belong together, for any machine."""

from __future__ import annotations

from collections import Counter
from itertools import groupby, takewhile
from random import Random

import pytest

from difffuzz.program import Config, Kind, Op, Program, SlotSpec, generate, normalise
from difffuzz.program.addresses import inside, pick
from difffuzz.program.generate import generate_config
from difffuzz.program.limits import HOST_THREADS
from difffuzz.program.op_maker import OpMaker
from difffuzz.program.phrases import PHRASES, THEMES, Phrase, pages, roots, slots
from difffuzz.program.phrases.parts import SYNC
from difffuzz.program.phrases.race import logging, marking, new_slot, race
from difffuzz.program.phrases.race_tables import collapsing, recovering, splitting, sweeping
from difffuzz.program.phrases.race_zap import halfway, leaving

KINDS = (Kind.READ, Kind.WRITE, Kind.DONTNEED, Kind.MIGRATE, Kind.TRACK_ADD)
ODD = Config(manual_protect=True, init_set=True, slots=(SlotSpec(0, 0, 0x1C1, 0x43F, 0, 0x1C1),))

each_phrase = pytest.mark.parametrize("phrase", PHRASES, ids=lambda phrase: phrase.make.__name__)


def scene_of_seed(seed: int, config: Config | None = None) -> OpMaker:
    """A maker with two places."""
    rng = Random(seed)
    config = config or generate_config(rng)
    return OpMaker(rng, config, [pick(rng, config), pick(rng, config)])


def made(phrase: Phrase, seed: int, config: Config | None = None) -> list[Op]:
    """What the phrase makes of that maker."""
    return phrase.make(scene_of_seed(seed, config), KINDS)


@each_phrase
def test_phrases_make_valid_operations(phrase: Phrase) -> None:
    for seed in range(200):
        maker = scene_of_seed(seed)
        ops = tuple(phrase.make(maker, KINDS))
        assert ops
        # Only ranges may have to be cut.
        for op, kept in zip(ops, normalise(Program(maker.config, ops)).ops, strict=True):
            assert op[:2] == kept[:2]


@each_phrase
def test_phrases_vary(phrase: Phrase) -> None:
    assert len({tuple(made(phrase, seed, ODD)) for seed in range(60)}) > 20


def test_what_a_theme_suits_is_often_chosen() -> None:
    [theme] = [phrase for phrase in PHRASES if phrase.make is slots.slot_updates]
    near = [generate_config(Random(seed), theme=[theme]).gen_bias for seed in range(300)]
    assert 100 < sum(bias > 0 for bias in near) < 250


def test_a_theme_comes_again_and_again() -> None:
    # Turns are the only thing that repeats a pair of accesses.
    turned = 0
    for seed in range(400):
        ops = generate(Random(seed)).ops
        turned += sum(a == c and b == d and a != b for a, b, c, d in zip(
            ops, ops[1:], ops[2:], ops[3:], strict=False
        )) > 8  # fmt: skip
    assert turned > 4


def test_every_theme_is_a_phrase_that_needs_something_of_the_program() -> None:
    assert {id(phrase) for phrase in THEMES} <= {id(phrase) for phrase in PHRASES}
    assert all(phrase.theme == 0 for phrase in PHRASES if phrase not in THEMES)


def test_turns_are_of_two_kinds() -> None:
    for seed in range(50):
        ops = pages.by_turns(scene_of_seed(seed, ODD), KINDS)
        kinds = Counter(op.kind for op in ops if op.kind is not Kind.SMM)
        assert len(kinds) == 2
        assert set(kinds.values()) <= {2, 4, 6}


def test_a_page_in_two_roots_is_used_through_both_before_something_is_done_to_it() -> None:
    done = set()
    for seed in range(60):
        [phrase] = [phrase for phrase in PHRASES if phrase.make is roots.two_roots]
        first, switch, second, change, *_ = made(phrase, seed)
        assert first.args == second.args
        assert first.thread == second.thread == switch.thread
        assert switch.kind in (Kind.GUEST_MODE, Kind.SMM)
        done.add(change.kind)
    assert {Kind.AGE, Kind.TRACK_ADD, Kind.MEMSLOT_FLAGS} <= done


def test_a_huge_page_comes_over_a_table_in_use() -> None:
    config = Config(slots=(SlotSpec(0, 0, 0, 0x400, 0, 0),))
    made = [pages.over_table(scene_of_seed(seed, config), KINDS) for seed in range(60)]
    in_slot = [ops for ops in made if any(op.kind is Kind.TRACK_REMOVE for op in ops)]
    assert len(in_slot) > 30  # where no slot is there is no table
    for ops in in_slot:
        allowed = [op.kind for op in ops].index(Kind.TRACK_REMOVE)
        gfns = [op.args[0] for op in ops[1 : allowed + 2] if op.kind < Kind.BEGIN_FAULT]
        assert len(gfns) == len(set(gfns)) >= 2
        assert len({gfn >> 9 for gfn in gfns}) == 1


def test_a_race_about_the_log_writes_what_was_protected_while_it_is_read() -> None:
    slot = SlotSpec(0, 0, 0, 0x200, 0, 0, 1)
    config = Config(vcpus=2, slots=(slot,))
    for seed in range(60):
        maker = scene_of_seed(seed, config)
        ops = marking(maker, pick(maker.rng, config), slot)
        protected = [op.kind for op in ops].index(Kind.DIRTY_GET)
        before = {op.args for op in ops[:protected] if op.kind is Kind.WRITE}
        race = raced(ops)
        assert {op.args for op in race if op.kind is Kind.WRITE} <= before
        assert Kind.DIRTY_GET in {op.kind for op in race}


def test_the_log_is_cleared_at_the_edges_of_huge_pages() -> None:
    clears: Counter[tuple[int, ...]] = Counter()
    for seed in range(400):
        for op in slots.dirty_log(scene_of_seed(seed, ODD), KINDS):
            if op.kind is Kind.DIRTY_CLEAR:
                clears[op.args[2:]] += 1
    # The word whose last page is the first of the huge page at gfn 0x200.
    assert clears[0, 64] > 20


def test_a_hole_is_filled_where_the_access_was() -> None:
    filled = 0
    for seed in range(100):
        ops = slots.fill_hole(scene_of_seed(seed, ODD), KINDS)
        [create] = [op for op in ops if op.kind is Kind.MEMSLOT_CREATE]
        first = next(op for op in ops if op.kind <= Kind.EXEC)
        filled += create.args[2] == first.args[0] == ops[-1].args[0]
    assert filled == 100


def test_races_are_valid_and_vary() -> None:
    seen = set()
    for seed in range(400):
        maker = scene_of_seed(seed)
        ops = tuple(race(maker))
        for op, kept in zip(ops, normalise(Program(maker.config, ops)).ops, strict=True):
            assert op[:2] == kept[:2]
        seen.add(tuple(op.kind for op in ops))
    assert len(seen) > 250


def raced(ops: list[Op]) -> list[Op]:
    """The operations of the last phase, which is the race."""
    phases: list[list[Op]] = [[]]
    for op in ops:
        if op.kind is Kind.SYNC:
            phases.append([])
        else:
            phases[-1].append(op)
    assert not phases[-1]  # the race ends with a meeting
    return phases[-2]


def test_a_race_for_a_table_is_about_pages_of_one_table() -> None:
    """Something forbids the huge page, a page is used, then it is used where nothing forbids it.

    Under manual protection only clearing the log protects what it had.
    """
    late = Counter[bool]()
    protected = 0
    for seed in range(200):
        maker = scene_of_seed(seed, ODD)
        place = pick(maker.rng, ODD)
        if place.slot is None:
            continue
        ops = collapsing(maker, place, place.slot)
        gfns = {op.args[0] >> 9 for op in ops if op.kind <= Kind.EXEC}
        assert gfns == {place.gfn >> 9}
        allowed = [
            op
            for op in ops
            if op.kind is Kind.TRACK_REMOVE
            or (op.kind is Kind.MEMSLOT_FLAGS and not op.args[2] & 1)
        ]
        assert len(allowed) == 1
        assert any(op.kind <= Kind.EXEC for op in ops[: ops.index(allowed[0])])
        assert any(op.kind <= Kind.EXEC for op in raced(ops))
        late[allowed[0] in raced(ops)] += 1
        kinds = [op.kind for op in ops]
        got = Kind.DIRTY_GET in kinds
        protected += got
        assert not got or kinds[kinds.index(Kind.DIRTY_GET) + 1] is Kind.DIRTY_CLEAR
    assert min(late[False], late[True]) > 30
    assert protected > 20


def test_the_table_may_be_made_in_the_race_that_does_away_with_it() -> None:
    slot = SlotSpec(0, 0, 0, 0x400, 0, 0)
    made = Counter[Kind]()
    for seed in range(200):
        config = Config(vcpus=2, nx=seed % 2 == 0, slots=(slot,))
        maker = scene_of_seed(seed, config)
        ops = collapsing(maker, pick(maker.rng, config)._replace(gfn=0x201, slot=slot), slot)
        race = raced(ops)
        before = ops[: -1 - len(race)]
        if not any(op.kind <= Kind.EXEC for op in before):
            assert len(race) == 2  # and nothing else goes on
            assert race[1].kind in (Kind.TRACK_REMOVE, Kind.MEMSLOT_FLAGS)
            made[race[0].kind] += 1
            assert not config.nx or race[0].kind is Kind.EXEC
    assert sum(made.values()) > 30
    assert made[Kind.EXEC] > 15


def test_a_race_for_recovery_has_tables_to_recover() -> None:
    slot = SlotSpec(0, 0, 0x200, 0x1400, 0, 0x200)
    config = Config(nx=True, slots=(slot,))
    others = set()
    for seed in range(100):
        maker = scene_of_seed(seed, config)
        ops = recovering(maker, pick(maker.rng, config)._replace(gfn=0x201, slot=slot), slot)
        race_begins = [op.kind for op in ops].index(Kind.SYNC)
        fetched = [op.args[0] for op in ops[:race_begins]]
        assert len({gfn >> 9 for gfn in fetched}) == len(fetched) >= 2
        kinds = {op.kind for op in raced(ops)}
        assert Kind.NX_RECOVER in kinds
        others |= kinds
    assert {Kind.NX, Kind.MMU_PAGES, Kind.MEMSLOT_FLAGS, Kind.EXEC} <= others


def test_a_race_for_a_huge_page_splits_one_that_was_read() -> None:
    slot = SlotSpec(0, 0, 0, 0x400, 0, 0)
    ways = Counter[Kind]()
    for seed in range(400):
        config = Config(vcpus=1 + seed % 3, nx=seed % 2 == 0, slots=(slot,))
        maker = scene_of_seed(seed, config)
        ops = splitting(maker, pick(maker.rng, config)._replace(gfn=0x201, slot=slot), slot)
        accesses = [op for op in ops if op.kind <= Kind.EXEC]
        assert {op.args[0] >> 9 for op in accesses} == {1}
        race = raced(ops)
        before = ops[: len(ops) - len(race) - 1]
        assert any(op.kind is Kind.READ for op in before)
        # Under the mitigation a fetch makes the table, where pages are logged a write does.
        mitigated = config.nx or Kind.NX in {op.kind for op in before}
        assert mitigated != (Kind.MEMSLOT_FLAGS in {op.kind for op in before})
        assert race[0].kind is (Kind.EXEC if mitigated else Kind.WRITE)
        users = {op.thread for op in race if op.kind <= Kind.EXEC}
        assert users == set(range(config.vcpus))
        ways.update({op.kind for op in race})
    assert min(ways[Kind.EXEC], ways[Kind.WRITE], ways[Kind.AGE], ways[Kind.DONTNEED]) > 10


def test_a_race_for_a_whole_slot_takes_all_and_looks_again() -> None:
    slot = SlotSpec(0, 0, 0, 0x400, 0, 0)
    config = Config(vcpus=2, slots=(slot,))
    takes = set()
    for seed in range(100):
        maker = scene_of_seed(seed, config)
        *ops, again = sweeping(maker, pick(maker.rng, config)._replace(gfn=1, slot=slot), slot)
        assert again in ops
        take = raced(ops)[-1]
        assert take.args[-1] == slot.npages
        takes.add(take.kind)
    assert takes == {Kind.DONTNEED, Kind.MUNMAP, Kind.ZAP_GFN_RANGE}


def test_a_race_about_logging_writes_what_it_protected() -> None:
    slot = SlotSpec(0, 0, 0, 0x200, 0, 0)
    written = 0
    for seed in range(300):
        config = Config(vcpus=2, manual_protect=seed % 2 == 0, slots=(slot,))
        maker = scene_of_seed(seed, config)
        ops = logging(maker, inside(slot, 1), slot)
        before = [op.kind for op in ops[: -len(raced(ops)) - 1]]
        if Kind.DIRTY_GET not in before:
            continue
        at = before.index(Kind.DIRTY_GET)
        assert (Kind.DIRTY_CLEAR in before) == config.manual_protect
        dirty = {op.args for op in ops[:at] if op.kind is Kind.WRITE}
        assert dirty
        written += any(op.kind is Kind.WRITE and op.args in dirty for op in ops[at:])
    assert written > 40


def test_a_race_about_a_new_slot_looks_again_when_its_pages_are_taken() -> None:
    slot = SlotSpec(0, 0, 0, 0x200, 0, 0)
    config = Config(vcpus=2, slots=(slot,))
    taken = 0
    for seed in range(200):
        ops = new_slot(scene_of_seed(seed, config))
        [at] = [at for at, op in enumerate(ops) if op.kind is Kind.MEMSLOT_CREATE]
        number, _, gfn, npages, area, *_ = ops[at].args
        assert number
        assert gfn >= slot.npages
        if at + 2 == len(ops):
            continue
        assert ops[at + 1].kind is ops[at + 3].kind is Kind.SYNC
        first, pages = ops[at + 2].args[1], ops[at + 2].args[2:]
        assert ops[at + 2].args[0] == area
        taken += first < npages and (not pages or pages[0] > 0)
        assert set(ops[at + 4 : -1]) <= set(ops[:at])
    assert taken > 100


def test_half_of_the_races_have_all_vcpus_rooted() -> None:
    slot = SlotSpec(0, 0, 0, 0x400, 0, 0)
    config = Config(vcpus=3, slots=(slot,))
    rooted = 0
    for seed in range(300):
        ops = race(scene_of_seed(seed, config))
        first = next((at for at, op in enumerate(ops) if op.kind <= Kind.EXEC), len(ops))
        before = list(takewhile(lambda op: op.kind is not Kind.SYNC, ops[first:]))
        rooted += {op.thread for op in before if op.args == ops[first].args} == {0, 1, 2}
    assert 60 < rooted < 160


def test_a_zap_that_may_yield_is_of_many_pages_while_the_host_asks_for_one_of_them() -> None:
    slot = SlotSpec(0, 0, 0x200, 0x1400, 0, 0x200)
    config = Config(vcpus=2, slots=(slot,))
    zaps, beside = Counter[Kind](), Counter[Kind]()
    for seed in range(300):
        maker = scene_of_seed(seed, config)
        ops = halfway(maker, pick(maker.rng, config)._replace(gfn=0x201, slot=slot), slot)
        at = len(ops) - 1 - [op.kind for op in reversed(ops)].index(Kind.SYNC)
        phase = raced(ops[: at + 1])
        before = {op.args[0] for op in ops[: at - len(phase)] if op.kind <= Kind.EXEC}
        assert len(before) >= 3
        assert {op.args[0] for op in ops[at + 1 :]} <= before  # and some are used again
        zaps[phase[0].kind] += 1
        beside.update(op.kind for op in phase[1:] if op.thread in HOST_THREADS)
    assert {Kind.ZAP_GFN_RANGE, Kind.DONTNEED, Kind.MEMSLOT_DELETE, Kind.NX} <= set(zaps)
    assert min(beside[kind] for kind in (Kind.DONTNEED, Kind.MIGRATE, Kind.AGE)) > 20


def test_a_race_about_a_root_that_loses_its_user_begins_in_l2() -> None:
    slot = SlotSpec(0, 0, 0, 0x400, 0, 0)
    config = Config(vcpus=2, slots=(slot,))
    for seed in range(60):
        maker = scene_of_seed(seed, config)
        ops = leaving(maker, pick(maker.rng, config)._replace(gfn=0x1, slot=slot), slot)
        phases = [list(group) for sync, group in groupby(ops, SYNC.__eq__) if not sync]
        used = next(phase for phase in phases if phase[0].kind is Kind.GUEST_MODE)
        assert any(op.kind <= Kind.EXEC for op in used)
        [reload] = [op for op in ops if op.kind is Kind.RELOAD]
        race = phases[phases.index(used) + 1]
        assert reload in race
        assert any(op.thread != reload.thread for op in race)
