# SPDX-License-Identifier: GPL-2.0-only
"""The minimiser: how small its results are, and that it keeps what the program shows."""

from __future__ import annotations

import random

import pytest

from difffuzz.program import Kind, Op, Program, generate, normalise, parse, render
from difffuzz.program.model import RUN_TO_BLOCK, Config, SlotSpec
from difffuzz.shrink.minimiser import MAX_TRIES, Minimiser
from difffuzz.shrink.passes import PASSES
from difffuzz.shrink.passes.slots import shorter_slots, slots_to_zero, smaller_slots
from difffuzz.shrink.proposals import Pass, plainer_numbers
from difffuzz.shrink.size import size

SECONDS = 60.0

STALE = """difffuzz program v1
config vcpus=3 root_level=5 nx=on
area 1 4k
slot 0 as=0 gfn=0x400 pages=0x400 area=1 page=0x200
slot 1 as=1 gfn=0x0 pages=0x40 area=0 page=0x0 flags=dirty
vcpu2: read gfn=0x1
vcpu1: begin_fault gfn=0x401 access=write
vmm: dirty_get slot=0 as=0
host1: dontneed area=1 page=0x201 n=0x8
vcpu0: exec gfn=0x3
vcpu1: end_fault
host0: age area=0 page=0x0 n=0x200 flush=on
vcpu2: write gfn=0x401
schedule 12:vcpu1 30:host0
"""


def parked_over_dontneed(program: Program) -> bool:
    """A fault is parked, the host drops something, the fault ends."""
    parked: set[int] = set()
    dropped: set[int] = set()
    for op in program.ops:
        if op.kind == Kind.BEGIN_FAULT:
            parked.add(op.thread)
        elif op.kind == Kind.DONTNEED:
            dropped |= parked
        elif op.kind == Kind.END_FAULT and op.thread in dropped:
            return True
    return False


def test_the_result_is_the_program_a_person_would_write() -> None:
    result = Minimiser(parked_over_dontneed, SECONDS).shrink(parse(STALE))
    assert render(result).splitlines() == [
        "difffuzz program v1",
        "vcpu0: begin_fault gfn=0x0 access=read",
        "host0: dontneed area=0 page=0x0 n=0x1",
        "vcpu0: end_fault",
    ]


def test_a_pair_that_only_goes_together_goes() -> None:
    def even_nx_and_a_read(program: Program) -> bool:
        kinds = [op.kind for op in program.ops]
        return Kind.READ in kinds and kinds.count(Kind.NX) % 2 == 0

    text = "difffuzz program v1\nvmm: nx on\nvcpu0: read gfn=0x0\nvmm: nx off\n"
    result = Minimiser(even_nx_and_a_read, SECONDS).shrink(parse(text))
    assert [op.kind for op in result.ops] == [Kind.READ]


def test_what_is_needed_stays() -> None:
    def same_page_is_written_and_read(program: Program) -> bool:
        writes = {op.args[0] for op in program.ops if op.kind == Kind.WRITE}
        reads = {op.args[0] for op in program.ops if op.kind == Kind.READ}
        return any(gfn >= 0x200 for gfn in writes & reads)

    text = "difffuzz program v1\nvcpu0: write gfn=0x7ffff\nvcpu0: read gfn=0x7ffff\n"
    result = Minimiser(same_page_is_written_and_read, SECONDS).shrink(parse(text))
    assert [(op.kind, op.args) for op in result.ops] == [
        (Kind.READ, (0x200,)),
        (Kind.WRITE, (0x200,)),
    ]


def test_a_race_with_the_window_of_a_fault_becomes_a_parked_fault() -> None:
    def shows_it(program: Program) -> bool:
        kinds = {op.kind for op in program.ops}
        raced = bool(program.schedule) and kinds >= {Kind.WRITE, Kind.DONTNEED}
        return raced or parked_over_dontneed(program)

    text = """difffuzz program v1
vcpu0: read gfn=0x1
vmm: sync
vcpu0: write gfn=0x5
host0: age area=0 page=0x0 n=0x1 flush=off
host0: dontneed area=0 page=0x0 n=0x1
schedule 37:host0 50:vcpu0
"""
    result = Minimiser(shows_it, SECONDS).shrink(parse(text))
    kinds = [op.kind for op in result.ops]
    assert kinds == [Kind.BEGIN_FAULT, Kind.DONTNEED, Kind.END_FAULT]
    assert not result.schedule


def test_a_setup_becomes_the_machine() -> None:
    def shows_it(program: Program) -> bool:
        nx = program.config.nx or Op(Kind.NX, 6, (1,)) in program.ops
        return nx and any(op.kind == Kind.READ for op in program.ops)

    text = "difffuzz program v1\nvmm: nx on\nvcpu0: read gfn=0x0\n"
    result = Minimiser(shows_it, SECONDS).shrink(parse(text))
    assert render(result).splitlines()[1:] == ["config nx=on", "vcpu0: read gfn=0x0"]


def test_the_page_that_matters_may_be_anywhere_in_a_range() -> None:
    def covers_five(program: Program) -> bool:
        return any(
            op.kind == Kind.DONTNEED and op.args[1] <= 5 < op.args[1] + op.args[2]
            for op in program.ops
        )

    text = "difffuzz program v1\nhost1: munmap area=2 page=0x0 n=0x200\n"
    text += "host1: dontneed area=2 page=0x1 n=0x200\n"
    result = Minimiser(covers_five, SECONDS).shrink(parse(text))
    assert [op.args for op in result.ops] == [(0, 5, 1)]


def test_a_program_that_does_not_show_it_comes_back_unchanged() -> None:
    program = parse(STALE)
    assert Minimiser(lambda candidate: False, SECONDS).shrink(program) is program


def test_the_budget_of_tries_is_kept() -> None:
    tries = 0

    def test(candidate: Program) -> bool:
        nonlocal tries
        tries += 1
        return parked_over_dontneed(candidate)

    minimiser = Minimiser(test, SECONDS, tries=5)
    result = minimiser.shrink(parse(STALE))
    assert tries <= 6
    assert (minimiser.complete, minimiser.reason) == (False, "5 tries are over")
    assert parked_over_dontneed(result)


def test_no_time_means_no_change() -> None:
    program = normalise(parse(STALE))
    assert Minimiser(parked_over_dontneed, seconds=0.0).shrink(program) == program


@pytest.mark.parametrize("seed", range(20))
def test_random_programs_end_small(seed: int) -> None:
    rng = random.Random(seed)
    program = generate(rng, concurrent=True)
    wanted = rng.choice([op.kind for op in program.ops])
    result = Minimiser(lambda candidate: any(op.kind == wanted for op in candidate.ops), SECONDS)
    smallest = result.shrink(program)
    assert [op.kind for op in smallest.ops] == [wanted]
    assert smallest.schedule in ((), RUN_TO_BLOCK)
    assert not smallest.config.slots


@pytest.mark.parametrize("simplify", PASSES)
def test_proposals_are_normalised_programs(simplify: Pass) -> None:
    rng = random.Random(simplify.__name__)
    for taken in (False, True):
        program = generate(rng, ops=12, concurrent=True)
        proposals = simplify(program)
        count = 0
        proposal = next(proposals, None)
        while proposal is not None and count < MAX_TRIES:
            assert normalise(proposal) is proposal
            count += 1
            try:
                smaller = taken and size(proposal) < size(program)
                proposal = proposals.send(proposal if smaller else None)
            except StopIteration:
                break
        assert count < MAX_TRIES


def test_plainer_numbers_are_smaller_and_plainest_first() -> None:
    assert plainer_numbers(0) == []
    assert plainer_numbers(1) == [0]
    assert plainer_numbers(0x401) == [0, 1, 2, 8, 0x200, 0x400]


@pytest.mark.parametrize("simplify", [shorter_slots, smaller_slots, slots_to_zero])
def test_a_pass_goes_on_when_normalising_took_a_slot(simplify: Pass) -> None:
    slots = (SlotSpec(0, 0, 0x40, 0x40, 0, 0x40), SlotSpec(1, 0, 0x200, 0x40, 1, 0x40))
    program = Program(Config(slots=slots))
    proposals = simplify(program)
    next(proposals)
    with pytest.raises(StopIteration):
        proposals.send(Program(Config()))
