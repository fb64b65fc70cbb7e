# SPDX-License-Identifier: GPL-2.0-only
"""Programs with an L2 have words of their own for what it and its L1 do."""

from __future__ import annotations

import pytest

from difffuzz.program import OPS, Kind, Op, Program, ProgramError, decode, normalise, parse, render
from difffuzz.program.model import NESTED, Config
from difffuzz.program.ops import NESTED_OPS

MACHINE = "difffuzz program v1\nconfig guest={}\nslot 0 gfn=0x0 pages=0x200 area=0\n"
NEW = """\
vcpu0: l2_write gpa=0.0.0.1
vcpu0: invept
vcpu0: l2_read gpa=0.1.0.0
vcpu0: l2_exec gpa=1.1.1.3
"""
OLD = """\
vcpu0: gva_write gva=0.0.0.1 by=user
vcpu0: invlpg gva=0.1.0.2
vcpu0: gva_read gva=0.1.0.0
vcpu0: gva_exec gva=1.1.1.3 by=kernel
"""


@pytest.mark.parametrize("guest", sorted(NESTED))
def test_both_are_read_and_the_new_ones_are_written(guest: str) -> None:
    program = parse(MACHINE.format(guest) + NEW, "test")
    assert parse(MACHINE.format(guest) + OLD, "test") == program
    assert render(program).endswith(NEW)
    assert normalise(program) is program


def test_others_keep_theirs() -> None:
    text = render(parse(MACHINE.format("paging64") + OLD, "test"))
    assert "gva_write gva=0.0.0.1 by=user" in text
    assert "invlpg gva=0.1.0.2" in text


@pytest.mark.parametrize("guest", ["none", "paging64"])
@pytest.mark.parametrize("op", ["l2_read gpa=0.0.0.0", "invept"])
def test_who_has_no_l2_may_not_say_them(guest: str, op: str) -> None:
    with pytest.raises(ProgramError) as raised:
        parse(f"{MACHINE.format(guest)}vcpu0: {op}\n", "test")
    told = "test:4:8: expected an operation of this guest: an L2 has config guest=ept12 or npt12"
    assert str(raised.value) == f"{told}, found {op.split()[0]!r}"


@pytest.mark.parametrize(
    ("op", "place", "expected"),
    [
        ("l2_read gva=0.0.0.0", "4:16", "gpa="),
        ("l2_read gpa=0.0.0.0 by=user", "4:28", "gpa="),
        ("l2_write", "4:16", "gpa="),
        ("invept gva=0.0.0.0", "4:15", "the end of the line"),
    ],
)
def test_what_they_do_not_take(op: str, place: str, expected: str) -> None:
    with pytest.raises(ProgramError, match=f"test:{place}: expected {expected}"):
        parse(f"{MACHINE.format('npt12')}vcpu0: {op}\n", "test")


def test_what_counts_for_nothing_is_at_its_lowest() -> None:
    op = Op(Kind.GVA_READ, 0, (5, 1))
    for guest, args in (("paging64", (5, 1)), ("ept12", (5, 0)), ("npt12", (5, 0))):
        assert normalise(Program(Config(guest=guest), (op,))).ops[0].args == args


def test_any_bytes_are_normalised() -> None:
    for tag in range(256):
        program = decode(bytes([0] * 16 + [0xE8] + [0] * 5 + [tag, 5, 1, 0, 0]))
        assert program.config.guest == "ept12"
        assert normalise(program) is program


def test_a_word_has_one_meaning() -> None:
    assert not {spec.name for spec in NESTED_OPS.values()} & {spec.name for spec in OPS.values()}
