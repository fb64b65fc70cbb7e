# SPDX-License-Identifier: GPL-2.0-only
"""What a booted kernel is given of a program, and what is said of the rest."""

from __future__ import annotations

from pathlib import Path

import pytest

from difffuzz.booted.doable import AREAS, CANNOT, DONE, ONLY, OTHERWISE, adapted, is_done
from difffuzz.engine.predict import RULES
from difffuzz.errors import UsageError
from difffuzz.program import Config, Kind, parse
from difffuzz.program.model import AREA_KINDS, CONFIG_CHOICES
from difffuzz.shipped import AGENT

TEXT = """difffuzz program v1
config seq_bias=2 slot_zap_all=off mmu_pages=9
area 1 hugetlb1g
slot 0 as=0 gfn=0x0 pages=0x10 area=1 page=0x0
vcpu0: write gfn=0x1
vmm: track_add as=0 gfn=0x1
vmm: mmu_pages n=10
vcpu0: write gfn=0x1
"""


def test_every_operation_is_done_or_left_out_with_a_reason() -> None:
    code = "".join(path.read_text() for path in sorted(AGENT.glob("*.c")))
    for kind in Kind:
        assert (f"OP_{kind.name}" in code) == is_done(kind), kind
    assert not set(CANNOT) & (set(OTHERWISE) | DONE)


def test_what_a_program_cannot_choose_exists() -> None:
    for field, (value, _) in ONLY.items():
        assert value in CONFIG_CHOICES[field]
    assert set(AREAS) <= set(AREA_KINDS)


def test_operations_keep_their_numbers() -> None:
    one = adapted(parse(TEXT), (6, 1))
    assert [op.kind for op in one.program.ops] == [
        Kind.WRITE, Kind.SYNC, Kind.MMU_PAGES, Kind.WRITE,
    ]  # fmt: skip
    assert one.skipped == {1: CANNOT[Kind.TRACK_ADD]}
    assert one.program.ops[2].args == (64,)
    config = one.program.config
    assert (config.layout, config.seq_bias, config.mmu_pages) == ("npt", 0, 64)
    assert config.slot_zap_all
    assert config.areas[1] == "hugetlb2m"
    told = " ".join(one.remarks)
    for word in ("seq_bias", "slot_zap_all", "track_add", "hugetlb1g"):
        assert word in told
    assert not adapted(parse(TEXT), (6, 12)).program.config.slot_zap_all


def test_the_guests_code_is_where_no_slot_is() -> None:
    one = adapted(parse(TEXT), (7, 2))
    assert one.code_gfn >= 0x10


def test_a_nonpaging_guest_is_refused() -> None:
    program = parse(TEXT)._replace(config=Config(paging="nonpaging"))
    with pytest.raises(UsageError, match="nonpaging"):
        adapted(program, (6, 1))


def test_a_guest_with_page_tables_is_refused() -> None:
    program = parse(TEXT)._replace(config=Config(guest="paging64"))
    with pytest.raises(UsageError, match="page tables of its own"):
        adapted(program, (6, 1))


def test_the_document_has_all_of_it() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs/kernel.md").read_text()
    rows = [f"| `{kind.name.lower()}` | {why} |" for kind, why in (CANNOT | OTHERWISE).items()]
    rows += [f"| area `{kind}` | {other} | {why} |" for kind, (other, why) in AREAS.items()]
    rows += [f"| {why} |" for _, why in ONLY.values()]
    rows += [f"| {rule} | {why} |" for rule, why in RULES.items()]
    for row in rows:
        assert row in text
