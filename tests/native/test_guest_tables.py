# SPDX-License-Identifier: GPL-2.0-only
"""Guests with page tables of their own, on the kernel's own code."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from random import Random

import pytest

from difffuzz.cli import main
from difffuzz.engine import concurrent, lockstep
from difffuzz.engine.guest_lockstep import run
from difffuzz.errors import UsageError
from difffuzz.oracle import Verdict
from difffuzz.program import parse
from difffuzz.program.generate_guest import generate_guest
from difffuzz.sides import SideFactory, open_side

from .kernel import built, built_newer

MACHINE = "difffuzz program v1\nconfig guest=paging64 vcpus=2\nslot 0 gfn=0x0 pages=0x200 area=0\n"
LATE = "slot 1 gfn=0x600 pages=0x1 area=1\n"
STALE_MMIO = """\
vcpu0: pte L.0 to=G flags=p,w,u
vmm: memslot_delete slot=1
vcpu0: write gfn=0x600
vmm: memslot_create slot=1 gfn=0x600 n=0x1 area=1 page=0x0
vcpu0: pte D.1 to=L flags=p,w,u
vcpu0: gva_read gva=1.1.0.0
vcpu0: pte L.0 to=I flags=p,w,u
"""
"""The stale MMIO SPTE of docs/findings.md under shadow paging: a directory is mapped writable."""


@cache
def sides() -> tuple[SideFactory, SideFactory]:
    return open_side(f"native:{built()}:legacy"), open_side(f"native:{built()}:tdp")


def verdict_of(operations: str, slots: str = "") -> Verdict:
    return run(parse(MACHINE + slots + operations, "test"), *sides(), trace=True)


def results(operations: str, slots: str = "") -> list[tuple[str, int]]:
    """What each operation came to on the left side; the right one is the same."""
    verdict = verdict_of(operations, slots)
    assert not verdict.divergences, verdict.divergences
    return [(step.left.result, step.left.value) for step in verdict.trace]  # type: ignore[attr-defined]


def test_an_address_is_what_the_tables_say() -> None:
    assert results(
        """\
vcpu0: gva_write gva=0.0.0.0 by=user
vcpu0: gva_read gva=0.0.0.1
vcpu0: pte G.1 to=0x10 flags=p,w,u
vcpu0: invlpg gva=0.0.0.1
vcpu0: gva_read gva=0.0.0.1
vcpu0: gva_read gva=0.1.0.3
"""
    ) == [("ok", 1), ("ok", 0), ("ok", 0x10007), ("done", 0), ("ok", 1), ("mmio", 0)]


def faults(operations: str) -> list[int]:
    """The error codes of the page faults that the guest takes."""
    return [value for result, value in results(operations) if result == "fault"]


def test_a_page_fault_is_the_guests() -> None:
    changes = {
        "pte G.0 to=none": ("gva_read gva=0.0.0.0", 0x0),
        "pte G.0 to=0x10 flags=p,u": ("gva_write gva=0.0.0.0 by=user", 0x7),
        "pte G.0 to=0x10 flags=p,w": ("gva_read gva=0.0.0.0 by=user", 0x5),
        "pte G.0 to=0x10 flags=p,w,u,nx": ("gva_exec gva=0.0.0.0 by=user", 0x15),
        "pte E.0 to=0x3ff flags=p,w,u,ps": ("gva_read gva=0.0.0.0", 0x9),
    }
    for change, (access, code) in changes.items():
        assert faults(f"vcpu0: {change}\nvcpu0: cr3 A\nvcpu0: {access}\n") == [code], change


def test_write_protection_and_smep_are_the_guests() -> None:
    read_only = "vcpu0: pte G.0 to=0x10 flags=p,u\n"
    assert faults(f"{read_only}vcpu0: gva_write gva=0.0.0.0\n") == [0x3]
    assert faults(f"{read_only}vcpu0: toggle wp\nvcpu0: gva_write gva=0.0.0.0\n") == []
    assert faults("vcpu0: toggle smep\nvcpu0: gva_exec gva=0.0.0.0\n") == [0x11]
    assert faults("vcpu0: toggle smep\nvcpu0: gva_exec gva=0.0.0.0 by=user\n") == []


def test_roots_and_large_pages() -> None:
    assert (
        results(
            """\
vcpu0: write gfn=0x200
vcpu0: gva_read gva=0.1.0.0
vcpu0: cr3 B
vcpu0: gva_read gva=1.0.0.0
vcpu0: pte E.1 to=0x0 flags=p,w,u
""".replace("pte E.1 to=0x0 flags=p,w,u", "gva_write gva=1.1.1.1"),
            "slot 3 gfn=0x200 pages=0x200 area=1\n",
        )[-1][0]
        == "ok"
    )


def test_a_stale_mmio_spte_maps_a_table_writable() -> None:
    verdict = verdict_of(STALE_MMIO, LATE)
    assert [one.oracle for one in verdict.divergences] == ["guest-shadow"]
    assert verdict.divergences[0].sides.endswith("legacy")
    assert verdict.divergences[0].op_index == 6


@pytest.mark.parametrize("left_out", ["vcpu0: write gfn=0x600\n", "vcpu0: gva_read gva=1.1.0.0\n"])
def test_it_takes_the_mmio_spte_and_the_shadow_page(left_out: str) -> None:
    assert not verdict_of(STALE_MMIO.replace(left_out, ""), LATE).divergences


@pytest.mark.parametrize("version", ["6.12", "7.2"])
def test_newer_kernels_have_such_guests_too(version: str) -> None:
    name = built_newer(version)
    pair = open_side(f"native:{name}:legacy"), open_side(f"native:{name}:tdp")
    registers = """\
vcpu0: gva_write gva=0.0.0.0
vcpu0: cr3 B
vcpu0: gva_read gva=1.0.0.0 by=user
vcpu0: toggle wp
vcpu0: toggle smep
vcpu0: toggle nx
vcpu0: invlpg gva=1.0.0.0
vcpu0: gva_exec gva=1.0.0.0
"""
    verdict = run(parse(MACHINE + registers, "test"), *pair, trace=True)
    assert not verdict.divergences
    assert verdict.trace[-1].left.result == "fault"  # type: ignore[attr-defined]
    found = run(parse(MACHINE + LATE + STALE_MMIO, "test"), *pair).divergences
    assert [one.oracle for one in found] == ["guest-shadow"]


def test_generated_guests_reach_memory_and_take_faults() -> None:
    rng = Random(1)
    seen: dict[str, int] = {}
    for _ in range(6):
        verdict = run(generate_guest(rng, "paging64"), *sides(), trace=True)
        for step in verdict.trace:
            for outcome in (step.left, step.right):  # type: ignore[attr-defined]
                seen[outcome.result] = seen.get(outcome.result, 0) + 1
    assert seen["ok"] > 100
    assert seen["fault"] > 5
    assert seen["mmio"] > 0


def test_rules_are_counted() -> None:
    stale = """\
vcpu0: gva_write gva=0.0.0.0
vcpu0: gva_write gva=0.0.0.1
vcpu1: pte G.0 to=0x13 flags=p,w,u
vcpu1: pte G.1 to=0x13 flags=p,w,u
vcpu0: gva_write gva=0.0.0.0
"""
    assert verdict_of(stale).allowed["stale-translation"] == 1
    device = "vcpu0: gva_read gva=0.0.0.0\nvmm: dma G.0 to=0x13 flags=p,w,u\n"
    assert verdict_of(device).allowed["foreign-tables"] == 1
    bits = (
        "vcpu0: gva_read gva=0.0.0.0\nvmm: dma C.0 to=E flags=p,w,u\nvcpu0: gva_read gva=0.0.0.0\n"
    )
    assert not verdict_of(bits).divergences
    kept = """\
vcpu0: pte G.0 to=0x10 flags=p,u
vcpu0: gva_read gva=0.0.0.0
vcpu0: pte G.0 to=none
vcpu0: gva_write gva=0.0.0.0
vcpu0: gva_read gva=0.0.0.0
"""
    assert verdict_of(kept).allowed["fault-keeps-stale"] == 1
    nx = """\
vcpu0: pte G.0 to=0x11 flags=p,w,u,nx
vcpu0: gva_read gva=0.0.0.0
vcpu0: toggle nx
vcpu0: gva_read gva=0.0.0.0
"""
    assert verdict_of(nx).allowed["efer-nx"] == 1


def test_a_fault_without_present_keeps_what_is_stale() -> None:
    """docs/guest-tables.md: reads get the page of before; the TDP MMU's CPU gets the new one."""
    verdict = verdict_of(
        """\
vcpu0: write gfn=0x10
vcpu0: write gfn=0x13
vcpu0: pte G.0 to=0x10 flags=p,u
vcpu0: gva_read gva=0.0.0.0
vcpu0: pte G.0 to=none
vcpu0: gva_write gva=0.0.0.0
vcpu0: pte G.0 to=0x13 flags=p,u
vcpu0: gva_read gva=0.0.0.0
"""
    )
    last = verdict.trace[-1]
    values = last.left.value, last.right.value  # type: ignore[attr-defined]
    assert not verdict.divergences
    assert values == (1, 2)


def test_models_have_no_such_guests() -> None:
    program = parse(MACHINE, "test")
    for name in ("legacy", "tdp", "spec"):
        with pytest.raises(UsageError, match="guest=paging64"):
            open_side(name).start(program.config)


def test_explain_draws_both_walks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "stale.difffuzz"
    path.write_text(MACHINE + LATE + STALE_MMIO)
    left, right = (side.name for side in sides())
    assert main(["explain", str(path), "--left", left, "--right", right]) == 1
    told = capsys.readouterr().out
    assert "guest 0x10080201000: A.1 = D p,w,u,a, D.1 = L p,w,u,a, L.0 = G p,w,u,a" in told
    assert "KVM: level 4 pfn" in told
    assert "level 1 MMIO" in told
    assert "guest-shadow:" in told


def test_other_engines_refuse_such_guests() -> None:
    program = parse(MACHINE + "vcpu0: gva_read gva=0.0.0.0\n", "test")
    with pytest.raises(UsageError, match="under replay, explain and fuzz only"):
        concurrent.run(program, *sides())
    with pytest.raises(UsageError, match="guest_lockstep"):
        lockstep.run(program, *sides())


def test_the_slot_of_the_tables_stays() -> None:
    assert results(
        """\
vmm: memslot_delete slot=0
vmm: memslot_flags slot=0 flags=readonly
vcpu0: gva_write gva=0.0.0.0
"""
    ) == [("nothing", 0), ("done", 0), ("ok", 3)]


def test_who_tracks_removes_no_more_than_it_added() -> None:
    tracks = "vcpu0: gva_write gva=0.0.0.0\nvmm: track_remove gfn=0x0\n"
    assert not verdict_of(tracks).divergences


def test_tables_that_others_track_are_walked_by_the_emulator() -> None:
    """The CPU may not set their accessed bits, be they set or not: KVM makes the access."""
    assert results(
        """\
vmm: track_add gfn=0x0
vcpu0: write gfn=0x0
vcpu0: gva_write gva=0.0.0.0
vcpu0: pte A.0 to=D flags=p,w,u
vcpu0: invlpg gva=0.0.0.0
vcpu0: gva_read gva=0.0.0.1
"""
    ) == [("done", 1), ("ok", 2), ("ok", 3), ("ok", 0x3007), ("done", 0), ("ok", 0)]


def test_tables_of_a_slot_that_is_only_read_are_walked_by_the_emulator() -> None:
    read_only = """\
vcpu0: pte L.0 to=G flags=p,w,u
vcpu0: pte D.0 to=L flags=p,w,u
vmm: memslot_flags slot=1 flags=readonly
vcpu0: gva_write gva=1.0.0.0
"""
    verdict = verdict_of(read_only, LATE)
    assert not verdict.divergences
    assert [step.right.result for step in verdict.trace][-1] == "ok"  # type: ignore[attr-defined]


def test_a_table_that_the_host_lets_nobody_write_is_a_page_fault() -> None:
    denied = """\
host0: mprotect area=0 page=0x0 n=0x1 prot=r
vcpu0: gva_write gva=0.0.0.0
vcpu0: gva_write gva=0.0.0.0
"""
    verdict = verdict_of(denied)
    assert not verdict.divergences
    assert verdict.allowed["denied-table"] == 2
    assert not verdict_of(f"vcpu0: gva_write gva=0.0.0.0\n{denied}").allowed["denied-table"]


def test_a_dirty_bit_is_not_set_in_a_slot_that_is_only_read() -> None:
    assert not verdict_of(
        """\
vcpu0: pte F.0 to=L flags=p,w
vcpu0: pte L.0 to=B flags=p,w
vmm: memslot_flags slot=1 flags=readonly
vcpu0: gva_write gva=0.1.0.0
""",
        LATE,
    ).divergences


def test_every_table_on_the_way_may_be_copied_first() -> None:
    machine = MACHINE.replace("vcpus=2", "vcpus=2 ad=off")
    copied = "host0: fork area=0 page=0x0 n=0x200\nvcpu0: gva_write gva=0.0.0.0\n"
    assert not run(parse(machine + copied, "test"), *sides()).divergences


ROOT_THAT_GOES = """\
vcpu0: pte L.0 to=C flags=p,w,u
vcpu0: cr3 L
vcpu0: gva_read gva=0.0.0.0
vmm: memslot_delete slot=1
vcpu0: gva_read gva=0.0.0.0
vcpu0: invlpg gva=0.0.0.0
vmm: memslot_create slot=1 gfn=0x600 n=0x1 area=1 page=0x0
vcpu0: gva_write gva=0.0.0.0
vcpu0: cr3 A
vcpu0: invlpg gva=0.0.0.0
vcpu0: gva_write gva=0.0.0.0
"""


@pytest.mark.parametrize(
    ("version", "without"), [("", ("error", "nothing")), ("7.2", ("fault", "done"))]
)
def test_a_root_may_be_where_no_memory_is(version: str, without: tuple[str, str]) -> None:
    name = built_newer(version) if version else built()
    newer = open_side(f"native:{name}:legacy"), open_side(f"native:{name}:tdp")
    verdict = run(parse(MACHINE + LATE + ROOT_THAT_GOES, "test"), *newer, trace=True)
    assert not verdict.divergences
    left = [step.left.result for step in verdict.trace]  # type: ignore[attr-defined]
    right = [step.right.result for step in verdict.trace]  # type: ignore[attr-defined]
    assert left[4:6] == [*without]
    assert right[4:6] == ["fault", "done"]
    assert left[6:] == right[6:] == ["done", "ok", "done", "done", "ok"]


def test_a_table_that_has_another_gfn_is_not_judged() -> None:
    verdict = verdict_of("vcpu0: read gfn=0x600\n", "slot 1 gfn=0x600 pages=0x1 area=0\n")
    assert not verdict.divergences
    assert verdict.allowed["foreign-tables"] == 1
    assert not verdict_of("vcpu0: read gfn=0x600\n", LATE).allowed


def test_a_reserved_bit_comes_before_an_entry_that_is_absent() -> None:
    absent = "vcpu0: pte A.0 to=A flags=p,w,u{nx}\nvcpu0: toggle nx\nvcpu0: gva_write gva=0.0.0.2\n"
    assert faults(absent.format(nx=",nx")) == [0xB]
    assert faults(absent.format(nx="")) == [0x2]


def test_the_guest_does_not_write_over_the_tables_of_its_direct_map() -> None:
    assert results("".join(f"vcpu0: write gfn={gfn:#x}\n" for gfn in range(8, 15))) == [
        ("ok", 1),
        *[("nothing", 0)] * 5,
        ("ok", 7),
    ]
