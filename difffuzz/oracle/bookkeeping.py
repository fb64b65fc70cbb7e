# SPDX-License-Identifier: GPL-2.0-only
"""Oracles at the end of a program: accounting (counters match the tables) and leak."""

from __future__ import annotations

from collections.abc import Iterator

from difffuzz.facts.kvm import KVM_REQ_MMU_FREE_OBSOLETE_ROOTS
from difffuzz.facts.paging import PAGE_SHIFT, PT_USER_MASK, PT_WRITABLE_MASK
from difffuzz.facts.spte import (
    SPTE_MMU_PRESENT_MASK,
)
from difffuzz.machine.frames import ZERO_PFN
from difffuzz.oracle.verdict import Divergence, Violation
from difffuzz.sides.kvm_side import KvmSide
from difffuzz.sides.kvm_state import Masks, ShadowPage

MMIO_GFN = (1 << 40) - 1
"""The gfn in an MMIO SPTE; but where bit 51 makes it one, a gpa has fewer bits."""
UNPROTECTED_MEMSLOTS = "memslots"
"""Where memslots are read without SRCU."""
ACCESS = PT_WRITABLE_MASK | PT_USER_MASK
"""ACC_WRITE_MASK and ACC_USER_MASK, where an MMIO SPTE holds them: in the x86 layout."""

ACCOUNTING = """Page statistics, NX splits and the number of MMU pages match the tables; counters
kept beside lists match these; the limit of MMU pages is kept, by zapping the oldest."""
LEAK = """After VM destruction no page table, root reference, rmap, page reference or accounting
entry is left, and before it no vCPU holds an obsolete root that it was told to free."""


def accounting_violations(side: KvmSide) -> Iterator[Violation]:
    """Counts what is there, and compares with KVM's counters."""
    kvm = side.kvm
    counted = side.tables.count_leaves()
    if counted != kvm.stat.pages:
        yield Violation(
            "accounting", side.name, "pages", f"{counted} leaves, KVM counts {kvm.stat.pages}"
        )
    if any(sp.spt >> 12 not in kvm.mem.pages for sp in kvm.possible_nx_huge_pages):
        text = "a page table that was freed is on the list of those to recover"
        yield Violation("accounting", side.name, "possible-nx", text)
    if kvm.stat.nx_lpage_splits != len(kvm.possible_nx_huge_pages):
        yield Violation(
            "accounting",
            side.name,
            "nx_lpage_splits",
            f"{len(kvm.possible_nx_huge_pages)} pages, KVM counts {kvm.stat.nx_lpage_splits}",
        )
    for name, says, there in kvm.counts:
        if says != there:
            text = f"{there} are there, KVM counts {says}"
            yield Violation("accounting", side.name, name, text)
    pages = [page.sp for page in kvm.mem.pages.values() if page.sp is not None]
    tdp = sum(1 for sp in pages if sp.tdp_mmu_page and sp.ptep)
    legacy = sum(1 for sp in pages if not sp.tdp_mmu_page)
    if tdp != kvm.tdp_mmu_pages:
        yield Violation(
            "accounting", side.name, "tdp_mmu_pages", f"{tdp} pages, KVM counts {kvm.tdp_mmu_pages}"
        )
    if legacy != kvm.n_used_mmu_pages:
        yield Violation(
            "accounting",
            side.name,
            "n_used_mmu_pages",
            f"{legacy} pages, KVM counts {kvm.n_used_mmu_pages}",
        )
    # One fault may exceed the limit by the tables it needs, and so may a root.
    if kvm.n_used_mmu_pages > kvm.n_max_mmu_pages + 8:
        yield Violation(
            "accounting",
            side.name,
            "n_max_mmu_pages",
            f"{kvm.n_used_mmu_pages} pages, the limit is {kvm.n_max_mmu_pages}",
        )


def obsolete_violations(side: KvmSide) -> Iterator[Violation]:
    """What outlived the change that made it obsolete: roots in use, MMIO SPTEs across a wrap."""
    yield from root_violations(side)
    if side.kvm.masks.enable_mmio_caching:
        yield from mmio_violations(side)


def root_violations(side: KvmSide) -> Iterator[Violation]:
    """No vCPU holds an obsolete root, unless it has yet to do what it was told."""
    kvm = side.kvm
    for vcpu in kvm.vcpus:
        if vcpu.requests & KVM_REQ_MMU_FREE_OBSOLETE_ROOTS:
            continue
        for root in (vcpu.mmu.root, *vcpu.mmu.prev_roots):
            if root.hpa < 0 or root.hpa >> PAGE_SHIFT == ZERO_PFN:
                continue  # none, or one that maps nothing
            sp = kvm.mem.page(root.hpa).sp
            if sp is None:
                continue
            if sp.role.invalid or (not sp.tdp_mmu_page and sp.mmu_valid_gen != kvm.mmu_valid_gen):
                text = f"vCPU {vcpu.vcpu_id} holds an obsolete root that it was told to free"
                yield Violation("leak", side.name, "obsolete-root", text)
                return


def mmio_violations(side: KvmSide) -> Iterator[Violation]:
    """No MMIO SPTE is of a generation to come: it would count as current when that has come; and
    each says what it is for."""
    kvm = side.kvm
    now = [slots.generation & kvm.masks.mmio_gen_mask for slots in kvm.memslots]
    for page in kvm.mem.pages.values():
        for index, spte in page.ent.items():
            generation = mmio_generation(kvm.masks, spte)
            if generation < 0:
                continue
            assert page.sp is not None  # a PAE root holds no MMIO SPTE
            if generation > now[page.sp.role.smm]:
                yield outlived(side.name, generation)
                return
            found = list(mmio_spte_violations(side, page.sp, index, spte))
            if found:
                yield from found
                return


def mmio_spte_violations(
    side: KvmSide, sp: ShadowPage, index: int, spte: int
) -> Iterator[Violation]:
    """Are gfn and access of an MMIO SPTE those of its place?

    Both MMUs map a gfn with all rights; what the masks have no bits for is not in it.
    """
    gfn = sp.gfn + index
    made_for = spte >> 12 & MMIO_GFN & ~(side.kvm.masks.shadow_mmio_mask >> 12)
    if sp.role.level != 1:
        text = f"gfn {gfn:#x}: an MMIO SPTE of level {sp.role.level}"
        yield Violation("translation", side.name, "mmio-level", text)
    elif made_for != gfn:
        text = f"gfn {gfn:#x}: its MMIO SPTE is for gfn {made_for:#x}"
        yield Violation("translation", side.name, "mmio-gfn", text)
    elif not side.kvm.masks.shadow_mmio_value & ACCESS and spte & ACCESS != ACCESS:
        text = f"gfn {gfn:#x}: its MMIO SPTE is for the access {spte & ACCESS:#x} only"
        yield Violation("translation", side.name, "mmio-access", text)


def new_mmio_violations(
    side: KvmSide, sp: ShadowPage, index: int, spte: int
) -> Iterator[Violation]:
    """An MMIO SPTE that the last operation, a guest access, made is of the generation now."""
    generation = mmio_generation(side.kvm.masks, spte)
    if generation < 0:
        return
    yield from mmio_spte_violations(side, sp, index, spte)
    now = side.kvm.memslots[sp.role.smm].generation & side.kvm.masks.mmio_gen_mask
    if generation != now:
        gfn = sp.gfn + index
        text = f"gfn {gfn:#x}: a new MMIO SPTE of generation {generation:#x}, not {now:#x}"
        yield Violation("translation", side.name, "mmio-new-generation", text)


def mmio_generation(masks: Masks, spte: int) -> int:
    """The memslot generation of an MMIO SPTE; -1 for any other."""
    if spte & SPTE_MMU_PRESENT_MASK or spte & masks.shadow_mmio_mask != masks.shadow_mmio_value:
        return -1
    low, high = masks.mmio_gen_low_mask, masks.mmio_gen_high_mask
    above = (spte & high) >> _shift(high) << low.bit_count()
    return (spte & low) >> _shift(low) | above


def _shift(mask: int) -> int:
    """Where the mask begins."""
    return (mask & -mask).bit_length() - 1


def outlived(name: str, generation: int) -> Violation:
    """An MMIO SPTE of a generation to come."""
    text = f"an MMIO SPTE of generation {generation:#x} outlived the wrap"
    return Violation("translation", name, "mmio-generation", text)


def unprotected_violations(side: KvmSide) -> Iterator[Violation]:
    """What was read without what protects it, while the VM lived: lockdep's "suspicious RCU usage".

    Told when all else is: it does no harm where nobody changes memslots meanwhile.
    """
    if side.kvm.unprotected_reads:
        text = "memslots are read without SRCU and without slots_lock"
        yield Violation("rcu", side.name, UNPROTECTED_MEMSLOTS, text)


def is_unprotected(found: Divergence) -> bool:
    """Is that all that it says?"""
    return found.oracle == "rcu" and found.location == UNPROTECTED_MEMSLOTS


def leak_violations(side: KvmSide) -> Iterator[Violation]:
    """What is left of a destroyed VM."""
    kvm = side.kvm
    name = side.name
    left = {
        "page-tables": len(kvm.mem.pages),
        "roots": len(kvm.tdp_mmu_roots),
        "mmu-pages": kvm.n_used_mmu_pages,
        "tdp-mmu-pages": kvm.tdp_mmu_pages,
        "nx-splits": kvm.stat.nx_lpage_splits,
        "invalid-list": len(kvm.zapped_obsolete_pages),
        "page-stats": sum(abs(count) for count in kvm.stat.pages),
        "rmaps": sum(
            len(level)
            for slots in kvm.memslots
            for slot in slots.id_hash.values()
            for level in slot.arch.rmap or ()
        ),
        "frames": len(side.mm.frames.leaked()),
    }
    for what, count in left.items():
        if count:
            yield Violation("leak", name, what, f"{count} left after the VM was destroyed")
