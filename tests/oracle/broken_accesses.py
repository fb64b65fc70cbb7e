# SPDX-License-Identifier: GPL-2.0-only
"""Broken sides for the oracles about accesses: stale-access, progress, dirty-log, retry."""

from __future__ import annotations

from .broken import Broken
from .broken_pages import LOGGED, ONE_PAGE

TWO_VCPUS = f"config vcpus=2\n{ONE_PAGE}"
NX = "config nx=on\nslot 0 gfn=0x0 pages=0x800 area=2\n"
PML = f"config dirty_mode=pml\n{LOGGED}"

STALE_ACCESS = (
    Broken(
        "unmap_does_not_flush",
        "tdp",
        "mmu_notifier.py",
        """\
     if flush_on_ret and ret:
-        kvm_flush_remote_tlbs(kvm)
+        pass
     # Left out: `on_unlock`, which writes caches back for encrypted guests.
""",
        "stale-access:tdp:read:tlb",
        f"{ONE_PAGE}vcpu0: write gfn=0x3\nhost0: dontneed area=1 page=0x3 n=0x1\n"
        "vcpu0: read gfn=0x3\n",
        near=f"{ONE_PAGE}vcpu0: write gfn=0x3\nhost0: dontneed area=1 page=0x3 n=0x1\n"
        "vcpu0: read gfn=0x4\n",
    ),
    Broken(
        "parked_fault_maps_what_was_taken_back",
        "legacy",
        "mmu.py",
        """\
-    return fault.slot is not None and mmu_invalidate_retry_hva(kvm, fault.mmu_seq, fault.hva)
+    return False
""",
        "stale-access:legacy:end_fault:mapping",
        f"{ONE_PAGE}vcpu0: begin_fault gfn=0x3 access=write\n"
        "host0: dontneed area=1 page=0x3 n=0x1\nvcpu0: end_fault\n",
        near=f"{ONE_PAGE}vcpu0: begin_fault gfn=0x3 access=write\n"
        "host0: host_write area=1 page=0x3\nvcpu0: end_fault\n",
    ),
    Broken(
        "deleted_slot_stays_in_the_tlb",
        "tdp",
        "mmu_zap.py",
        """\
         kvm_tdp_mmu_invalidate_all_roots(kvm)
-    kvm_make_all_cpus_request(kvm, KVM_REQ_MMU_FREE_OBSOLETE_ROOTS)
     kvm_zap_obsolete_pages(kvm)
""",
        "stale-access:tdp:read:no-slot",
        f"{ONE_PAGE}vcpu0: write gfn=0x3\nvmm: memslot_delete slot=0\nvcpu0: read gfn=0x3\n",
        near=f"{ONE_PAGE}vcpu0: write gfn=0x3\nvmm: memslot_delete slot=0\n"
        "vcpu0: reload\nvcpu0: read gfn=0x3\n",
    ),
)

PROGRESS = (
    Broken(
        "invalidation_never_ends",
        "tdp",
        "mmu_notifier.py",
        """\
     kvm.mmu_invalidate_seq += 1
-    kvm.mmu_invalidate_in_progress -= 1
""",
        "progress:tdp:read:rets-1,1",
        f"{ONE_PAGE}vcpu0: write gfn=0x3\nhost0: dontneed area=1 page=0x3 n=0x1\n"
        "vcpu0: read gfn=0x3\n",
        near=f"{ONE_PAGE}vcpu0: write gfn=0x3\nhost0: dontneed area=1 page=0x3 n=0x1\n"
        "vcpu0: read gfn=0x4\n",
    ),
    Broken(
        "frozen_for_ever",
        "tdp",
        "tdp_mmu.py",
        """\
     kvm_flush_remote_tlbs_with_address(kvm, it.gfn, pages_per_hpage(it.level))
-    __kvm_tdp_mmu_write_spte(kvm, it.sptep, 0)
     return 0
""",
        "progress:tdp:read:rets-1,1",
        "slot 0 gfn=0x0 pages=0x800 area=0 flags=dirty\nvcpu0: write gfn=0x200\n"
        "vmm: memslot_flags slot=0\nvcpu0: read gfn=0x200\n",
        near="slot 0 gfn=0x0 pages=0x800 area=0 flags=dirty\nvcpu0: write gfn=0x200\n"
        "vmm: memslot_flags slot=0\nvcpu0: read gfn=0x400\n",
    ),
    Broken(
        "huge_page_and_table_by_turns",
        "legacy",
        "mmu.py",
        """\
-        if fault.nx_huge_page_workaround_enabled:
-            disallowed_hugepage_adjust(kvm, fault, spte, it.level)
         base_gfn = fault.gfn & ~(pages_per_hpage(it.level) - 1)
""",
        "progress:legacy:exec:by-turns",
        NX + "vcpu0: exec gfn=0x200\nvcpu0: read gfn=0x280\n" * 4,
        near=NX + "vcpu0: exec gfn=0x200\nvcpu0: read gfn=0x200\n" * 4,
    ),
)

DIRTY_LOG = (
    Broken(
        "writable_spte_is_not_marked_dirty",
        "tdp",
        "spte.py",
        """\
             kvm.warn("make_spte", "huge page in a slot that logs dirty pages")
-        mark_page_dirty_in_slot(kvm, slot, gfn)
     return wrprot, spte
""",
        "dirty-log:tdp:write:writable-clean",
        f"{LOGGED}vcpu0: write gfn=0x41\n",
        near=f"{ONE_PAGE}vcpu0: write gfn=0x41\n",
    ),
    Broken(
        "fast_fault_is_not_marked_dirty",
        "legacy",
        "mmu.py",
        """\
     if is_writable_pte(new_spte) and not is_writable_pte(old_spte):
-        mark_page_dirty_in_slot(vcpu.kvm, fault.slot, fault.gfn)
+        pass
     return True
""",
        "dirty-log:legacy:write:writable-clean",
        f"{LOGGED}vcpu0: write gfn=0x41\nvmm: dirty_get slot=0\nvcpu0: write gfn=0x41\n",
        near=f"{LOGGED}vcpu0: write gfn=0x41\nvmm: dirty_get slot=0\nvcpu0: read gfn=0x41\n",
    ),
    Broken(
        "log_of_the_cpu_is_lost",
        "tdp",
        "vmx.py",
        """\
     for gpa in vcpu.pml:
-        kvm_vcpu_mark_page_dirty(vcpu, gpa >> 12)
+        pass
     vcpu.pml.clear()
""",
        "dirty-log:tdp:dirty_get:lost",
        f"{PML}host0: host_write area=1 page=0x41\nvcpu0: write gfn=0x41\n"
        "vmm: dirty_get slot=0\nvcpu0: write gfn=0x41\nvmm: dirty_get slot=0\n",
        near=f"{LOGGED}host0: host_write area=1 page=0x41\nvcpu0: write gfn=0x41\n"
        "vmm: dirty_get slot=0\nvcpu0: write gfn=0x41\nvmm: dirty_get slot=0\n",
    ),
    Broken(
        "neighbour_is_marked_dirty",
        "legacy",
        "memslots.py",
        """\
         word = rel_gfn >> 6
-        bitmap[word] = bitmap.get(word, 0) | 1 << (rel_gfn & 63)
+        bitmap[word] = bitmap.get(word, 0) | 3 << (rel_gfn & 62)
""",
        "dirty-log:legacy:dirty_get:untouched",
        f"{LOGGED}vcpu0: write gfn=0x41\nvmm: dirty_get slot=0\n",
        near=f"{LOGGED}vcpu0: write gfn=0x41\nvcpu0: write gfn=0x40\nvmm: dirty_get slot=0\n",
    ),
)

RETRY = (
    Broken(
        "r1_invalidation_is_not_seen",
        "tdp",
        "mmu_notifier.py",
        """\
         return True
-    return kvm.mmu_invalidate_seq != mmu_seq
+    return False
""",
        "retry:tdp:end_fault:R1-page",
        f"{ONE_PAGE}vcpu0: begin_fault gfn=0x3 access=write\n"
        "host0: dontneed area=1 page=0x3 n=0x1\nvcpu0: end_fault\n",
        near=f"{ONE_PAGE}vcpu0: begin_fault gfn=0x3 access=write\n"
        "host0: test_age area=1 page=0x3\nvcpu0: end_fault\n",
    ),
    Broken(
        "r1_obsolete_root_is_not_seen",
        "tdp",
        "mmu.py",
        """\
-    if sp is not None and is_obsolete_sp(kvm, sp):
-        return True
     # For those a pending request is the only hint: it may be for another root.
""",
        "retry:tdp:end_fault:R1-root",
        f"{ONE_PAGE}vcpu0: begin_fault gfn=0x3 access=write\nvmm: nx on\nvcpu0: end_fault\n",
        near=f"{ONE_PAGE}vcpu0: begin_fault gfn=0x3 access=write\nvmm: nx off\nvcpu0: end_fault\n",
    ),
    Broken(
        "r1_zapped_gfn_range_is_not_seen",
        "legacy",
        "mmu_zap.py",
        """\
-    kvm_mmu_invalidate_end(kvm, 0, ULONG_MAX)
+    kvm.mmu_invalidate_in_progress -= 1
     kvm.mmu_lock.write_unlock()
""",
        "retry:legacy:end_fault:R1-page",
        f"{ONE_PAGE}vcpu0: begin_fault gfn=0x3 access=write\n"
        "vmm: zap_gfn_range gfn=0x0 n=0x200\nvcpu0: end_fault\n",
        near=f"{ONE_PAGE}vcpu0: begin_fault gfn=0x3 access=write\n"
        "vcpu0: end_fault\nvmm: zap_gfn_range gfn=0x0 n=0x200\n",
    ),
    Broken(
        "r2_any_request_makes_a_fault_stale",
        "tdp",
        "mmu.py",
        """\
-    if sp is None and kvm_test_request(KVM_REQ_MMU_FREE_OBSOLETE_ROOTS, vcpu):
+    if vcpu.requests:
         return True
""",
        "retry:tdp:end_fault:R2",
        f"{TWO_VCPUS}vcpu1: write gfn=0x1\nvcpu0: begin_fault gfn=0x3 access=write\n"
        "host0: age area=1 page=0x1 n=0x1 flush=on\nvcpu0: end_fault\n",
        near=f"{TWO_VCPUS}vcpu1: write gfn=0x1\nvcpu0: begin_fault gfn=0x3 access=write\n"
        "host0: age area=1 page=0x2 n=0x1 flush=on\nvcpu0: end_fault\n",
    ),
    Broken(
        "r2_gives_up_after_each_page_table",
        "tdp",
        "tdp_mmu.py",
        """\
-        if r:
-            tdp_mmu_free_sp(kvm, sp)
-            break
+        if r:
+            tdp_mmu_free_sp(kvm, sp)
+        break
         if fault.huge_page_disallowed and fault.req_level >= it.level:
""",
        "retry:tdp:write:R2",
        f"{ONE_PAGE}vcpu0: write gfn=0x3\n",
        near=f"{ONE_PAGE}vcpu0: begin_fault gfn=0x3 access=write\n",
    ),
    Broken(
        "r4_tracked_page_is_not_emulated_at_once",
        "tdp",
        "tdp_mmu.py",
        """\
     if wrprot and fault.write:
-        ret = RET_PF_EMULATE
+        pass
     if is_mmio_spte(kvm.masks, new_spte):
""",
        "retry:legacy/tdp:write:R4",
        f"{ONE_PAGE}vmm: track_add gfn=0x3\nvcpu0: write gfn=0x3\n",
        near=f"{ONE_PAGE}vmm: track_add gfn=0x3\nvcpu0: read gfn=0x3\nvcpu0: write gfn=0x3\n",
    ),
)
