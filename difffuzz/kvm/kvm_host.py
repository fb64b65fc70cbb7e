# SPDX-License-Identifier: GPL-2.0-only
"""The structures of include/linux/kvm_host.h and arch/x86/include/asm/kvm_host.h."""

from __future__ import annotations

from typing import ClassVar

from difffuzz.facts.kvm import KVM_REQ_APF_HALT as KVM_REQ_APF_HALT
from difffuzz.facts.kvm import KVM_REQ_LOAD_MMU_PGD as KVM_REQ_LOAD_MMU_PGD
from difffuzz.facts.kvm import KVM_REQ_MMU_FREE_OBSOLETE_ROOTS as KVM_REQ_MMU_FREE_OBSOLETE_ROOTS
from difffuzz.facts.kvm import KVM_REQ_TLB_FLUSH as KVM_REQ_TLB_FLUSH
from difffuzz.facts.kvm import KVM_REQ_TLB_FLUSH_CURRENT as KVM_REQ_TLB_FLUSH_CURRENT
from difffuzz.facts.kvm import KVM_REQ_TLB_FLUSH_RANGE as KVM_REQ_TLB_FLUSH_RANGE
from difffuzz.facts.kvm import KVM_REQ_UPDATE_CPU_DIRTY_LOGGING as KVM_REQ_UPDATE_CPU_DIRTY_LOGGING
from difffuzz.facts.paging import MAXPHYADDR
from difffuzz.machine.host import HostMM
from difffuzz.machine.hw import Cpu
from difffuzz.machine.range_map import RangeMap
from difffuzz.machine.spt import PhysMem
from difffuzz.sched import Mutex, Rcu, RwLock, Scheduler, SpinLock, Srcu
from difffuzz.sched.locks import Rank

from .spte_masks import SpteMasks

PG_LEVEL_4K = 1
PG_LEVEL_2M = 2
PG_LEVEL_1G = 3
PG_LEVEL_NUM = 5
KVM_MAX_HUGEPAGE_LEVEL = PG_LEVEL_1G
PT64_ROOT_MAX_LEVEL = 5
PT64_ROOT_5LEVEL = 5
PT64_ROOT_4LEVEL = 4
PT32E_ROOT_LEVEL = 3
PT32_ROOT_LEVEL = 2
INVALID_PAGE = -1
INVALID_PAE_ROOT = 0
BITS_PER_LONG = 64

KVM_ADDRESS_SPACE_NUM = 2
KVM_MEM_LOG_DIRTY_PAGES = 1
KVM_MEM_READONLY = 2
KVM_MEMSLOT_INVALID = 1 << 16
KVM_MEMSLOT_GEN_UPDATE_IN_PROGRESS = 1 << 63

KVM_MIN_ALLOC_MMU_PAGES = 64
KVM_MIN_FREE_MMU_PAGES = 5
KVM_REFILL_PAGES = 25
KVM_MEMSLOT_PAGES_TO_MMU_PAGES_RATIO = 50
KVM_MMU_NUM_PREV_ROOTS = 3
KVM_MMU_ROOT_CURRENT = 1
KVM_MMU_ROOTS_ALL = (1 << (KVM_MMU_NUM_PREV_ROOTS + 1)) - 1
KVM_ARCH_NR_OBJS_PER_MEMORY_CACHE = 40

OUTSIDE_GUEST_MODE = 0
IN_GUEST_MODE = 1
EXITING_GUEST_MODE = 2
READING_SHADOW_PAGE_TABLES = 3


def pages_per_hpage(level: int) -> int:
    """KVM_PAGES_PER_HPAGE(): 4K pages that an entry of `level` maps."""
    return 1 << (9 * (level - 1))


class KvmMmuPageRole:
    """union kvm_mmu_page_role; `word` is its value as one number, as the kernel compares it."""

    __slots__ = ("access", "ad_disabled", "direct", "guest_mode", "invalid", "level", "smm")

    def __init__(self) -> None:
        self.level = 0
        self.access = 0
        self.direct = False
        self.invalid = False
        self.ad_disabled = False
        self.guest_mode = False
        self.smm = False

    def copy(self) -> KvmMmuPageRole:
        """A role with the same fields."""
        new = KvmMmuPageRole.__new__(KvmMmuPageRole)
        new.level = self.level
        new.access = self.access
        new.direct = self.direct
        new.invalid = self.invalid
        new.ad_disabled = self.ad_disabled
        new.guest_mode = self.guest_mode
        new.smm = self.smm
        return new

    @property
    def word(self) -> int:
        """The role as one number."""
        return (
            self.level
            | self.direct << 4
            | self.access << 5
            | self.invalid << 8
            | self.ad_disabled << 9
            | self.guest_mode << 10
            | self.smm << 11
        )


class KvmMmuPage:
    """struct kvm_mmu_page: a shadow page, of either MMU.  `spt` is its physical address."""

    __slots__ = (
        "gfn",
        "mmu_valid_gen",
        "nx_huge_page_disallowed",
        "parent_ptes",
        "ptep",
        "role",
        "root_count",
        "spt",
        "tdp_mmu_page",
        "tdp_mmu_root_count",
        "tdp_mmu_scheduled_root_to_zap",
    )

    def __init__(self) -> None:
        self.spt = 0
        self.role = KvmMmuPageRole()
        self.gfn = 0
        self.tdp_mmu_page = False
        self.mmu_valid_gen = 0
        self.root_count = 0
        self.tdp_mmu_root_count = 0
        self.tdp_mmu_scheduled_root_to_zap = False
        self.parent_ptes: list[int] = []
        self.ptep = 0
        self.nx_huge_page_disallowed = False


class KvmMmuMemoryCache:
    """struct kvm_mmu_memory_cache: objects allocated before mmu_lock is taken."""

    __slots__ = ("nobjs",)

    def __init__(self) -> None:
        self.nobjs = 0


class KvmMmuRootInfo:
    """struct kvm_mmu_root_info: a root's physical address and the guest's pgd it shadows."""

    __slots__ = ("hpa", "pgd")

    def __init__(self) -> None:
        self.hpa = INVALID_PAGE
        self.pgd = -1


class RsvdBitsValidate:
    """struct rsvd_bits_validate: bits that an entry may not have; none, until they are computed.

    `rsvd_bits_mask[bit 7][level-1]`; bit N of `bad_mt_xwr` refuses entries whose low 6 bits are N.
    """

    __slots__ = ("bad_mt_xwr", "rsvd_bits_mask")

    def __init__(self) -> None:
        self.rsvd_bits_mask = [[0] * PT64_ROOT_MAX_LEVEL, [0] * PT64_ROOT_MAX_LEVEL]
        self.bad_mt_xwr = 0


class KvmMmu:
    """struct kvm_mmu: the MMU context of a vCPU."""

    __slots__ = ("is_tdp", "pae_root", "prev_roots", "root", "root_role", "shadow_zero_check")

    def __init__(self) -> None:
        self.root = KvmMmuRootInfo()
        self.prev_roots = [KvmMmuRootInfo() for _ in range(KVM_MMU_NUM_PREV_ROOTS)]
        self.root_role = KvmMmuPageRole()
        self.is_tdp = True
        self.pae_root = 0
        self.shadow_zero_check = RsvdBitsValidate()


class KvmArchMemorySlot:
    """struct kvm_arch_memory_slot: rmaps, huge page limits and write tracking, all sparse.

    `rmap[level-1]`, `lpage_info[level-2]` map an index (see gfn_to_index) to a list of sptep and
    to disallow_lpage.  `lpages[level-1]` is the number of entries that the kernel's array has;
    `misaligned[level-2]` says that every entry starts with disallow_lpage 1.
    """

    __slots__ = ("gfn_track", "lpage_info", "lpages", "misaligned", "rmap")

    def __init__(self) -> None:
        self.rmap: list[dict[int, list[int]]] | None = None
        self.lpage_info: list[dict[int, int]] = [{}, {}]
        self.lpages = [0, 0, 0]
        self.misaligned = [False, False]
        self.gfn_track: dict[int, int] | None = None


class KvmMemorySlot:
    """struct kvm_memory_slot.  `dirty_bitmap` maps the number of a 64-bit word to the word."""

    __slots__ = (
        "arch",
        "as_id",
        "base_gfn",
        "dirty_bitmap",
        "flags",
        "id",
        "npages",
        "userspace_addr",
    )

    def __init__(self) -> None:
        self.base_gfn = 0
        self.npages = 0
        self.dirty_bitmap: dict[int, int] | None = None
        self.arch = KvmArchMemorySlot()
        self.userspace_addr = 0
        self.flags = 0
        self.id = 0
        self.as_id = 0


class KvmMemslots:
    """struct kvm_memslots: one of the two sets of an address space.

    `gfn_tree` is by first gfn, `id_hash` by slot id.
    """

    # Left out: the tree by hva; memslots are few here.

    __slots__ = ("generation", "gfn_tree", "id_hash", "node_idx")

    def __init__(self, node_idx: int, generation: int) -> None:
        self.node_idx = node_idx
        self.generation = generation
        self.gfn_tree: RangeMap[KvmMemorySlot] = RangeMap()
        self.id_hash: dict[int, KvmMemorySlot] = {}


class KvmVmStat:
    """struct kvm_vm_stat, the MMU's part.  `pages[level-1]` counts leaf SPTEs."""

    __slots__ = (
        "mmu_recycled",
        "mmu_shadow_zapped",
        "nx_lpage_splits",
        "pages",
        "remote_tlb_flush_requests",
    )

    def __init__(self) -> None:
        self.pages = [0, 0, 0]
        self.nx_lpage_splits = 0
        self.mmu_shadow_zapped = 0
        self.mmu_recycled = 0
        self.remote_tlb_flush_requests = 0


class KvmVcpuStat:
    """struct kvm_vcpu_stat, the MMU's part."""

    __slots__ = (
        "pf_emulate",
        "pf_fast",
        "pf_fixed",
        "pf_mmio_spte_created",
        "pf_spurious",
        "pf_taken",
    )

    def __init__(self) -> None:
        self.pf_taken = 0
        self.pf_fixed = 0
        self.pf_emulate = 0
        self.pf_spurious = 0
        self.pf_fast = 0
        self.pf_mmio_spte_created = 0


class KvmVcpu:
    """struct kvm_vcpu with its arch part, and the CPU it runs on."""

    __slots__ = (
        "apf_done",
        "apf_gfns",
        "apf_halted",
        "cpu",
        "guest_mode",
        "ipis",
        "kvm",
        "last_used_slot",
        "last_used_slot_gen",
        "maxphyaddr",
        "mmio_access",
        "mmio_gen",
        "mmio_gfn",
        "mmio_gva",
        "mmu",
        "mmu_page_header_cache",
        "mmu_pte_list_desc_cache",
        "mmu_shadow_page_cache",
        "mode",
        "pml",
        "pml_enabled",
        "requests",
        "results",
        "sigbus",
        "smm",
        "srcu_idx",
        "stat",
        "tlb_ranges",
        "vcpu_id",
    )

    def __init__(self, kvm: Kvm, vcpu_id: int, cpu: Cpu) -> None:
        self.kvm = kvm
        self.vcpu_id = vcpu_id
        self.cpu = cpu
        self.maxphyaddr = kvm.maxphyaddr
        """cpuid_maxphyaddr(): of the guest's CPU."""
        self.mmu = KvmMmu()
        self.mmu_pte_list_desc_cache = KvmMmuMemoryCache()
        self.mmu_shadow_page_cache = KvmMmuMemoryCache()
        self.mmu_page_header_cache = KvmMmuMemoryCache()
        self.requests = 0
        self.mode = OUTSIDE_GUEST_MODE
        self.ipis = 0
        self.tlb_ranges: list[tuple[int, int]] = []
        self.stat = KvmVcpuStat()
        self.smm = False
        self.guest_mode = False
        self.last_used_slot: KvmMemorySlot | None = None
        self.last_used_slot_gen = -1
        self.mmio_gva = 0
        self.mmio_access = 0
        self.mmio_gfn = 0
        self.mmio_gen = -1
        self.srcu_idx = -1
        self.pml: list[int] = []
        self.pml_enabled = False
        self.apf_gfns: list[int] = []
        self.apf_done: list[int] = []
        self.apf_halted = False
        self.sigbus = False
        self.results: list[int] = []


class Kvm:
    """struct kvm with its arch part, and the model's own: masks, memory, host, scheduler."""

    retries_by_gfn: ClassVar[bool] = False
    """For oracles: faults are compared with invalidations by gfn, not by hva."""
    __slots__ = (
        "active_mmu_pages",
        "cpu_dirty_log_size",
        "cpu_dirty_logging_count",
        "dirty_log_init_set",
        "eager_page_split",
        "enable_async_pf",
        "four_levels",
        "manual_dirty_log_protect",
        "masks",
        "max_huge_page_level",
        "max_tdp_level",
        "maxphyaddr",
        "mem",
        "memslots",
        "memslots_sets",
        "mm",
        "mmu_invalidate_in_progress",
        "mmu_invalidate_range_end",
        "mmu_invalidate_range_start",
        "mmu_invalidate_seq",
        "mmu_lock",
        "mmu_page_hash",
        "mmu_valid_gen",
        "mn_active_invalidate_count",
        "mn_invalidate_lock",
        "n_max_mmu_pages",
        "n_requested_mmu_pages",
        "n_used_mmu_pages",
        "nr_memslot_pages",
        "nr_memslots_dirty_logging",
        "nx_huge_pages",
        "nx_huge_pages_recovery_ratio",
        "param_lock",
        "possible_nx_huge_pages",
        "range_flush",
        "rcu",
        "sched",
        "slot_zap_all",
        "slots_arch_lock",
        "slots_lock",
        "splats",
        "srcu",
        "stat",
        "tdp_enabled",
        "tdp_mmu_enabled",
        "tdp_mmu_pages",
        "tdp_mmu_pages_lock",
        "tdp_mmu_roots",
        "tdp_root_level",
        "users_count",
        "vcpus",
        "zapped_obsolete_pages",
    )
    tells_accessed: ClassVar[bool] = True
    """For oracles: the host is told of the accessed bit of an SPTE that goes."""

    def __init__(
        self, sched: Scheduler, mm: HostMM, masks: SpteMasks, mem: PhysMem[KvmMmuPage] | None = None
    ) -> None:
        self.sched = sched
        self.mm = mm
        self.masks = masks
        self.mem: PhysMem[KvmMmuPage] = mem if mem is not None else PhysMem(sched)
        self.rcu = Rcu(sched)
        self.srcu = Srcu(sched, "kvm->srcu")
        self.mmu_lock = RwLock(sched, "mmu_lock", Rank.MMU_LOCK)
        self.param_lock = Mutex(sched, "param_lock", Rank.PARAM_LOCK)
        self.slots_lock = Mutex(sched, "slots_lock", Rank.SLOTS_LOCK)
        self.slots_arch_lock = Mutex(sched, "slots_arch_lock", Rank.SLOTS_ARCH_LOCK)
        self.mn_invalidate_lock = SpinLock(sched, "mn_invalidate_lock", Rank.MN_INVALIDATE_LOCK)
        self.tdp_mmu_pages_lock = SpinLock(sched, "tdp_mmu_pages_lock", Rank.PAGES_LOCK)
        self.vcpus: list[KvmVcpu] = []
        self.users_count = 1
        self.splats: list[tuple[str, str]] = []
        self.stat = KvmVmStat()
        # virt/kvm: memslots and mmu notifiers
        self.memslots_sets: list[list[KvmMemslots]] = []
        self.memslots: list[KvmMemslots] = []
        self.nr_memslot_pages = 0
        self.mmu_invalidate_seq = 0
        self.mmu_invalidate_in_progress = 0
        self.mmu_invalidate_range_start = 0
        self.mmu_invalidate_range_end = 0
        self.mn_active_invalidate_count = 0
        self.manual_dirty_log_protect = False
        self.dirty_log_init_set = False
        # arch: what the module parameters and the CPU decide
        self.tdp_enabled = True
        self.tdp_mmu_enabled = False
        self.maxphyaddr = MAXPHYADDR
        """kvm_host.maxphyaddr; `shadow_phys_bits` in 6.1."""
        self.four_levels = 0
        """No field of the kernel's: the vCPUs that user space gives a narrower MAXPHYADDR."""
        self.tdp_root_level = 0
        """Forced by the host's own tables; 0 lets kvm_mmu_get_tdp_level() choose."""
        self.max_tdp_level = 4
        self.max_huge_page_level = PG_LEVEL_1G
        self.eager_page_split = True
        self.enable_async_pf = False
        self.range_flush = False
        self.cpu_dirty_log_size = 0
        self.cpu_dirty_logging_count = 0
        self.nr_memslots_dirty_logging = 0
        self.nx_huge_pages = False
        self.nx_huge_pages_recovery_ratio = 1
        self.slot_zap_all = True
        """KVM_X86_QUIRK_SLOT_ZAP_ALL, which 6.1 does not ask for."""
        # arch: the legacy MMU
        self.mmu_valid_gen = 0
        self.active_mmu_pages: dict[KvmMmuPage, None] = {}
        self.zapped_obsolete_pages: list[KvmMmuPage] = []
        self.possible_nx_huge_pages: dict[KvmMmuPage, None] = {}
        self.mmu_page_hash: dict[int, list[KvmMmuPage]] = {}
        self.n_used_mmu_pages = 0
        self.n_requested_mmu_pages = 0
        self.n_max_mmu_pages = 0
        # arch: the TDP MMU
        self.tdp_mmu_roots: list[KvmMmuPage] = []
        self.tdp_mmu_pages = 0

    def warn(self, where: str, text: str) -> bool:
        """WARN_ON(): noted as a finding, and the kernel goes on.  Always True."""
        self.splats.append((where, text))
        return True

    @property
    def counts(self) -> list[tuple[str, int, int]]:
        """For oracles: counters kept beside lists, each with what it says and what is there."""
        slots = [slot for slots in self.memslots for slot in slots.id_hash.values()]
        logging = sum(1 for slot in slots if slot.flags & KVM_MEM_LOG_DIRTY_PAGES)
        return [
            ("nr_memslots_dirty_logging", self.nr_memslots_dirty_logging, logging),
            ("nr_memslot_pages", self.nr_memslot_pages, sum(slot.npages for slot in slots)),
        ]

    @property
    def unprotected_reads(self) -> int:
        """For oracles: memslots are read under SRCU or slots_lock, or their readers say so."""
        return 0
