# SPDX-License-Identifier: GPL-2.0-only
"""Broken sides for the oracles about leaves: translation, permission, level."""

from __future__ import annotations

from .broken import Broken

ONE_PAGE = "slot 0 gfn=0x0 pages=0x400 area=1\n"
HUGE_PAGES = "slot 0 gfn=0x0 pages=0x800 area=0\n"
LOGGED = "slot 0 gfn=0x0 pages=0x400 area=1 flags=dirty\n"
SLOT_LATER = "vmm: memslot_create slot=0 gfn=0x200 n=0x200 area=0 page=0x200\n"

TRANSLATION = (
    Broken(
        "tdp_unmap_forgets_the_leaves",
        "tdp",
        "mmu_slot.py",
        """\
     if kvm.tdp_mmu_enabled:
-        flush = kvm_tdp_mmu_unmap_gfn_range(kvm, gfn_range, flush)
+        flush = False
     return flush
""",
        "translation:tdp:dontneed:level1",
        f"{ONE_PAGE}vcpu0: write gfn=0x3\nhost0: dontneed area=1 page=0x3 n=0x1\n",
        near=f"{ONE_PAGE}vcpu0: write gfn=0x3\nhost0: dontneed area=1 page=0x20 n=0x1\n",
    ),
    Broken(
        "legacy_unmap_forgets_the_last_page",
        "legacy",
        "mmu_slot.py",
        """\
         KVM_MAX_HUGEPAGE_LEVEL,
         gfn_range.start,
-        gfn_range.end - 1,
+        max(gfn_range.end - 2, gfn_range.start),
     ):
""",
        "translation:legacy:dontneed:level1",
        f"{ONE_PAGE}vcpu0: write gfn=0x40\nvcpu0: write gfn=0x41\n"
        "host0: dontneed area=1 page=0x40 n=0x2\n",
        near=f"{ONE_PAGE}vcpu0: write gfn=0x40\nhost0: dontneed area=1 page=0x40 n=0x1\n",
    ),
    Broken(
        "tdp_unmap_spares_huge_leaves",
        "tdp",
        "tdp_mmu.py",
        """\
         if not is_shadow_present_pte(it.old_spte) or not is_last_spte(it.old_spte, it.level):
             continue
-        tdp_mmu_set_spte(kvm, it, 0)
+        if it.level > 1:
+            continue
+        tdp_mmu_set_spte(kvm, it, 0)
         flush = True
""",
        "translation:tdp:dontneed:inside-huge",
        f"{HUGE_PAGES}vcpu0: write gfn=0x200\nhost0: dontneed area=0 page=0x300 n=0x100\n",
        near=f"{HUGE_PAGES}vcpu0: write gfn=0x200\nhost0: dontneed area=0 page=0x400 n=0x1\n",
    ),
    Broken(
        "deleted_slot_stays_mapped",
        "tdp",
        "memslot_update.py",
        """\
     \"""Unmaps a slot, and with it everything else.\"""
-    kvm_mmu_zap_all_fast(kvm)
""",
        "translation:tdp:memslot_delete:level1",
        f"{ONE_PAGE}vcpu0: write gfn=0x0\nvmm: memslot_delete slot=0\n",
        near=f"{ONE_PAGE}vmm: memslot_delete slot=0\nvcpu0: write gfn=0x0\n",
    ),
    Broken(
        "emulator_cannot_write",
        "tdp",
        "x86.py",
        """\
     addr = gfn_to_hva_many(slot, gfn, write)
-    if addr < 0:
+    if addr < 0 or write:
         return None
""",
        "translation:tdp:write:mmio",
        f"{ONE_PAGE}vmm: track_add gfn=0x5\nvcpu0: read gfn=0x5\nvcpu0: write gfn=0x5\n",
        near=f"{ONE_PAGE}vmm: track_add gfn=0x5\nvcpu0: read gfn=0x5\nvcpu0: write gfn=0x6\n",
    ),
    Broken(
        "hole_is_an_error",
        "tdp",
        "mmu.py",
        """\
     if fault.slot is None:
-        return kvm_handle_noslot_fault(vcpu, fault, access)
+        return -EFAULT
     if not fault.prefetch:
""",
        "translation:legacy/tdp:read:mmio-error",
        f"{ONE_PAGE}vcpu0: read gfn=0x1000\n",
        near=f"{ONE_PAGE}vcpu0: read gfn=0x3ff\n",
    ),
    Broken(
        "stale_mmio_spte_is_believed",
        "tdp",
        "mmu.py",
        """\
-    return gen & MMIO_SPTE_GEN_MASK == get_mmio_spte_generation(spte)
+    return True
""",
        "translation:tdp:read:mmio",
        "vcpu0: read gfn=0x3\n"
        "vmm: memslot_create slot=0 gfn=0x0 n=0x8 area=1 page=0x0\nvcpu0: read gfn=0x3\n",
        near="vcpu0: read gfn=0x3\n"
        "vmm: memslot_create slot=0 gfn=0x0 n=0x8 area=1 page=0x0\nvcpu0: read gfn=0x4\n",
    ),
    Broken(
        "mmio_sptes_outlive_the_wrap",
        "tdp",
        "mmu_zap.py",
        """\
     if gen == 0:
-        kvm_mmu_zap_all_fast(kvm)
+        pass
""",
        "translation:tdp:end:mmio-generation",
        f"config gen_bias=1\nvcpu0: read gfn=0x203\n{SLOT_LATER}",
        near=f"config gen_bias=2\nvcpu0: read gfn=0x203\n{SLOT_LATER}",
    ),
)

PERMISSION = (
    Broken(
        "huge_page_is_executable_under_nx",
        "tdp",
        "spte.py",
        """\
     if level > PG_LEVEL_4K and pte_access & ACC_EXEC_MASK and is_nx_huge_page_enabled(kvm):
-        pte_access &= ~ACC_EXEC_MASK
+        pass
""",
        "permission:tdp:read:nx",
        f"config nx=on\n{HUGE_PAGES}vcpu0: read gfn=0x200\n",
        near=f"{HUGE_PAGES}vcpu0: read gfn=0x200\n",
    ),
    Broken(
        "readonly_slot_is_mapped_writable",
        "legacy",
        "kvm_main.py",
        """\
-    if slot.flags & KVM_MEM_READONLY:
+    if slot.flags & KVM_MEM_READONLY and write_fault:
         pfn, _, wait = hva_to_pfn(kvm, addr, atomic, nowait, write_fault, False)
""",
        "permission:legacy:read:readonly-slot",
        "slot 0 gfn=0x0 pages=0x400 area=1 flags=readonly\n"
        "host0: host_write area=1 page=0x1\nvcpu0: read gfn=0x1\n",
        near="slot 0 gfn=0x0 pages=0x400 area=1 flags=readonly\n"
        "host0: host_write area=1 page=0x1\nvcpu0: write gfn=0x1\n",
    ),
    Broken(
        "shared_frame_is_mapped_writable",
        "tdp",
        "kvm_main.py",
        """\
-    writable = write_fault
+    writable = True
     # A page that was read may be mapped writable all the same.
""",
        "permission:tdp:read:host-readonly",
        f"{ONE_PAGE}vcpu0: write gfn=0x1\nhost0: fork area=1 page=0x0 n=0x8\nvcpu0: read gfn=0x1\n",
        near=f"{ONE_PAGE}vcpu0: write gfn=0x1\n"
        "host0: fork area=1 page=0x0 n=0x8\nvcpu0: write gfn=0x1\n",
    ),
    Broken(
        "tracked_page_is_mapped_writable",
        "tdp",
        "page_track.py",
        """\
     if kvm_slot_page_track_is_active(kvm, slot, gfn):
-        return -EPERM
+        return 0
     return 0
""",
        "permission:tdp:read:tracked",
        f"{ONE_PAGE}host0: host_write area=1 page=0x7\n"
        "vmm: track_add gfn=0x7\nvcpu0: read gfn=0x7\n",
        near=f"{ONE_PAGE}host0: host_write area=1 page=0x7\n"
        "vmm: track_add gfn=0x8\nvcpu0: read gfn=0x7\n",
    ),
    Broken(
        "tracked_page_is_not_write_protected",
        "legacy",
        "page_track_write.py",
        """\
     kvm_mmu_gfn_disallow_lpage(kvm, slot, gfn)
-    if kvm_mmu_slot_gfn_write_protect(kvm, slot, gfn, PG_LEVEL_4K):
-        kvm_flush_remote_tlbs(kvm)
""",
        "permission:legacy:track_add:tracked",
        f"{ONE_PAGE}vcpu0: write gfn=0x7\nvmm: track_add gfn=0x7\n",
        near=f"{ONE_PAGE}vmm: track_add gfn=0x7\nvcpu0: read gfn=0x7\n",
    ),
    Broken(
        "tracking_does_not_flush",
        "legacy",
        "page_track_write.py",
        """\
     if kvm_mmu_slot_gfn_write_protect(kvm, slot, gfn, PG_LEVEL_4K):
-        kvm_flush_remote_tlbs(kvm)
+        pass
""",
        "permission:legacy:write:tracked",
        f"{ONE_PAGE}vcpu0: write gfn=0x7\nvmm: track_add gfn=0x7\nvcpu0: write gfn=0x7\n",
        near=f"{ONE_PAGE}vcpu0: write gfn=0x7\nvmm: track_add gfn=0x7\nvcpu0: read gfn=0x7\n",
    ),
    Broken(
        "logging_leaves_huge_pages_writable",
        "legacy",
        "memslot_update.py",
        """\
         kvm_mmu_slot_remove_write_access(kvm, new, PG_LEVEL_2M)
     else:
-        kvm_mmu_slot_remove_write_access(kvm, new, PG_LEVEL_4K)
+        pass
""",
        "permission:legacy:memslot_flags:dirty-huge",
        f"{HUGE_PAGES}vcpu0: write gfn=0x0\nvmm: memslot_flags slot=0 flags=dirty\n",
        near=f"{HUGE_PAGES}vmm: memslot_flags slot=0 flags=dirty\nvcpu0: write gfn=0x0\n",
    ),
)

LEVEL = (
    Broken(
        "tdp_maps_small_pages_only",
        "tdp",
        "tdp_mmu.py",
        """\
     kvm = vcpu.kvm
-    kvm_mmu_hugepage_adjust(vcpu, fault)
     root = to_shadow_page(kvm, vcpu.mmu.root.hpa)
""",
        "level:tdp:write:1-not-2",
        f"{HUGE_PAGES}vcpu0: write gfn=0x200\n",
        near=f"{ONE_PAGE}vcpu0: write gfn=0x200\n",
    ),
    Broken(
        "huge_page_outlives_the_hosts",
        "tdp",
        "tdp_mmu.py",
        """\
         if not is_shadow_present_pte(it.old_spte) or not is_last_spte(it.old_spte, it.level):
             continue
-        tdp_mmu_set_spte(kvm, it, 0)
+        if it.level > 1:
+            continue
+        tdp_mmu_set_spte(kvm, it, 0)
         flush = True
""",
        "level:tdp:thp_split:level2",
        f"{HUGE_PAGES}vcpu0: write gfn=0x200\nhost0: thp_split area=0 page=0x200\n",
        near=f"{HUGE_PAGES}vcpu0: write gfn=0x200\nhost0: thp_split area=0 page=0x400\n",
    ),
    Broken(
        "small_pages_stay_after_logging",
        "tdp",
        "mmu_slot.py",
        """\
         kvm.mmu_lock.read_lock()
-        kvm_tdp_mmu_zap_collapsible_sptes(kvm, slot)
         kvm.mmu_lock.read_unlock()
""",
        "level:tdp:memslot_flags:collapse",
        "slot 0 gfn=0x0 pages=0x800 area=0 flags=dirty\n"
        "vcpu0: write gfn=0x200\nvmm: memslot_flags slot=0\n",
        near=f"{LOGGED}vcpu0: write gfn=0x200\nvmm: memslot_flags slot=0\n",
    ),
    Broken(
        "legacy_maps_huge_pages_while_logging",
        "legacy",
        "mmu_lpage.py",
        """\
     assert slot is not None
-    if kvm_slot_dirty_track_enabled(slot):
-        return
     # The level must be read with mmu_lock held, else the host may split the page meanwhile.
""",
        "level:legacy:write:2-not-1",
        "slot 0 gfn=0x0 pages=0x800 area=0 flags=dirty\nvcpu0: write gfn=0x200\n",
        near=f"{LOGGED}vcpu0: write gfn=0x200\n",
    ),
    Broken(
        "logging_does_not_split_eagerly",
        "tdp",
        "memslot_update.py",
        """\
-    if kvm.eager_page_split:
-        kvm_mmu_slot_try_split_huge_pages(kvm, new, PG_LEVEL_4K)
     if kvm.cpu_dirty_log_size:
""",
        "level:tdp:memslot_flags:split",
        f"{HUGE_PAGES}vcpu0: write gfn=0x200\nvmm: memslot_flags slot=0 flags=dirty\n",
        near=f"{HUGE_PAGES}vmm: memslot_flags slot=0 flags=dirty\nvcpu0: write gfn=0x200\n",
    ),
)
