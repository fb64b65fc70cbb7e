# SPDX-License-Identifier: GPL-2.0-only
"""Sides whose pages have the wrong size, or that log too much, where threads race."""

from __future__ import annotations

from .broken import Broken

HUGE = "config vcpus=2\nslot 0 gfn=0x0 pages=0x800 area=0\nvcpu0: write gfn=0x200\nvmm: sync\n"
LOGGED_HUGE = (
    "config vcpus=2\nslot 0 gfn=0x0 pages=0x800 area=0 flags=dirty\n"
    "vcpu0: write gfn=0x200\nvmm: sync\n"
)
INIT_SET = (
    "config vcpus=2 manual_protect=on init_set=on\nslot 0 gfn=0x0 pages=0x800 area=0\n"
    "vcpu0: write gfn=0x200\nvmm: memslot_flags slot=0 flags=dirty\nvmm: sync\n"
)
MEET = "vmm: sync\n"

LEVEL = (
    Broken(
        "raced_logging_does_not_split_eagerly",
        "tdp",
        "memslot_update.py",
        """\
-    if kvm.eager_page_split:
-        kvm_mmu_slot_try_split_huge_pages(kvm, new, PG_LEVEL_4K)
     if kvm.cpu_dirty_log_size:
""",
        "level:tdp:meeting:split",
        f"{HUGE}vmm: memslot_flags slot=0 flags=dirty\nvcpu1: read gfn=0x400\n{MEET}",
        near=f"{HUGE}vmm: memslot_flags slot=0 flags=dirty\n"
        f"vmm: memslot_flags slot=0\nvcpu1: read gfn=0x400\n{MEET}",
    ),
    Broken(
        "raced_clear_does_not_split_eagerly",
        "tdp",
        "mmu_slot.py",
        """\
         if kvm.eager_page_split:
-            kvm_mmu_try_split_huge_pages(kvm, slot, start, end + 1, PG_LEVEL_4K)
+            pass
         kvm_mmu_slot_gfn_write_protect(kvm, slot, start, PG_LEVEL_2M)
""",
        "level:tdp:meeting:split",
        f"{INIT_SET}vmm: dirty_clear slot=0 first=0x200 n=0x40\nvcpu1: read gfn=0x201\n{MEET}",
        near=f"{INIT_SET}vmm: dirty_clear slot=0 first=0x400 n=0x40\nvcpu1: read gfn=0x201\n{MEET}",
    ),
    Broken(
        "small_pages_stay_after_raced_logging",
        "tdp",
        "mmu_slot.py",
        """\
         kvm.mmu_lock.read_lock()
-        kvm_tdp_mmu_zap_collapsible_sptes(kvm, slot)
         kvm.mmu_lock.read_unlock()
""",
        "level:tdp:meeting:collapse",
        f"{LOGGED_HUGE}vmm: memslot_flags slot=0\nvcpu1: read gfn=0x400\n{MEET}",
        near=f"{LOGGED_HUGE}vmm: memslot_flags slot=0\nvmm: nx on\nvcpu1: read gfn=0x400\n{MEET}",
    ),
    Broken(
        "tdp_maps_small_pages_only_in_races",
        "tdp",
        "tdp_mmu.py",
        """\
     kvm = vcpu.kvm
-    kvm_mmu_hugepage_adjust(vcpu, fault)
     root = to_shadow_page(kvm, vcpu.mmu.root.hpa)
""",
        "level:tdp:read:1-not-2",
        f"{HUGE.replace('vcpu0: write gfn=0x200', 'vcpu0: smm off')}vcpu1: read gfn=0x400\n{MEET}",
        near="config vcpus=2 max_level=4K\nslot 0 gfn=0x0 pages=0x800 area=0\nvcpu0: smm off\n"
        f"{MEET}vcpu1: read gfn=0x400\n{MEET}",
    ),
)

LOGGED = "config vcpus=2\nslot 0 gfn=0x0 pages=0x400 area=1 flags=dirty\n"
NEIGHBOURS = "host0: host_write area=1 page=0x8\nhost0: host_write area=1 page=0x9\n"
DIRTY_LOG = (
    Broken(
        "prefetch_goes_over_slots_that_log",
        "legacy",
        "mmu.py",
        """\
-    if no_dirty_log and kvm_slot_dirty_track_enabled(slot):
-        return None
     return slot
""",
        "dirty-log:legacy:meeting:untouched",
        f"{LOGGED}{NEIGHBOURS}{MEET}vcpu0: read gfn=0x8\nvcpu1: read gfn=0x100\n{MEET}",
        near=f"{LOGGED}{NEIGHBOURS}{MEET}vcpu0: read gfn=0x8\nvcpu1: read gfn=0x9\n{MEET}",
    ),
)
