# SPDX-License-Identifier: GPL-2.0-only
"""C files of programs: every operation has its call, and compilers have nothing to say."""

from __future__ import annotations

import re
import subprocess

import pytest

from difffuzz.errors import UsageError
from difffuzz.export.c_form import RAW, as_c
from difffuzz.export.cannot import OPERATIONS, ORACLES, WEAKER, remarks
from difffuzz.export.fragments import pieces
from difffuzz.export.reproducer import Reproducer
from difffuzz.oracle import ORACLES as ALL_ORACLES
from difffuzz.program import Kind, Program, normalise, parse
from difffuzz.program.room import code_gfn
from difffuzz.variants.catalogue import Bug, find
from tests.native.needs import needs

from .samples import BUGS, reproducer

EVERY_OPERATION = """\
difffuzz program v1
config vcpus=2 nx=on manual_protect=on init_set=on mmu_pages=70
area 1 hugetlb2m
area 2 file
area 3 shared
slot 0 as=0 gfn=0x0 pages=0x400 area=0 page=0x0 flags=dirty
slot 1 as=0 gfn=0x400 pages=0x40 area=2 page=0x0
slot 4 as=0 gfn=0x600 pages=0x200 area=1 page=0x0
vcpu0: read gfn=0x0
vcpu0: write gfn=0x1
vcpu1: exec gfn=0x2
vcpu0: begin_fault gfn=0x3 access=write
vcpu0: end_fault
vcpu1: begin_fault gfn=0x4 access=exec
vcpu0: smm on
vcpu0: read gfn=0x0
vcpu0: smm off
vcpu0: guest_mode on
vcpu0: prefault gfn=0x1 n=0x1
vcpu0: reload
vcpu0: gva_read gva=0.1.0.2 by=kernel
vcpu0: gva_write gva=0.1.0.2 by=kernel
vcpu0: gva_exec gva=0.1.0.2 by=user
vcpu0: pte L.0 to=G flags=p,w,u
vcpu0: invlpg gva=0.1.0.2
vcpu0: cr3 A
vcpu0: toggle wp
vmm: dma L.0 to=G flags=p
host0: munmap area=0 page=0x0 n=0x1
host0: mmap area=0 page=0x0 n=0x1
host0: dontneed area=0 page=0x0 n=0x1
host0: mprotect area=0 page=0x0 n=0x1 prot=r
host0: fork area=0 page=0x0 n=0x1
host0: cow_write area=0 page=0x0
host0: migrate area=0 page=0x0
host0: thp_collapse area=0 page=0x0
host0: thp_split area=0 page=0x0
host0: thp_advice area=0 page=0x0 n=0x1 off
host0: swap_out area=0 page=0x0 n=0x1
host0: hwpoison area=0 page=0x0
host0: ksm_merge area=0 page=0x0 other=0x1
host0: host_read area=0 page=0x0
host0: host_write area=0 page=0x0
host0: age area=0 page=0x0 n=0x1 flush=off
host0: test_age area=0 page=0x0
host1: lazy_free area=0 page=0x0 n=0x1
host1: writeback area=2 page=0x0 n=0x1
host0: cold area=0 page=0x0 n=0x1
host0: pageout area=0 page=0x0 n=0x1
host0: collapse area=0 page=0x0 n=0x1
host0: invalidate area=0 page=0x0 n=0x1 whole
host0: uffd area=0 page=0x0 n=0x1 missing
host0: punch_hole area=3 page=0x0 n=0x1
host0: mremap area=0 page=0x0 n=0x1 to=0x1 keep=off
vmm: memslot_create slot=2 as=0 gfn=0x800 n=0x8 area=3 page=0x0 flags=none
vmm: memslot_create slot=3 as=0 gfn=0x3ff n=0x8 area=3 page=0x0 flags=none
vmm: memslot_move slot=2 as=0 gfn=0x900
vmm: memslot_flags slot=2 as=0 flags=dirty
vmm: dirty_get slot=2 as=0
vmm: dirty_clear slot=2 as=0 first=0x0 n=0x8
vmm: memslot_delete slot=2 as=0
vmm: mmu_pages n=16
vmm: track_add as=0 gfn=0x0
vmm: track_remove as=0 gfn=0x0
vmm: nx off
vmm: zap_gfn_range gfn=0x0 n=0x1
vmm: vcpu_create
worker: nx_recover
vmm: sync
"""
SAMPLE = BUGS[:: len(BUGS) // 6][:6]
FLAGS = ("-O1", "-Wall", "-Wextra", "-Werror", "-pthread", "-x", "c")


def every_operation(mode: str) -> Reproducer:
    return Reproducer("every", parse(EVERY_OPERATION), {}, "legacy", "tdp", mode)


def compiles(source: str, *words: str) -> None:
    done = subprocess.run(
        ["gcc", *(words or FLAGS), "-o", "/dev/null", "-"],
        input=source,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_program_has_every_operation() -> None:
    assert {op.kind for op in parse(EVERY_OPERATION).ops} == set(Kind)


@needs("gcc")
@pytest.mark.parametrize("mode", ["lockstep", "concurrent"])
def test_every_operation_compiles(mode: str) -> None:
    compiles(as_c(every_operation(mode)))


@needs("gcc")
@pytest.mark.parametrize("bug", SAMPLE, ids=lambda bug: bug.id)
def test_programs_of_the_catalogue_compile(bug: Bug) -> None:
    compiles(as_c(reproducer(bug)))


def test_every_operation_is_done_or_is_said_not_to_be() -> None:
    """Behind each step stands a call, or why there is none."""
    source = as_c(every_operation("lockstep"))
    story = source[source.index("static void story(void)") : source.index("static void one_round")]
    steps = re.findall(r'^\tstep\(\d+, "(\w+): (\w+).*\n((?:\t[^/].*\n)*)', story, re.M)
    assert len(steps) == len(parse(EVERY_OPERATION).ops)
    for _, name, calls in steps:
        kind = Kind[name.upper()]
        if kind in OPERATIONS:
            assert "skip(" in calls, name
        elif kind != Kind.SYNC:
            assert calls.strip(), name
    said = "\n".join(remarks(every_operation("lockstep")))
    for kind in (*OPERATIONS, *WEAKER):
        assert kind.name.lower() in said


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.id)
def test_every_program_of_the_catalogue_has_a_form(bug: Bug) -> None:
    one = reproducer(bug)
    source = as_c(one)
    for number, op in enumerate(one.program.ops, 1):
        assert f"step({number}, " in source, op
    assert f"#define CODE_GPA {code_gfn(one.program) << 12:#x}ul" in source


def test_a_prefault_is_a_call_of_its_vcpu_and_ends_its_parked_fault() -> None:
    text = """difffuzz program v1
    config vcpus=2
    slot 0 as=0 gfn=0x0 pages=0x400 area=0 page=0x0
    vcpu1: begin_fault gfn=0x3 access=write
    vcpu0: prefault gfn=0x8 n=0x2
    vcpu1: prefault gfn=0x1 n=0x1
    """
    source = as_c(Reproducer("one", parse(text), {}, "legacy", "tdp", "lockstep"))
    assert "\tprefault(0, 0x8, 0x2);" in source
    assert "\tend_fault(1);\n\tprefault(1, 0x1, 0x1);" in source


def test_vcpu_of_a_parked_fault_ends_it_first() -> None:
    source = as_c(every_operation("lockstep"))
    updated = source.index('"vmm: memslot_create slot=2')
    assert "\tend_fault(1);\n\treturns(0, memslot_create(2," in source[updated:]


def test_a_call_has_to_return_what_the_memory_map_says() -> None:
    source = as_c(every_operation("lockstep"))
    assert "returns(-EEXIST, memslot_create(3, 0, 0x3ff, 0x8, 3, 0x0, 0));" in source
    assert "returns(0, set_mmu_pages(64));" in source


def test_the_guests_code_is_where_nothing_else_is() -> None:
    program = parse(
        "difffuzz program v1\n"
        "slot 0 as=0 gfn=0x0 pages=0x40000 area=0 page=0x0\n"
        "vmm: memslot_create slot=1 as=0 gfn=0xfe800 n=0x400 area=1 page=0x0 flags=none\n"
        "vmm: memslot_move slot=0 as=0 gfn=0xa0000\n"
        "vcpu0: read gfn=0xfe600\n"
    )
    gfn = code_gfn(program)
    assert gfn == 0xFE400
    full = "".join(
        f"slot {i} as=0 gfn={i << 18:#x} pages=0x40000 area={i} page=0x0\n" for i in range(4)
    )
    with pytest.raises(UsageError, match="no room for the guest's code"):
        code_gfn(parse(f"difffuzz program v1\n{full}vcpu0: read gfn=0x0\n"))


def test_oracles_that_user_space_cannot_have_are_said() -> None:
    assert set(ORACLES) <= set(ALL_ORACLES)
    one = reproducer(find("ba6e3fe25543"))
    assert not any("user space does not see" in line for line in remarks(one))
    one = one._replace(notes={"oracle": "leak"})
    assert "user space does not see 'leak'" in "\n".join(remarks(one))


@needs("gcc")
def test_notes_stay_in_their_comment() -> None:
    evil = '*/ int evil; *\\ int evil; /* " \\\\ ???/'
    program = Program(ops=parse("difffuzz program v1\nvcpu0: read gfn=0x0\n").ops)
    notes = {"detail": evil, "signature": evil, evil.replace(":", ""): evil}
    source = as_c(Reproducer("evil", program, notes, "legacy", "tdp", "lockstep"))
    compiles(source)
    without_comments = re.sub(r"/\*.*?\*/", "", source, flags=re.S)
    assert "evil" not in without_comments


def test_every_piece_is_used() -> None:
    """No C lies there that no program gets."""
    used = set()
    every = every_operation("lockstep")
    config = every.program.config._replace(root_level=5, maxphyaddr=52, four_levels=1)
    levels = every._replace(program=normalise(every.program._replace(config=config)))
    for one in (every, every_operation("concurrent"), levels):
        source = as_c(one)
        used |= {name for name, piece in pieces(RAW).items() if piece.text in source}
    assert used == set(pieces(RAW))


@needs("gcc")
def test_a_program_without_memslots_compiles() -> None:
    program = parse("difffuzz program v1\nvcpu0: read gfn=0x0\n")
    compiles(as_c(Reproducer("x", program, {}, "legacy", "tdp", "lockstep")))
