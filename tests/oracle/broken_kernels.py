# SPDX-License-Identifier: GPL-2.0-only
"""Broken sides for what a kernel checks itself: locks, RCU, freed pages, assertions."""

from __future__ import annotations

from .broken import Broken
from .broken_books import FAR_APART, LIMITED, MANY_TABLES
from .broken_pages import ONE_PAGE

LOCK = (
    Broken(
        "mmu_lock_stays_held",
        "legacy",
        "mmu.py",
        """\
             r = direct_map(vcpu, fault)
-    kvm.mmu_lock.write_unlock()
     kvm_release_pfn_clean(kvm, orig_pfn)
""",
        "lock:legacy:write:operation end",
        f"{ONE_PAGE}vcpu0: write gfn=0x3\n",
        near=f"{ONE_PAGE}host0: munmap area=1 page=0x3 n=0x1\nvcpu0: write gfn=0x3\n",
    ),
    Broken(
        "tdp_fault_holds_mmu_lock_for_write",
        "tdp",
        "mmu.py",
        """\
-    kvm.mmu_lock.read_lock()
+    kvm.mmu_lock.write_lock()
     if not is_page_fault_stale(vcpu, fault):
         r = kvm_tdp_mmu_map(vcpu, fault)
-    kvm.mmu_lock.read_unlock()
+    kvm.mmu_lock.write_unlock()
""",
        "lock:tdp:write:tdp_mmu_set_spte_atomic",
        f"{ONE_PAGE}vcpu0: write gfn=0x3\n",
        near=f"{ONE_PAGE}host0: munmap area=1 page=0x3 n=0x1\nvcpu0: write gfn=0x3\n",
    ),
    Broken(
        "locks_in_the_wrong_order",
        "tdp",
        "vm.py",
        """\
     kvm.nx_huge_pages = enabled
-    kvm.slots_lock.lock()
-    mmu_zap.kvm_mmu_zap_all_fast(kvm)
-    kvm.slots_lock.unlock()
+    kvm.mmu_lock.write_lock()
+    kvm.slots_lock.lock()
""",
        "lock:tdp:nx:slots_lock",
        f"{ONE_PAGE}vmm: nx on\n",
        near=f"{ONE_PAGE}vmm: nx off\n",
    ),
    Broken(
        "sleeps_under_mmu_lock",
        "legacy",
        "mmu.py",
        """\
-    r = mmu_topup_memory_caches(vcpu)
-    if r:
-        return r
-    r = kvm_faultin_pfn(vcpu, fault, ACC_ALL)
-    if r != RET_PF_CONTINUE:
-        return r
-    orig_pfn = fault.pfn
-    r = RET_PF_RETRY
-    kvm.mmu_lock.write_lock()
-    # From 6.2: shadow pages are made available only for a fault that is not stale.
+    kvm.mmu_lock.write_lock()
+    r = kvm_faultin_pfn(vcpu, fault, ACC_ALL)
+    orig_pfn = fault.pfn
     if not is_page_fault_stale(vcpu, fault):
""",
        "lock:legacy:read:hva_to_pfn_slow",
        f"{ONE_PAGE}vcpu0: read gfn=0x3\n",
        near=f"{ONE_PAGE}host0: host_write area=1 page=0x3\nvcpu0: read gfn=0x3\n",
    ),
)

RCU = (
    Broken(
        "walk_outside_rcu",
        "tdp",
        "tdp_mmu.py",
        """\
     assert root is not None
-    kvm.rcu.read_lock()
     ret = RET_PF_RETRY
""",
        "rcu:tdp:write:rcu_dereference",
        f"{ONE_PAGE}vcpu0: write gfn=0x3\n",
        near=ONE_PAGE,
    ),
    Broken(
        "rcu_section_stays_open",
        "tdp",
        "mmu.py",
        """\
         sptes = get_walk(vcpu, addr)
-    walk_shadow_page_lockless_end(vcpu)
     if not sptes:
""",
        "rcu:tdp:read:operation end",
        f"{ONE_PAGE}vcpu0: read gfn=0x1000\nvcpu0: read gfn=0x1001\nvcpu0: read gfn=0x1000\n",
        near=f"{ONE_PAGE}vcpu0: read gfn=0x1000\nvcpu0: read gfn=0x1000\n",
    ),
)

UAF = (
    Broken(
        "parents_still_point_to_the_page",
        "legacy",
        "mmu_page.py",
        """\
-    kvm_mmu_unlink_parents(kvm, sp)
     list_unstable = nr_zapped != 0
""",
        "uaf:legacy:write:page_table",
        f"{LIMITED}{FAR_APART}vcpu0: write gfn=0x0\n",
        near=f"{LIMITED}vcpu0: write gfn=0x0\n",
    ),
    Broken(
        "table_is_freed_twice",
        "tdp",
        "tdp_mmu.py",
        """\
         if not shared or kvm.mem.freeze_absent(pt, REMOVED_SPTE, done):
             break
-    tdp_mmu_free_sp_rcu(kvm, sp)
+    tdp_mmu_free_sp_rcu(kvm, sp)
+    tdp_mmu_free_sp_rcu(kvm, sp)
""",
        "uaf:tdp:memslot_delete:free_page",
        f"{ONE_PAGE}vcpu0: write gfn=0x3\nvmm: memslot_delete slot=0\n",
        near=f"{ONE_PAGE}vmm: memslot_delete slot=0\n",
    ),
)

WARN = (
    Broken(
        "caches_are_not_filled",
        "tdp",
        "mmu_roots.py",
        """\
     kvm = vcpu.kvm
+    if vcpu.mmu_shadow_page_cache.nobjs:
+        return 0
     r = kvm_mmu_topup_memory_cache(
         kvm, vcpu.mmu_pte_list_desc_cache, 1 + PT64_ROOT_MAX_LEVEL + PTE_PREFETCH_NUM
""",
        "warn:tdp:write:kvm_mmu_memory_cache_alloc",
        # Of 40 pages the root takes one, the first write three, and one each for a further 2M: the
        # last write needs two for a further 1G, and one is left.
        f"{MANY_TABLES}vcpu0: write gfn=0x40000\n",
        near=f"{MANY_TABLES}vcpu0: write gfn=0x0\n",
    ),
    Broken(
        "leaf_changes_its_page",
        "tdp",
        "mmu_notifier.py",
        """\
         return True
-    return kvm.mmu_invalidate_seq != mmu_seq
+    return False
""",
        "warn:tdp:end_fault:__handle_changed_spte",
        f"config vcpus=2\n{ONE_PAGE}vcpu0: begin_fault gfn=0x3 access=write\n"
        "host0: dontneed area=1 page=0x3 n=0x1\nvcpu1: read gfn=0x3\nvcpu0: end_fault\n",
        near=f"config vcpus=2\n{ONE_PAGE}vcpu0: begin_fault gfn=0x3 access=write\n"
        "vcpu1: read gfn=0x3\nvcpu0: end_fault\n",
    ),
)

DEADLOCK = (
    Broken(
        "memslot_update_waits_for_an_ended_invalidation",
        "legacy",
        "mmu_notifier.py",
        """\
         kvm.mn_invalidate_lock.lock()
-        kvm.mn_active_invalidate_count -= 1
         kvm.mn_invalidate_lock.unlock()
""",
        "deadlock:legacy:memslot_delete:vmm",
        f"{ONE_PAGE}vcpu0: read gfn=0x3\nhost0: dontneed area=1 page=0x3 n=0x1\n"
        "vmm: memslot_delete slot=0\n",
        near=f"{ONE_PAGE}vcpu0: read gfn=0x3\nvmm: memslot_delete slot=0\n"
        "host0: dontneed area=1 page=0x3 n=0x1\n",
    ),
)

CRASH = (
    Broken(
        "collapse_looks_outside_the_slot",
        "tdp",
        "tdp_mmu_slot.py",
        """\
-            if it.gfn < start or it.gfn >= end:
-                break
             if kvm_mmu_max_mapping_level(kvm, slot, it.gfn, PG_LEVEL_NUM) < it.level:
""",
        "crash:tdp:memslot_flags:lpage_info_slot",
        "slot 0 gfn=0x200 pages=0x400 area=0 page=0x200 flags=dirty\n"
        "vcpu0: write gfn=0x200\nvmm: memslot_flags slot=0\n",
        near="slot 0 gfn=0x0 pages=0x400 area=0 flags=dirty\n"
        "vcpu0: write gfn=0x200\nvmm: memslot_flags slot=0\n",
    ),
    Broken(
        "hole_has_no_slot",
        "tdp",
        "tdp_mmu.py",
        """\
-    if fault.slot is None:
+    if fault.slot.npages < 0:
         new_spte = make_mmio_spte(vcpu, it.gfn, ACC_ALL)
""",
        "crash:tdp:read:AttributeError@tdp_mmu_map_handle_target_level",
        f"{ONE_PAGE}vcpu0: read gfn=0x1000\n",
        near=f"{ONE_PAGE}vcpu0: read gfn=0x3ff\n",
    ),
)
