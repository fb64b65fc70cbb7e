# SPDX-License-Identifier: GPL-2.0-only
"""arch/x86/kvm/mmu/tdp_mmu.c: roots, changing SPTEs, mapping, zapping.

What the TDP MMU does for whole memslots (dirty logging, splitting, aging) is in tdp_mmu_slot.py.
"""

from __future__ import annotations

from collections.abc import Iterator

from difffuzz.facts.addresses import Gfn, Spte, SptePtr
from difffuzz.facts.errno import EBUSY
from difffuzz.facts.paging import SPTE_ENT_PER_PAGE
from difffuzz.sched import KernelSplat

from .kvm_host import (
    PG_LEVEL_1G,
    PG_LEVEL_4K,
    PT64_ROOT_MAX_LEVEL,
    Kvm,
    KvmMmuPage,
    KvmMmuPageRole,
    KvmVcpu,
    pages_per_hpage,
)
from .kvm_main import (
    kvm_flush_remote_tlbs,
    kvm_flush_remote_tlbs_with_address,
    kvm_mmu_memory_cache_alloc,
    kvm_set_pfn_accessed,
    kvm_set_pfn_dirty,
)
from .memslots import mark_page_dirty_in_slot, search_memslots
from .mmu_internal import (
    RET_PF_EMULATE,
    RET_PF_FIXED,
    RET_PF_RETRY,
    RET_PF_SPURIOUS,
    KvmPageFault,
    is_access_allowed,
    kvm_mmu_max_gfn,
    kvm_mmu_page_as_id,
    kvm_update_page_stats,
    sptep_to_sp,
    to_shadow_page,
    track_possible_nx_huge_page,
    untrack_possible_nx_huge_page,
)
from .mmu_lpage import disallowed_hugepage_adjust, kvm_mmu_hugepage_adjust
from .spte import (
    ACC_ALL,
    REMOVED_SPTE,
    SPTE_BASE_ADDR_MASK,
    check_spte_writable_invariants,
    is_accessed_spte,
    is_dirty_spte,
    is_large_pte,
    is_last_spte,
    is_mmio_spte,
    is_mmu_writable_spte,
    is_removed_spte,
    is_shadow_present_pte,
    is_writable_pte,
    kvm_ad_enabled,
    make_huge_page_split_spte,
    make_mmio_spte,
    make_nonleaf_spte,
    make_spte,
    spte_to_pfn,
)
from .tdp_iter import (
    TdpIter,
    __kvm_tdp_mmu_write_spte,
    for_each_tdp_pte,
    for_each_tdp_pte_min_level,
    kvm_tdp_mmu_read_spte,
    kvm_tdp_mmu_write_spte,
    kvm_tdp_mmu_write_spte_atomic,
    rcu_dereference,
    spte_to_child_pt,
)


def kvm_lockdep_assert_mmu_lock_held(kvm: Kvm, shared: bool) -> None:
    """mmu_lock is held in the mode that the caller says."""
    if shared:
        kvm.mmu_lock.assert_held_read("tdp_mmu")
    else:
        kvm.mmu_lock.assert_held_write("tdp_mmu")


def kvm_mmu_uninit_tdp_mmu(kvm: Kvm) -> None:
    """At the end of the VM: drops every root and waits until all its pages are freed."""
    kvm_tdp_mmu_invalidate_all_roots(kvm)
    kvm_tdp_mmu_zap_invalidated_roots(kvm)
    if kvm.tdp_mmu_pages:
        kvm.warn("kvm_mmu_uninit_tdp_mmu", "pages are left")
    if kvm.tdp_mmu_roots:
        kvm.warn("kvm_mmu_uninit_tdp_mmu", "roots are left")
    kvm.rcu.barrier()


def tdp_mmu_free_sp(kvm: Kvm, sp: KvmMmuPage) -> None:
    """Frees a page that nobody can reach."""
    kvm.mem.free(sp.spt)


def tdp_mmu_free_sp_rcu(kvm: Kvm, sp: KvmMmuPage) -> None:
    """Frees a page that lockless walkers may still be in, after a grace period."""
    kvm.rcu.call_rcu(lambda page: tdp_mmu_free_sp(kvm, page), sp)


def kvm_tdp_mmu_get_root(kvm: Kvm, root: KvmMmuPage) -> bool:
    """Takes a reference, unless the last one is gone."""
    kvm.sched.point(("root", root.spt))
    if not root.tdp_mmu_root_count:
        return False
    root.tdp_mmu_root_count += 1
    return True


def kvm_tdp_mmu_put_root(kvm: Kvm, root: KvmMmuPage, shared: bool) -> None:
    """Drops a reference; with the last one the root goes."""
    kvm_lockdep_assert_mmu_lock_held(kvm, shared)
    kvm.sched.point(("root", root.spt))
    if root.tdp_mmu_root_count <= 0:
        raise KernelSplat("uaf", "kvm_tdp_mmu_put_root", "reference count underflow")
    root.tdp_mmu_root_count -= 1
    if root.tdp_mmu_root_count:
        return
    # The TDP MMU itself holds a reference to a root until the root is invalidated.
    if not root.tdp_mmu_page or not root.role.invalid:
        kvm.warn("kvm_tdp_mmu_put_root", "last reference to a valid root")
    kvm.tdp_mmu_pages_lock.lock()
    kvm.sched.touch("roots")
    kvm.tdp_mmu_roots.remove(root)
    kvm.tdp_mmu_pages_lock.unlock()
    tdp_mmu_free_sp_rcu(kvm, root)


def tdp_mmu_next_root(
    kvm: Kvm, prev_root: KvmMmuPage | None, shared: bool, only_valid: bool
) -> KvmMmuPage | None:
    """The root after `prev_root` (or the first), with a reference; that of `prev_root` goes."""
    kvm.rcu.read_lock()
    kvm.sched.touch("roots", False)
    roots = kvm.tdp_mmu_roots
    i = roots.index(prev_root) + 1 if prev_root is not None else 0
    next_root = None
    for root in roots[i:]:
        if (not only_valid or not root.role.invalid) and kvm_tdp_mmu_get_root(kvm, root):
            next_root = root
            break
    kvm.rcu.read_unlock()
    if prev_root is not None:
        kvm_tdp_mmu_put_root(kvm, prev_root, shared)
    return next_root


def for_each_tdp_mmu_root_yield_safe(
    kvm: Kvm, shared: bool, only_valid: bool = False, as_id: int = -1
) -> Iterator[KvmMmuPage]:
    """The roots, each held by a reference, so that the caller may drop mmu_lock in between.

    A caller that leaves the loop early keeps the reference to the last root.
    """
    root = tdp_mmu_next_root(kvm, None, shared, only_valid)
    while root is not None:
        kvm_lockdep_assert_mmu_lock_held(kvm, shared)
        if as_id < 0 or kvm_mmu_page_as_id(root) == as_id:
            yield root
        root = tdp_mmu_next_root(kvm, root, shared, only_valid)


def for_each_tdp_mmu_root(kvm: Kvm, as_id: int) -> Iterator[KvmMmuPage]:
    """The roots of an address space, invalid ones too; mmu_lock is held for write throughout."""
    for root in kvm.tdp_mmu_roots:
        kvm_lockdep_assert_mmu_lock_held(kvm, False)
        if kvm_mmu_page_as_id(root) == as_id:
            yield root


def tdp_mmu_alloc_sp(vcpu: KvmVcpu) -> KvmMmuPage:
    """A page from the vCPU's caches."""
    kvm = vcpu.kvm
    kvm_mmu_memory_cache_alloc(kvm, vcpu.mmu_page_header_cache)
    kvm_mmu_memory_cache_alloc(kvm, vcpu.mmu_shadow_page_cache)
    sp = KvmMmuPage()
    sp.spt = kvm.mem.alloc(sp)
    return sp


def tdp_mmu_init_sp(sp: KvmMmuPage, sptep: SptePtr, gfn: Gfn, role: KvmMmuPageRole) -> None:
    """Makes a page the table below `sptep`, or a root if that is 0."""
    sp.role = role
    sp.gfn = gfn
    sp.ptep = sptep
    sp.tdp_mmu_page = True


def tdp_mmu_init_child_sp(child_sp: KvmMmuPage, it: TdpIter) -> None:
    """Makes a page the table below the iterator's entry."""
    role = sptep_to_sp(it.kvm, rcu_dereference(it.kvm, it.sptep)).role.copy()
    role.level -= 1
    tdp_mmu_init_sp(child_sp, it.sptep, it.gfn, role)


def kvm_tdp_mmu_get_vcpu_root_hpa(vcpu: KvmVcpu) -> int:
    """The root for the vCPU's role, made if there is no valid one."""
    kvm = vcpu.kvm
    role = vcpu.mmu.root_role
    kvm.mmu_lock.assert_held_write("kvm_tdp_mmu_get_vcpu_root_hpa")
    # The role of an invalid root differs in `invalid`.
    word = role.word
    for root in for_each_tdp_mmu_root(kvm, 1 if role.smm else 0):
        if root.role.word == word and kvm_tdp_mmu_get_root(kvm, root):
            return root.spt
    root = tdp_mmu_alloc_sp(vcpu)
    tdp_mmu_init_sp(root, 0, 0, role.copy())
    # One reference for the vCPU, one of the TDP MMU's own, put when the root is zapped.
    root.tdp_mmu_root_count = 2
    kvm.tdp_mmu_pages_lock.lock()
    kvm.sched.touch("roots")
    kvm.tdp_mmu_roots.insert(0, root)
    kvm.tdp_mmu_pages_lock.unlock()
    return root.spt


def handle_changed_spte_acc_track(kvm: Kvm, old_spte: Spte, new_spte: Spte, level: int) -> None:
    """Tells the host that the page was accessed, when the SPTE no longer says so."""
    if not is_shadow_present_pte(old_spte) or not is_last_spte(old_spte, level):
        return
    m = kvm.masks
    if is_accessed_spte(m, old_spte) and (
        not is_shadow_present_pte(new_spte)
        or not is_accessed_spte(m, new_spte)
        or (old_spte ^ new_spte) & SPTE_BASE_ADDR_MASK
    ):
        kvm_set_pfn_accessed(kvm, spte_to_pfn(old_spte))


def handle_changed_spte_dirty_log(
    kvm: Kvm, as_id: int, gfn: Gfn, old_spte: Spte, new_spte: Spte, level: int
) -> None:
    """Marks the page dirty when its SPTE becomes writable."""
    if level > PG_LEVEL_4K or not is_writable_pte(new_spte):
        return
    pfn_changed = (old_spte ^ new_spte) & SPTE_BASE_ADDR_MASK
    if not is_writable_pte(old_spte) or pfn_changed:
        mark_page_dirty_in_slot(kvm, search_memslots(kvm.memslots[as_id], gfn), gfn)


def tdp_mmu_unlink_sp(kvm: Kvm, sp: KvmMmuPage, shared: bool) -> None:
    """Takes a page that was removed off the counts and lists."""
    # From 6.2: page tables are counted; 6.1 has a list of them, under the lock.
    kvm.tdp_mmu_pages -= 1
    if not sp.nx_huge_page_disallowed:
        return
    if shared:
        kvm.tdp_mmu_pages_lock.lock()
    else:
        kvm.mmu_lock.assert_held_write("tdp_mmu_unlink_sp")
    sp.nx_huge_page_disallowed = False
    untrack_possible_nx_huge_page(kvm, sp)
    if shared:
        kvm.tdp_mmu_pages_lock.unlock()


def handle_removed_pt(kvm: Kvm, pt: int, shared: bool) -> None:
    """A table was cut off: clears its entries, and what is below them, and frees it."""
    sp = sptep_to_sp(kvm, rcu_dereference(kvm, pt))
    level = sp.role.level
    as_id = kvm_mmu_page_as_id(sp)
    step = pages_per_hpage(level)
    tdp_mmu_unlink_sp(kvm, sp, shared)
    page = kvm.mem.page(pt)
    done: set[int] = set()
    while True:
        todo = sorted(page.ent.keys() - done)
        for i in todo:
            sptep = pt + 8 * i
            if shared:
                # Frozen, so that no fault fills it again; if another task froze it, that task
                # still has to write it: try until the freeze is ours.
                old_spte = kvm_tdp_mmu_write_spte_atomic(kvm, sptep, REMOVED_SPTE)
                while is_removed_spte(old_spte):
                    kvm.sched.relax()
                    old_spte = kvm_tdp_mmu_write_spte_atomic(kvm, sptep, REMOVED_SPTE)
            else:
                old_spte = kvm_tdp_mmu_read_spte(kvm, sptep)
                if not is_shadow_present_pte(old_spte):
                    continue
                old_spte = kvm_tdp_mmu_write_spte(kvm, sptep, old_spte, REMOVED_SPTE, level)
            handle_changed_spte(
                kvm, as_id, sp.gfn + i * step, old_spte, REMOVED_SPTE, level, shared
            )
        done.update(todo)
        # Otherwise: absent entries are frozen after the present ones, in one step; the kernel
        # freezes entry by entry. One that a fault filled meanwhile is looked at again.
        if not shared or kvm.mem.freeze_absent(pt, REMOVED_SPTE, done):
            break
    tdp_mmu_free_sp_rcu(kvm, sp)


def __handle_changed_spte(
    kvm: Kvm, as_id: int, gfn: Gfn, old_spte: Spte, new_spte: Spte, level: int, shared: bool
) -> None:
    """The bookkeeping that a change of an SPTE needs."""
    was_present = is_shadow_present_pte(old_spte)
    is_present = is_shadow_present_pte(new_spte)
    was_leaf = was_present and is_last_spte(old_spte, level)
    is_leaf = is_present and is_last_spte(new_spte, level)
    pfn_changed = (old_spte ^ new_spte) & SPTE_BASE_ADDR_MASK != 0
    m = kvm.masks
    if level > PT64_ROOT_MAX_LEVEL or level < PG_LEVEL_4K:
        kvm.warn("__handle_changed_spte", "bad level")
    if gfn & (pages_per_hpage(level) - 1):
        kvm.warn("__handle_changed_spte", "gfn is not aligned to the level")
    if was_leaf and is_leaf and pfn_changed:
        raise KernelSplat("warn", "__handle_changed_spte", "a leaf replaced by one of another pfn")
    if old_spte == new_spte:
        return
    if is_leaf:
        check_spte_writable_invariants(kvm, new_spte)
    if not was_present and not is_present:
        if (
            not is_mmio_spte(m, old_spte)
            and not is_mmio_spte(m, new_spte)
            and not is_removed_spte(new_spte)
        ):
            kvm.warn("__handle_changed_spte", "a non-present SPTE replaced by another")
        return
    if is_leaf != was_leaf:
        kvm_update_page_stats(kvm, level, 1 if is_leaf else -1)
    if (
        was_leaf
        and is_dirty_spte(m, old_spte)
        and (not is_present or not is_dirty_spte(m, new_spte) or pfn_changed)
    ):
        kvm_set_pfn_dirty(kvm, spte_to_pfn(old_spte))
    if was_present and not was_leaf and (is_leaf or not is_present or pfn_changed):
        if not is_leaf and is_present:
            kvm.warn("__handle_changed_spte", "a page table replaced by another")
        handle_removed_pt(kvm, spte_to_child_pt(old_spte, level), shared)


def handle_changed_spte(
    kvm: Kvm, as_id: int, gfn: Gfn, old_spte: Spte, new_spte: Spte, level: int, shared: bool
) -> None:
    """The bookkeeping that a change of an SPTE needs, with the host and the dirty log told."""
    __handle_changed_spte(kvm, as_id, gfn, old_spte, new_spte, level, shared)
    handle_changed_spte_acc_track(kvm, old_spte, new_spte, level)
    handle_changed_spte_dirty_log(kvm, as_id, gfn, old_spte, new_spte, level)


def tdp_mmu_set_spte_atomic(kvm: Kvm, it: TdpIter, new_spte: Spte) -> int:
    """Sets the entry if it is still what the iterator read; else -EBUSY, with it read again."""
    if it.yielded or is_removed_spte(it.old_spte):
        kvm.warn("tdp_mmu_set_spte_atomic", "the iterator yielded, or the SPTE is frozen")
    kvm.mmu_lock.assert_held_read("tdp_mmu_set_spte_atomic")
    current = kvm.mem.cmpxchg(rcu_dereference(kvm, it.sptep), it.old_spte, new_spte)
    if current != it.old_spte:
        it.old_spte = current
        return -EBUSY
    __handle_changed_spte(kvm, it.as_id, it.gfn, it.old_spte, new_spte, it.level, True)
    handle_changed_spte_acc_track(kvm, it.old_spte, new_spte, it.level)
    return 0


def tdp_mmu_zap_spte_atomic(kvm: Kvm, it: TdpIter) -> int:
    """Clears an entry, frozen until the TLBs are flushed; 0 or -EBUSY."""
    ret = tdp_mmu_set_spte_atomic(kvm, it, REMOVED_SPTE)
    if ret:
        return ret
    kvm_flush_remote_tlbs_with_address(kvm, it.gfn, pages_per_hpage(it.level))
    __kvm_tdp_mmu_write_spte(kvm, it.sptep, 0)
    return 0


def __tdp_mmu_set_spte(
    kvm: Kvm,
    as_id: int,
    sptep: SptePtr,
    old_spte: Spte,
    new_spte: Spte,
    gfn: Gfn,
    level: int,
    record_acc_track: bool,
    record_dirty_log: bool,
) -> Spte:
    """Sets an entry under mmu_lock held for write; returns the one before."""
    kvm.mmu_lock.assert_held_write("__tdp_mmu_set_spte")
    if is_removed_spte(old_spte) or is_removed_spte(new_spte):
        kvm.warn("__tdp_mmu_set_spte", "frozen SPTE under mmu_lock held for write")
    old_spte = kvm_tdp_mmu_write_spte(kvm, sptep, old_spte, new_spte, level)
    __handle_changed_spte(kvm, as_id, gfn, old_spte, new_spte, level, False)
    if record_acc_track:
        handle_changed_spte_acc_track(kvm, old_spte, new_spte, level)
    if record_dirty_log:
        handle_changed_spte_dirty_log(kvm, as_id, gfn, old_spte, new_spte, level)
    return old_spte


def _tdp_mmu_set_spte(
    kvm: Kvm, it: TdpIter, new_spte: Spte, record_acc_track: bool, record_dirty_log: bool
) -> None:
    """Sets the iterator's entry."""
    if it.yielded:
        kvm.warn("_tdp_mmu_set_spte", "the iterator yielded")
    it.old_spte = __tdp_mmu_set_spte(
        kvm,
        it.as_id,
        it.sptep,
        it.old_spte,
        new_spte,
        it.gfn,
        it.level,
        record_acc_track,
        record_dirty_log,
    )


def tdp_mmu_set_spte(kvm: Kvm, it: TdpIter, new_spte: Spte) -> None:
    """Sets the iterator's entry, with all its bookkeeping."""
    _tdp_mmu_set_spte(kvm, it, new_spte, True, True)


def tdp_mmu_iter_cond_resched(kvm: Kvm, it: TdpIter, flush: bool, shared: bool) -> bool:
    """Lets others have mmu_lock; if it did, the caller must go on to the next entry."""
    if it.yielded:
        kvm.warn("tdp_mmu_iter_cond_resched", "the iterator yielded already")
    # Some progress must be made between two yields.
    if it.next_last_level_gfn == it.yielded_gfn:
        return False
    if kvm.sched.need_resched() or kvm.mmu_lock.is_contended():
        if flush:
            kvm_flush_remote_tlbs(kvm)
        kvm.rcu.read_unlock()
        if shared:
            kvm.mmu_lock.cond_resched_read()
        else:
            kvm.mmu_lock.cond_resched_write()
        kvm.rcu.read_lock()
        if it.gfn > it.next_last_level_gfn:
            kvm.warn("tdp_mmu_iter_cond_resched", "the iterator is behind its gfn")
        it.yielded = True
    return it.yielded


def tdp_mmu_max_gfn_exclusive(kvm: Kvm) -> Gfn:
    """The end of every walk: the host's physical address space."""
    return kvm_mmu_max_gfn(kvm) + 1


def __tdp_mmu_zap_root(kvm: Kvm, root: KvmMmuPage, shared: bool, zap_level: int) -> None:
    """Clears every entry of one level."""
    end = tdp_mmu_max_gfn_exclusive(kvm)
    for it in for_each_tdp_pte_min_level(kvm, root, zap_level, 0, end):
        while True:
            if tdp_mmu_iter_cond_resched(kvm, it, False, shared):
                break
            if not is_shadow_present_pte(it.old_spte):
                break
            if it.level > zap_level:
                break
            if not shared:
                tdp_mmu_set_spte(kvm, it, 0)
            elif tdp_mmu_set_spte_atomic(kvm, it, 0):
                continue
            break


def tdp_mmu_zap_root(kvm: Kvm, root: KvmMmuPage, shared: bool) -> None:
    """Clears a root: first the 1G regions, so that one step never takes too long, then the rest."""
    # A root without references is out of the reach of mmu notifiers.
    if not root.tdp_mmu_root_count:
        kvm.warn("tdp_mmu_zap_root", "the root has no reference")
    kvm_lockdep_assert_mmu_lock_held(kvm, shared)
    kvm.rcu.read_lock()
    __tdp_mmu_zap_root(kvm, root, shared, PG_LEVEL_1G)
    __tdp_mmu_zap_root(kvm, root, shared, root.role.level)
    kvm.rcu.read_unlock()


def kvm_tdp_mmu_zap_sp(kvm: Kvm, sp: KvmMmuPage) -> bool:
    """Clears the entry that points to a page; True if it did."""
    if not sp.ptep:
        kvm.warn("kvm_tdp_mmu_zap_sp", "a root has no parent")
        return False
    old_spte = kvm_tdp_mmu_read_spte(kvm, sp.ptep)
    if not is_shadow_present_pte(old_spte):
        kvm.warn("kvm_tdp_mmu_zap_sp", "the page is not linked")
        return False
    __tdp_mmu_set_spte(
        kvm,
        kvm_mmu_page_as_id(sp),
        sp.ptep,
        old_spte,
        0,
        sp.gfn,
        sp.role.level + 1,
        True,
        True,
    )
    return True


def tdp_mmu_zap_leafs(
    kvm: Kvm, root: KvmMmuPage, start: int, end: int, can_yield: bool, flush: bool
) -> bool:
    """Clears the leaves that map [start, end); True if a flush is due."""
    end = min(end, tdp_mmu_max_gfn_exclusive(kvm))
    kvm.mmu_lock.assert_held_write("tdp_mmu_zap_leafs")
    kvm.rcu.read_lock()
    for it in for_each_tdp_pte_min_level(kvm, root, PG_LEVEL_4K, start, end):
        if can_yield and tdp_mmu_iter_cond_resched(kvm, it, flush, False):
            flush = False
            continue
        if not is_shadow_present_pte(it.old_spte) or not is_last_spte(it.old_spte, it.level):
            continue
        tdp_mmu_set_spte(kvm, it, 0)
        flush = True
    kvm.rcu.read_unlock()
    return flush


def kvm_tdp_mmu_zap_leafs(kvm: Kvm, start: int, end: int, flush: bool) -> bool:
    """Clears the leaves that map [start, end) in every root; True if a flush is due."""
    for root in for_each_tdp_mmu_root_yield_safe(kvm, False):
        flush = tdp_mmu_zap_leafs(kvm, root, start, end, True, flush)
    return flush


def kvm_tdp_mmu_zap_all(kvm: Kvm) -> None:
    """Clears every root, invalid ones too: the VM ends, and no vCPU will run again."""
    for root in for_each_tdp_mmu_root_yield_safe(kvm, False):
        tdp_mmu_zap_root(kvm, root, False)


def kvm_tdp_mmu_zap_invalidated_roots(kvm: Kvm) -> None:
    """Clears the roots that were invalidated, and drops the TDP MMU's own reference to each."""
    # From 6.6: whoever invalidates roots zaps them (so does 6.1.y today); 6.1 left it to a worker.
    kvm.mmu_lock.read_lock()
    for root in for_each_tdp_mmu_root_yield_safe(kvm, True):
        if not root.tdp_mmu_scheduled_root_to_zap:
            continue
        root.tdp_mmu_scheduled_root_to_zap = False
        if not root.role.invalid:
            kvm.warn("kvm_tdp_mmu_zap_invalidated_roots", "the root is valid")
        # No flush: a vCPU flushes its TLB when it loads another root.
        tdp_mmu_zap_root(kvm, root, True)
        # After the zap: mmu notifiers must reach the root as long as it maps anything.
        kvm_tdp_mmu_put_root(kvm, root, True)
    kvm.mmu_lock.read_unlock()


def kvm_tdp_mmu_invalidate_all_roots(kvm: Kvm) -> None:
    """Marks every root invalid, so that no vCPU maps anything there any more."""
    if kvm.users_count:
        kvm.mmu_lock.assert_held_write("kvm_tdp_mmu_invalidate_all_roots")
    for root in kvm.tdp_mmu_roots:
        if not root.role.invalid:
            root.tdp_mmu_scheduled_root_to_zap = True
            root.role.invalid = True


def tdp_mmu_map_handle_target_level(vcpu: KvmVcpu, fault: KvmPageFault, it: TdpIter) -> int:
    """Installs the leaf that resolves the fault; RET_PF_*."""
    kvm = vcpu.kvm
    sp = sptep_to_sp(kvm, rcu_dereference(kvm, it.sptep))
    ret = RET_PF_FIXED
    wrprot = False
    # From 6.2 (50a9ac25985c): a leaf is not put into a table of another level.
    if sp.role.level != fault.goal_level:
        kvm.warn("tdp_mmu_map_handle_target_level", "the page table is of another level")
        return RET_PF_RETRY
    # Mended (386d69f9f29b): another fault was quicker, and may have mapped more than this one
    # could. The kernel replaces a writable SPTE by a read-only one, without a flush.
    # Mended (own-mmio-over-present): 6.13 asks this of a fault without a memslot, too, and warns.
    if (
        fault.slot is not None
        and is_shadow_present_pte(it.old_spte)
        and is_access_allowed(kvm.masks, fault, it.old_spte)
        and is_last_spte(it.old_spte, it.level)
    ):
        if fault.pfn != spte_to_pfn(it.old_spte):
            kvm.warn("tdp_mmu_map_handle_target_level", "another pfn is mapped")
        return RET_PF_SPURIOUS
    if fault.slot is None:
        new_spte = make_mmio_spte(vcpu, it.gfn, ACC_ALL)
    else:
        wrprot, new_spte = make_spte(
            vcpu,
            sp,
            fault.slot,
            ACC_ALL,
            it.gfn,
            fault.pfn,
            it.old_spte,
            fault.prefetch,
            True,
            fault.map_writable,
        )
    if new_spte == it.old_spte:
        ret = RET_PF_SPURIOUS
    elif tdp_mmu_set_spte_atomic(kvm, it, new_spte):
        return RET_PF_RETRY
    elif is_shadow_present_pte(it.old_spte) and not is_last_spte(it.old_spte, it.level):
        kvm_flush_remote_tlbs_with_address(kvm, sp.gfn, pages_per_hpage(it.level + 1))
    elif (
        is_shadow_present_pte(it.old_spte)
        and is_mmu_writable_spte(kvm.masks, it.old_spte)
        and not is_mmu_writable_spte(kvm.masks, new_spte)
    ):
        # Mended (386d69f9f29b): a late read fault of a read-only page meets an SPTE that was aged,
        # and so allows nothing. The kernel does not flush; 6.13 flushes and warns.
        kvm_flush_remote_tlbs_with_address(kvm, it.gfn, pages_per_hpage(it.level))
    # A write to a write-protected page is emulated, else it would fault again for ever.
    if wrprot and fault.write:
        ret = RET_PF_EMULATE
    if is_mmio_spte(kvm.masks, new_spte):
        # Mended (own-mmio-over-present): a fault that saw no memslot may be late, and another has
        # the page mapped meanwhile; the kernel does not flush.
        if is_shadow_present_pte(it.old_spte):
            kvm_flush_remote_tlbs_with_address(kvm, it.gfn, pages_per_hpage(it.level))
        vcpu.stat.pf_mmio_spte_created += 1
        ret = RET_PF_EMULATE
    return ret


def tdp_mmu_link_sp(kvm: Kvm, it: TdpIter, sp: KvmMmuPage, shared: bool) -> int:
    """Puts a table below the iterator's entry; 0 or -EBUSY."""
    spte = make_nonleaf_spte(kvm.masks, sp.spt, not kvm_ad_enabled(kvm.masks))
    if shared:
        ret = tdp_mmu_set_spte_atomic(kvm, it, spte)
        if ret:
            return ret
    else:
        tdp_mmu_set_spte(kvm, it, spte)
    kvm.tdp_mmu_pages += 1
    return 0


def tdp_mmu_split_huge_page(kvm: Kvm, it: TdpIter, sp: KvmMmuPage, shared: bool) -> int:
    """Replaces the iterator's huge leaf by a table that maps the same; 0 or -EBUSY."""
    huge_spte = it.old_spte
    # The 512 entries differ in their pfn only.
    first = make_huge_page_split_spte(kvm, huge_spte, sp.role, 0)
    step = pages_per_hpage(sp.role.level) << 12
    kvm.mem.fill(sp.spt, {i: first + i * step for i in range(SPTE_ENT_PER_PAGE)})
    # No flush: the old and the new mapping translate alike.
    ret = tdp_mmu_link_sp(kvm, it, sp, shared)
    if not ret:
        kvm_update_page_stats(kvm, it.level - 1, SPTE_ENT_PER_PAGE)
    return ret


def kvm_tdp_mmu_map(vcpu: KvmVcpu, fault: KvmPageFault) -> int:
    """Walks to the goal level, making the tables on the way, and maps the page; RET_PF_*."""
    kvm = vcpu.kvm
    kvm_mmu_hugepage_adjust(vcpu, fault)
    root = to_shadow_page(kvm, vcpu.mmu.root.hpa)
    assert root is not None
    kvm.rcu.read_lock()
    ret = RET_PF_RETRY
    for it in for_each_tdp_pte(kvm, root, fault.gfn, fault.gfn + 1):
        if fault.nx_huge_page_workaround_enabled:
            disallowed_hugepage_adjust(kvm, fault, it.old_spte, it.level)
        # Another task works on the entry: let it finish, rather than make a table in vain.
        # From 6.2: the walk gives up at a frozen entry of any level, before it asks for the goal.
        if is_removed_spte(it.old_spte):
            break
        if it.level == fault.goal_level:
            ret = tdp_mmu_map_handle_target_level(vcpu, fault, it)
            break
        if is_shadow_present_pte(it.old_spte) and not is_large_pte(it.old_spte):
            continue
        # Absent, or a huge page that is in the way.
        sp = tdp_mmu_alloc_sp(vcpu)
        tdp_mmu_init_child_sp(sp, it)
        # From 6.2 (61f94478547b): noted before others can see the table.
        sp.nx_huge_page_disallowed = fault.huge_page_disallowed
        # From 6.2: a huge page that is in the way is split; 6.1 zaps it.
        if is_shadow_present_pte(it.old_spte):
            r = tdp_mmu_split_huge_page(kvm, it, sp, True)
        else:
            r = tdp_mmu_link_sp(kvm, it, sp, True)
        if r:
            tdp_mmu_free_sp(kvm, sp)
            break
        if fault.huge_page_disallowed and fault.req_level >= it.level:
            kvm.tdp_mmu_pages_lock.lock()
            # From 6.2 (21a36ac6b6c7): tracked only if it was not zapped since it was linked.
            if sp.nx_huge_page_disallowed:
                track_possible_nx_huge_page(kvm, sp)
            kvm.tdp_mmu_pages_lock.unlock()
    else:
        # An upper entry, read again on the way down, led to no table any more.
        if it.level == fault.goal_level:
            kvm.warn("kvm_tdp_mmu_map", "the walk ended at the goal level without mapping")
    kvm.rcu.read_unlock()
    return ret
