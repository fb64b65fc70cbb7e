# SPDX-License-Identifier: GPL-2.0-only
"""A guest's walk of its page tables beside the walk of KVM's, in text."""

from __future__ import annotations

from typing import Final, cast

from difffuzz.engine.judged_guest_side import made_by
from difffuzz.facts.paging import PHYS_ADDR_MASK, PT_PAGE_SIZE_MASK
from difffuzz.facts.spte import SPTE_MMU_PRESENT_MASK
from difffuzz.machine.frames import ZERO_PFN
from difffuzz.native.vcpu import NativeVcpu
from difffuzz.oracle.guest_tables import GuestTables
from difffuzz.oracle.guest_walk import PAGE
from difffuzz.program import Op
from difffuzz.program.guest_tables import DIRECT_BASE, FLAG_WORDS, PLACES, TABLES
from difffuzz.sched import KernelSplat
from difffuzz.sides.guest_memory import EPT_FLAG_BITS, FLAG_BITS
from difffuzz.sides.guest_side import GuestSide

_LETTERS: Final = {gfn: letter for letter, gfn in TABLES.items()}
SPTE_BITS: Final = ((1 << 1, "w"), (1 << 2, "u"), (1 << 5, "a"), (1 << 6, "d"), (1 << 63, "nx"))
SUPPRESS_VE: Final = 1 << 63
"""All that some kernels have in an SPTE that is not present."""
EPT_BITS: Final = ((1 << 0, "r"), (1 << 1, "w"), (1 << 2, "x"), (1 << 8, "a"), (1 << 9, "d"))


def walk_lines(side: GuestSide, tables: GuestTables, op: Op) -> tuple[str, ...]:
    """What both say of the address that an operation of a vCPU used, after it."""
    made = made_by(op)
    if made is None or op.thread >= len(side.kvm.vcpus):
        return ()
    path = tables.now(op.thread, made.gva)
    bits = EPT_FLAG_BITS if side.guest.ept else FLAG_BITS
    steps = [f"{entry_name(gpa)} = {spell_entry(entry, bits)}" for gpa, entry in path.entries]
    if path.translation.kind != PAGE:
        steps.append(path.translation.kind)
    lines = [f"guest {made.gva:#x}: " + ", ".join(steps)]
    if _is_shadowed(side, op.thread, made.gva):
        lines.append("KVM: " + ", ".join(_shadow(side, op.thread, made.gva)))
    return tuple(lines)


def _is_shadowed(side: GuestSide, vcpu: int, gva: int) -> bool:
    """Do KVM's tables that are in use map addresses?  An L2 that has exited uses none."""
    if side.guest.nested:
        return gva < DIRECT_BASE and cast(NativeVcpu, side.kvm.vcpus[vcpu]).guest_mode
    return not side.kvm.tdp_mmu_enabled


def entry_name(gpa: int) -> str:
    """An entry as programs name it, or by gfn and word."""
    letter, word = _LETTERS.get(gpa >> 12), gpa >> 3 & 511
    if letter is not None and 0 < word <= PLACES:
        return f"{letter}.{word - 1}"
    return f"{letter or hex(gpa >> 12)}[{word}]"


def spell_entry(entry: int, bits: tuple[int, ...] = FLAG_BITS) -> str:
    """A guest's entry: what it points to, and its flags."""
    gfn = (entry & PHYS_ADDR_MASK) >> 12
    flags = [name for name, bit in zip(FLAG_WORDS, bits, strict=True) if entry & bit]
    return f"{_LETTERS.get(gfn, hex(gfn))} {','.join(flags)}"


def _shadow(side: GuestSide, vcpu: int, gva: int) -> list[str]:
    """The SPTEs on the way of the address, from the root down."""
    mmu, mem = side.kvm.vcpus[vcpu].mmu, side.kvm.mem
    bits = EPT_BITS if side.guest.ept else SPTE_BITS
    steps: list[str] = []
    table, level = mmu.root.hpa, mmu.root_role.level
    if table >> 12 == ZERO_PFN:
        return ["a dummy root"]
    try:
        while table >= 0 and level > 0:
            page = mem.page(table)
            spte = page.ent.get(gva >> 3 + 9 * level & 511, page.absent)
            unsync = page.sp is not None and getattr(page.sp, "unsync", False)
            steps.append(f"level {level}{' unsync' if unsync else ''} {_spell_spte(spte, bits)}")
            if not spte & SPTE_MMU_PRESENT_MASK or level == 1 or spte & PT_PAGE_SIZE_MASK:
                break
            table, level = spte & PHYS_ADDR_MASK, level - 1
    except KernelSplat:  # an oracle has met it, too
        steps.append("a table that was freed")
    return steps or ["no root"]


def _spell_spte(spte: int, bits: tuple[tuple[int, str], ...]) -> str:
    if not spte & SPTE_MMU_PRESENT_MASK:
        return f"MMIO {spte:#x}" if spte & ~SUPPRESS_VE else "nothing"
    flags = [name for bit, name in bits if spte & bit]
    return f"pfn {(spte & PHYS_ADDR_MASK) >> 12:#x} {','.join(flags) or '-'}"
