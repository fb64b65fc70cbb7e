# SPDX-License-Identifier: GPL-2.0-only
"""What sides, oracles and engines read of a VM, whatever code runs it: the model or the kernel's.

Names are the kernel's.  A gfn, pfn or number of pages counts 4K pages, an hva is in bytes, a level
is 1 (4K), 2 (2M) or 3 (1G), `as_id` is 0, or 1 for SMM.  Everything is as it is at that moment; a
property may cost a call into the kernel's library.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Protocol

from difffuzz.machine.hw import Cpu


class Role(Protocol):
    """union kvm_mmu_page_role of a shadow page."""

    @property
    def level(self) -> int:
        """Level of the entries in its table; a root has the level of the whole."""

    @property
    def smm(self) -> int:
        """1 if it maps the address space of SMM."""

    @property
    def guest_mode(self) -> bool:
        """True if it is of an L2."""

    @property
    def invalid(self) -> bool:
        """True once it is being zapped."""

    @property
    def word(self) -> int:
        """The role as one number."""


class ShadowPage(Protocol):
    """struct kvm_mmu_page, of either MMU."""

    @property
    def role(self) -> Role:
        """What kind of page it is."""

    @property
    def gfn(self) -> int:
        """First gfn that its table maps."""

    @property
    def spt(self) -> int:
        """Physical address of its table, in bytes."""

    @property
    def tdp_mmu_page(self) -> bool:
        """True for a page of the TDP MMU."""

    @property
    def ptep(self) -> int:
        """Physical address of the TDP MMU's entry that points to it; 0 for a root."""

    @property
    def mmu_valid_gen(self) -> int:
        """The generation that it was made in; the legacy MMU's pages only."""

    @property
    def root_count(self) -> int:
        """vCPUs that have it as a root; the legacy MMU's pages only."""


class Table(Protocol):
    """A page of 512 entries."""

    @property
    def ent(self) -> Mapping[int, int]:
        """Entries by index, those that are not absent."""

    @property
    def absent(self) -> int:
        """What the others read as: 0, or the frozen SPTE."""

    @property
    def sp(self) -> ShadowPage | None:
        """The shadow page it is the table of; None for the root of a PAE page table."""


class Tables(Protocol):
    """The memory of all page tables of a VM."""

    @property
    def pages(self) -> Mapping[int, Table]:
        """The tables that are in use, by pfn."""

    @property
    def log(self) -> list[tuple[int, int, int]]:
        """(physical address, old, new) of every change of an entry; the reader empties it."""

    def page(self, pa: int) -> Table:
        """The table at a physical address.  KernelSplat for one that was freed."""

    def peek(self, ptr: int) -> tuple[int, ShadowPage] | None:
        """The entry at that physical address, also in the middle of a call, and the shadow page
        that it belongs to; None if there is none.  No preemption point, and nothing is noted."""


class RootInfo(Protocol):
    """struct kvm_mmu_root_info."""

    @property
    def hpa(self) -> int:
        """Physical address of the root's table; negative for none."""


class RootRole(Protocol):
    """The role of a vCPU's root."""

    @property
    def level(self) -> int:
        """Levels of its page table: 5, 4, or 3 for PAE."""


class Mmu(Protocol):
    """struct kvm_mmu: the MMU context of a vCPU."""

    @property
    def root(self) -> RootInfo:
        """The root in use."""

    @property
    def root_role(self) -> RootRole:
        """Its role."""

    @property
    def prev_roots(self) -> Sequence[RootInfo]:
        """Roots that are cached."""


class VcpuStat(Protocol):
    """struct kvm_vcpu_stat, the MMU's part: how many faults ended how."""

    @property
    def pf_fast(self) -> int:
        """Fixed without mmu_lock."""


class Vcpu(Protocol):
    """struct kvm_vcpu, and the CPU it runs on."""

    results: list[int]
    """RET_PF_* or -errno of each attempt to handle a fault; the caller of KVM_RUN replaces it."""
    srcu_idx: int
    """What KVM_RUN holds kvm->srcu by."""
    sigbus: bool
    """The thread got a memory failure; whoever saw it clears it."""

    @property
    def vcpu_id(self) -> int:
        """Its number."""

    @property
    def cpu(self) -> Cpu:
        """The CPU: TLB and page walk."""

    @property
    def mmu(self) -> Mmu:
        """Its MMU context."""

    @property
    def stat(self) -> VcpuStat:
        """Its statistics."""

    @property
    def requests(self) -> int:
        """Pending KVM_REQ_*, as bits of the model's numbers."""

    @property
    def tlb_ranges(self) -> Sequence[tuple[int, int]]:
        """(first gfn, pages) of the ranged flushes that are pending."""

    @property
    def smm(self) -> bool:
        """In system management mode."""


class VmStat(Protocol):
    """struct kvm_vm_stat, the MMU's part."""

    @property
    def pages(self) -> Sequence[int]:
        """Leaf SPTEs of each level, from 4K up."""

    @property
    def nx_lpage_splits(self) -> int:
        """Shadow pages that stand where the NX mitigation forbids a huge page."""

    @property
    def mmu_recycled(self) -> int:
        """Shadow pages reclaimed."""


class Masks(Protocol):
    """The shadow_*_mask globals."""

    @property
    def shadow_x_mask(self) -> int:
        """Set where a fetch is allowed (EPT)."""

    @property
    def shadow_nx_mask(self) -> int:
        """Set where a fetch is forbidden (x86)."""

    @property
    def shadow_accessed_mask(self) -> int:
        """The accessed bit; 0 if the CPU sets none."""

    @property
    def shadow_dirty_mask(self) -> int:
        """The dirty bit likewise."""

    @property
    def shadow_mmu_writable_mask(self) -> int:
        """KVM allows writes, whatever write protection says now."""

    @property
    def shadow_mmio_mask(self) -> int:
        """The bits that tell an MMIO SPTE ..."""

    @property
    def shadow_mmio_value(self) -> int:
        """... and what they are in one."""

    @property
    def mmio_gen_low_mask(self) -> int:
        """Where an MMIO SPTE has the low bits of the memslot generation ..."""

    @property
    def mmio_gen_high_mask(self) -> int:
        """... the bits above them ..."""

    @property
    def mmio_gen_mask(self) -> int:
        """... and the generations that both can tell apart, less one."""

    @property
    def tdp_ad_mask(self) -> int:
        """Where an SPTE has what its accessed and dirty bits are worth ..."""

    @property
    def tdp_ad_disabled(self) -> int:
        """... and what it has there if the CPU sets none."""

    @property
    def enable_mmio_caching(self) -> bool:
        """MMIO SPTEs are made."""


class SlotArch(Protocol):
    """struct kvm_arch_memory_slot."""

    @property
    def rmap(self) -> Sequence[Mapping[int, Sequence[int]]] | None:
        """For each level the SPTEs that map an index; None where there are no rmaps."""


class MemorySlot(Protocol):
    """struct kvm_memory_slot."""

    @property
    def id(self) -> int:
        """Its number."""

    @property
    def base_gfn(self) -> int:
        """First gfn."""

    @property
    def npages(self) -> int:
        """Size."""

    @property
    def userspace_addr(self) -> int:
        """hva of the first page."""

    @property
    def flags(self) -> int:
        """KVM_MEM_*."""

    @property
    def dirty_bitmap(self) -> Mapping[int, int] | None:
        """Words of 64 pages that are not 0, by number; None without dirty logging."""

    @property
    def arch(self) -> SlotArch:
        """Its arch part."""


class SlotsById(Protocol):
    """The memslots of an address space, by number."""

    def get(self, slot: int, /) -> MemorySlot | None:
        """The slot of that number."""

    def values(self) -> Iterable[MemorySlot]:
        """All of them."""


class Memslots(Protocol):
    """struct kvm_memslots: those of an address space that are in use."""

    @property
    def generation(self) -> int:
        """Changes with every update; its low bit is the address space."""

    @property
    def id_hash(self) -> SlotsById:
        """The slots."""


class Rcu(Protocol):
    """The deferred frees."""

    def run_callbacks(self) -> object:
        """Runs those whose grace period is over."""


class Srcu(Protocol):
    """kvm->srcu, as a vCPU's thread takes it around KVM_RUN."""

    def read_lock(self) -> int:
        """Enters; returns what to leave by."""

    def read_unlock(self, idx: int) -> None:
        """Leaves."""


class Kvm(Protocol):
    """struct kvm with its arch part."""

    @property
    def retries_by_gfn(self) -> bool:
        """True if a fault is compared with invalidations by gfn (newer kernels), not by hva."""

    @property
    def tells_accessed(self) -> bool:
        """True if the host is told of the accessed bit of an SPTE that goes (until 6.12)."""

    @property
    def unprotected_reads(self) -> int:
        """How often memslots were read without SRCU and without slots_lock."""

    @property
    def tdp_mmu_enabled(self) -> bool:
        """The VM uses the TDP MMU."""

    @property
    def vcpus(self) -> Sequence[Vcpu]:
        """Its vCPUs, by number."""

    @property
    def mem(self) -> Tables:
        """Its page tables."""

    @property
    def masks(self) -> Masks:
        """What the bits of its SPTEs mean."""

    @property
    def memslots(self) -> Sequence[Memslots]:
        """The memslots of each address space."""

    @property
    def stat(self) -> VmStat:
        """Statistics."""

    @property
    def splats(self) -> list[tuple[str, str]]:
        """(place, text) of every WARN that fired; the reader empties it."""

    @property
    def rcu(self) -> Rcu:
        """Deferred frees of page tables."""

    @property
    def srcu(self) -> Srcu:
        """What readers of memslots hold."""

    @property
    def mmu_valid_gen(self) -> int:
        """The generation of the legacy MMU's pages that are not obsolete."""

    @property
    def n_used_mmu_pages(self) -> int:
        """The legacy MMU's pages in use."""

    @property
    def n_max_mmu_pages(self) -> int:
        """How many there may be."""

    @property
    def active_mmu_pages(self) -> Collection[ShadowPage]:
        """The legacy MMU's pages, oldest first."""

    @property
    def zapped_obsolete_pages(self) -> Collection[object]:
        """Obsolete pages of the legacy MMU that wait to be freed."""

    @property
    def counts(self) -> Collection[tuple[str, int, int]]:
        """Each counter that is kept beside a list: its name, what it says, what is on the list."""

    @property
    def possible_nx_huge_pages(self) -> Collection[ShadowPage]:
        """Pages that the NX recovery may zap."""

    @property
    def tdp_mmu_roots(self) -> Collection[ShadowPage]:
        """Roots of the TDP MMU, the invalid ones too."""

    @property
    def tdp_mmu_pages(self) -> int:
        """The TDP MMU's pages in use."""
