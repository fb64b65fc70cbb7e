# SPDX-License-Identifier: GPL-2.0-only
"""The text form: what it looks like, and that it says everything."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from difffuzz.program import (
    THREADS,
    Config,
    Kind,
    Op,
    Program,
    SlotSpec,
    decode,
    parse,
    render,
    render_op,
)

from .strategies import PROGRAMS, PROPERTY

EXAMPLE = """\
difffuzz program v1
config vcpus=2 max_level=2M nx=on manual_protect=on mmu_pages=64
area 1 hugetlb2m
slot 0 as=0 gfn=0x0 pages=0x400 area=0 page=0x0 flags=dirty,readonly
slot 1 as=0 gfn=0x40000 pages=0x200 area=1 page=0x200
vcpu0: write gfn=0x200
vcpu1: begin_fault gfn=0x3 access=write
host0: dontneed area=0 page=0x0 n=0x200
vcpu1: end_fault
host1: thp_advice area=0 page=0x0 n=0x200 off
host1: mprotect area=0 page=0x0 n=0x1 prot=rw
vmm: memslot_flags slot=0 as=0 flags=none
vcpu0: smm on
worker: nx_recover
schedule 12:vcpu1 30:host0
"""
MEANING = Program(
    Config(
        vcpus=2,
        max_level=2,
        nx=True,
        manual_protect=True,
        mmu_pages=64,
        areas=("thp", "hugetlb2m", "hugetlb2m", "shared"),
        slots=(SlotSpec(0, 0, 0, 0x400, 0, 0, 3), SlotSpec(1, 0, 0x40000, 0x200, 1, 0x200)),
    ),
    (
        Op(Kind.WRITE, 0, (0x200,)),
        Op(Kind.BEGIN_FAULT, 1, (3, 1)),
        Op(Kind.DONTNEED, 4, (0, 0, 0x200)),
        Op(Kind.END_FAULT, 1),
        Op(Kind.THP_ADVICE, 5, (0, 0, 0x200, 0)),
        Op(Kind.MPROTECT, 5, (0, 0, 1, 2)),
        Op(Kind.MEMSLOT_FLAGS, 6, (0, 0, 0)),
        Op(Kind.SMM, 0, (1,)),
        Op(Kind.NX_RECOVER, 7),
    ),
    ((12, 1), (30, 4)),
)


def test_example() -> None:
    assert parse(EXAMPLE) == MEANING
    assert render(MEANING) == EXAMPLE


@PROPERTY
@given(PROGRAMS)
def test_round_trip(program: Program) -> None:
    assert parse(render(program)) == program


@PROPERTY
@given(st.binary(max_size=300))
def test_every_decoded_program_has_a_text(data: bytes) -> None:
    assert parse(render(decode(data)).encode()) == decode(data)


@PROPERTY
@given(PROGRAMS)
def test_a_text_is_written_in_one_way(program: Program) -> None:
    assert render(parse(render(program))) == render(program)


def test_the_default_program_is_one_line() -> None:
    assert render(Program()) == "difffuzz program v1\n"


def test_comments_blanks_and_line_ends() -> None:
    text = "\n# why\r\n difffuzz  program\tv1\r\n\n\tvcpu0:  read   gfn=3 # because\r\n"
    assert parse(text) == Program(ops=(Op(Kind.READ, 0, (3,)),))


def test_a_comment_may_come_along() -> None:
    text = render(MEANING, comment="found by\n\n  a campaign")
    assert text.splitlines()[1:4] == ["# found by", "#", "#   a campaign"]
    assert parse(text) == MEANING


def test_keys_in_any_order_and_defaults() -> None:
    text = """difffuzz program v1
    vcpu1: reload
    vmm: memslot_delete slot=1
    vmm: memslot_create area=1 n=0x10 gfn=64 slot=2 page=0X3
    slot 3 area=2 pages=1 gfn=0
    config nx=on
    config vcpus=2
    """
    program = parse(text)
    assert program.config == Config(vcpus=2, nx=True, slots=(SlotSpec(3, 0, 0, 1, 2, 0),))
    assert program.ops[1:] == (
        Op(Kind.MEMSLOT_DELETE, 6, (1, 0)),
        Op(Kind.MEMSLOT_CREATE, 6, (2, 0, 64, 16, 1, 3, 0)),
    )


def test_what_config_does_not_say_goes_with_what_it_says() -> None:
    config = parse("difffuzz program v1\nconfig paging=nonpaging").config
    assert config == Config(paging="nonpaging", layout="npt", max_level=2)


def test_one_operation() -> None:
    line = render_op(Op(Kind.DONTNEED, THREADS.index("host0"), (0, 0, 0x200)))
    assert line == "host0: dontneed area=0 page=0x0 n=0x200"
