# SPDX-License-Identifier: GPL-2.0-only
"""Sides that lose what the guest wrote: a dirty bit does not reach the host, or a write nobody."""

from __future__ import annotations

from .broken import Broken

FREED = """\
slot 0 gfn=0x0 pages=0x400 area=1
vcpu0: write gfn=0x5
host0: lazy_free area=1 page=0x0 n=0x10
"""
RECLAIM = "host0: swap_out area=1 page=0x0 n=0x10\n"
SHMEM = "slot 0 gfn=0x0 pages=0x10 area=3\n"
NO_AD = f"config ad=off\n{SHMEM}vcpu0: read gfn=0x5\n"
AGE_AND_RECLAIM = (
    "host0: age area=3 page=0x0 n=0x10 flush=on\nhost0: swap_out area=3 page=0x0 n=0x10\n"
)

CONTENTS = (
    Broken(
        "zap_forgets_dirty",
        "tdp",
        "tdp_mmu.py",
        """\
         and (not is_present or not is_dirty_spte(m, new_spte) or pfn_changed)
     ):
-        kvm_set_pfn_dirty(kvm, spte_to_pfn(old_spte))
+        pass
""",
        "contents:tdp:swap_out:lost",
        f"{FREED}vcpu0: write gfn=0x5\n{RECLAIM}",
        near=f"{FREED}host0: host_write area=1 page=0x5\nvcpu0: read gfn=0x5\n{RECLAIM}",
    ),
    Broken(
        "legacy_zap_forgets_dirty",
        "legacy",
        "mmu_spte.py",
        """\
     if is_dirty_spte(m, old_spte):
-        kvm_set_pfn_dirty(kvm, pfn)
+        pass
     return old_spte
""",
        "contents:legacy:swap_out:lost",
        f"{SHMEM}vcpu0: read gfn=0x5\nvcpu0: write gfn=0x5\n"
        "host0: swap_out area=3 page=0x0 n=0x10\n",
        near=f"{SHMEM}vcpu0: write gfn=0x5\nhost0: swap_out area=3 page=0x0 n=0x10\n",
    ),
    Broken(
        "legacy_aging_forgets_dirty",
        "legacy",
        "mmu_spte.py",
        """\
         if is_writable_pte(spte):
-            kvm_set_pfn_dirty(kvm, spte_to_pfn(spte))
+            pass
         spte = mark_spte_for_access_track(kvm, spte)
""",
        "contents:legacy:swap_out:lost",
        f"{NO_AD}vcpu0: write gfn=0x5\n{AGE_AND_RECLAIM}",
        near=f"{NO_AD}{AGE_AND_RECLAIM}",
    ),
    Broken(
        "raced_zap_forgets_dirty",
        "tdp",
        "tdp_mmu.py",
        """\
         and (not is_present or not is_dirty_spte(m, new_spte) or pfn_changed)
     ):
-        kvm_set_pfn_dirty(kvm, spte_to_pfn(old_spte))
+        pass
""",
        "contents:tdp:meeting:lost",
        f"{SHMEM}vcpu0: read gfn=0x5\nvmm: sync\nvcpu0: write gfn=0x5\n"
        "host0: swap_out area=3 page=0x0 n=0x10\nvmm: sync\n"
        "host0: swap_out area=3 page=0x0 n=0x10\n",
        near=f"{SHMEM}vcpu0: write gfn=0x5\nvmm: sync\nvcpu0: write gfn=0x5\n"
        "host0: swap_out area=3 page=0x0 n=0x10\nvmm: sync\n",
    ),
    Broken(
        "emulated_write_is_lost",
        "legacy",
        "x86.py",
        """\
-    if not kvm.mm.copy_to_user(addr, value):
-        return None
     kvm_vcpu_mark_page_dirty(vcpu, gfn)
     return value
""",
        "contents:legacy:read:lost",
        "slot 0 gfn=0x0 pages=0x400 area=1\nvmm: track_add gfn=0x5\nvcpu0: read gfn=0x5\n"
        "vcpu0: write gfn=0x5\nvcpu0: read gfn=0x5\n",
        near="slot 0 gfn=0x0 pages=0x400 area=1\nvcpu0: read gfn=0x5\nvcpu0: write gfn=0x5\n"
        "vcpu0: read gfn=0x5\n",
    ),
)
