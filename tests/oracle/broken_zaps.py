# SPDX-License-Identifier: GPL-2.0-only
"""Broken sides for what a zap leaves and what KVM answers the host: emptied, answers."""

from __future__ import annotations

from .broken import Broken
from .broken_pages import ONE_PAGE

SMALL = "slot 0 gfn=0x0 pages=0x10 area=1\n"
BOTH_SPACES = (
    "slot 0 gfn=0x0 pages=0x10 area=1\nslot 0 as=1 gfn=0x0 pages=0x10 area=1\n"
    "vcpu0: read gfn=0x3\nvcpu0: smm on\nvcpu0: read gfn=0x3\n"
)

LAST_GFN_IS_LEFT = """\
     for root in for_each_tdp_mmu_root_yield_safe(kvm, False):
-        flush = tdp_mmu_zap_leafs(kvm, root, start, end, True, flush)
+        flush = tdp_mmu_zap_leafs(kvm, root, start, end - 1, True, flush)
     return flush
"""

EMPTIED = (
    Broken(
        "last_gfn_of_a_range_is_left",
        "tdp",
        "tdp_mmu.py",
        LAST_GFN_IS_LEFT,
        "emptied:tdp:zap_gfn_range:range",
        f"{SMALL}vcpu0: read gfn=0x3\nvmm: zap_gfn_range gfn=0x0 n=0x4\n",
        near=f"{SMALL}vcpu0: read gfn=0x3\nvmm: zap_gfn_range gfn=0x0 n=0x5\n",
    ),
    Broken(
        "one_root_is_left",
        "tdp",
        "tdp_mmu.py",
        """\
     for root in for_each_tdp_mmu_root_yield_safe(kvm, False):
-        flush = tdp_mmu_zap_leafs(kvm, root, start, end, True, flush)
+        if not root.role.smm:
+            flush = tdp_mmu_zap_leafs(kvm, root, start, end, True, flush)
     return flush
""",
        "emptied:tdp:zap_gfn_range:range",
        f"{BOTH_SPACES}vmm: zap_gfn_range gfn=0x0 n=0x4\n",
        near=f"{BOTH_SPACES}vmm: zap_gfn_range gfn=0x4 n=0x4\n",
    ),
    Broken(
        "rmaps_of_a_range_are_left",
        "legacy",
        "mmu_zap.py",
        """\
-    flush = kvm_rmap_zap_gfn_range(kvm, gfn_start, gfn_end)
+    flush = kvm_rmap_zap_gfn_range(kvm, gfn_start + 1, gfn_end)
     if kvm.tdp_mmu_enabled:
""",
        "emptied:legacy:zap_gfn_range:range",
        f"{SMALL}vcpu0: read gfn=0x3\nvmm: zap_gfn_range gfn=0x3 n=0x4\n",
        near=f"{SMALL}vcpu0: read gfn=0x3\nvmm: zap_gfn_range gfn=0x2 n=0x4\n",
    ),
    Broken(
        "last_gfn_is_left_in_a_race",
        "tdp",
        "tdp_mmu.py",
        LAST_GFN_IS_LEFT,
        "emptied:tdp:zap_gfn_range:range",
        f"{SMALL}vcpu0: read gfn=0x3\nvmm: sync\n"
        "vmm: zap_gfn_range gfn=0x0 n=0x4\nvcpu0: read gfn=0x4\n",
        near=f"{SMALL}vcpu0: read gfn=0x3\nvmm: sync\n"
        "vmm: zap_gfn_range gfn=0x0 n=0x6\nvcpu0: read gfn=0x4\n",
    ),
)

AGED = "host0: age area=1 page=0x3 n=0x1 flush=on\n"
USED_AGAIN = f"{ONE_PAGE}vcpu0: read gfn=0x3\n{AGED}vcpu0: read gfn=0x3\n"
WRITTEN = f"{ONE_PAGE}vcpu0: write gfn=0x3\n"
MEET = "vmm: sync\n"
PROTECTED = "host0: mprotect area=1 page=0x3 n=0x1 prot=r\n"
ASKED = "host0: test_age area=1 page=0x3\n"

ANSWERS = (
    Broken(
        "never_young",
        "tdp",
        "tdp_mmu_slot.py",
        """\
     \"\"\"True if the leaf was accessed.\"\"\"
-    return is_accessed_spte(kvm.masks, it.old_spte)
+    return False
""",
        "answers:tdp:test_age:young-missed",
        f"{USED_AGAIN}{ASKED}",
        near=f"{USED_AGAIN}{AGED}{ASKED}",
    ),
    Broken(
        "always_young",
        "tdp",
        "tdp_mmu_slot.py",
        """\
     \"\"\"True if the leaf was accessed.\"\"\"
-    return is_accessed_spte(kvm.masks, it.old_spte)
+    return True
""",
        "answers:tdp:test_age:young-invented",
        f"{ONE_PAGE}vcpu0: read gfn=0x3\n{AGED}{ASKED}",
        near=f"{USED_AGAIN}{ASKED}",
    ),
    Broken(
        "one_root_is_not_aged",
        "legacy",
        "mmu_slot.py",
        """\
     if kvm_memslots_have_rmaps(kvm):
-        young = kvm_handle_gfn_range(kvm, gfn_range, kvm_age_rmap)
+        young = not gfn_range.slot.as_id and kvm_handle_gfn_range(kvm, gfn_range, kvm_age_rmap)
     if kvm.tdp_mmu_enabled:
""",
        "answers:legacy:age:young-missed",
        f"{BOTH_SPACES}{AGED}vcpu0: read gfn=0x3\n{AGED}",
        near=f"{BOTH_SPACES}{AGED}vcpu0: smm off\nvcpu0: read gfn=0x3\n{AGED}",
    ),
    Broken(
        "zap_forgets_accessed",
        "tdp",
        "tdp_mmu.py",
        """\
         or (old_spte ^ new_spte) & SPTE_BASE_ADDR_MASK
     ):
-        kvm_set_pfn_accessed(kvm, spte_to_pfn(old_spte))
+        pass
""",
        "answers:tdp:age:accessed-lost",
        f"{WRITTEN}{AGED}vcpu0: read gfn=0x3\n{PROTECTED}{AGED}",
        near=f"{WRITTEN}{AGED}{PROTECTED}{AGED}",
    ),
    Broken(
        "raced_zap_forgets_accessed",
        "tdp",
        "tdp_mmu.py",
        """\
         or (old_spte ^ new_spte) & SPTE_BASE_ADDR_MASK
     ):
-        kvm_set_pfn_accessed(kvm, spte_to_pfn(old_spte))
+        pass
""",
        "answers:tdp:age:accessed-lost",
        f"{WRITTEN}{MEET}{AGED}{MEET}vcpu0: read gfn=0x3\n{MEET}"
        f"vmm: zap_gfn_range gfn=0x3 n=0x1\nvcpu0: read gfn=0x100\n{MEET}{AGED}"
        f"vcpu0: read gfn=0x101\n{MEET}",
        near=f"{WRITTEN}{MEET}{AGED}vcpu0: read gfn=0x3\n{MEET}"
        f"vmm: zap_gfn_range gfn=0x3 n=0x1\nvcpu0: read gfn=0x100\n{MEET}{AGED}"
        f"vcpu0: read gfn=0x101\n{MEET}",
    ),
    Broken(
        "legacy_zap_forgets_accessed",
        "legacy",
        "mmu_spte.py",
        """\
     if is_accessed_spte(m, old_spte):
-        kvm_set_pfn_accessed(kvm, pfn)
+        pass
     if is_dirty_spte(m, old_spte):
""",
        "answers:legacy:age:accessed-lost",
        f"{WRITTEN}{AGED}vcpu0: read gfn=0x3\n{PROTECTED}{AGED}",
        near=f"{WRITTEN}{AGED}vcpu0: read gfn=0x3\n{AGED}{PROTECTED}{AGED}",
    ),
)

MMIO = (
    Broken(
        "mmio_gfn_is_another",
        "tdp",
        "spte.py",
        """\
         | access & m.shadow_mmio_access_mask
-        | gfn << 12
+        | (gfn ^ 1) << 12
     )
""",
        "translation:tdp:read:mmio-gfn",
        f"{SMALL}vcpu0: read gfn=0x20\n",
        near=f"config mmio_caching=off\n{SMALL}vcpu0: read gfn=0x20\n",
    ),
    Broken(
        "mmio_access_is_less",
        "legacy",
        "spte.py",
        """\
         | m.shadow_mmio_value
-        | access & m.shadow_mmio_access_mask
+        | access & m.shadow_mmio_access_mask & ~2
         | gfn << 12
""",
        "translation:legacy:read:mmio-access",
        f"config layout=npt\n{SMALL}vcpu0: read gfn=0x20\n",
        near=f"{SMALL}vcpu0: read gfn=0x20\n",
    ),
    Broken(
        "mmio_generation_is_another",
        "legacy",
        "spte.py",
        """\
-    gen = kvm_vcpu_memslots(vcpu).generation & MMIO_SPTE_GEN_MASK
+    gen = kvm_vcpu_memslots(vcpu).generation & MMIO_SPTE_GEN_MASK & ~2
     if not m.shadow_mmio_value:
""",
        "translation:legacy:read:mmio-new-generation",
        f"{SMALL}vcpu0: read gfn=0x20\n",
        near=f"config mmio_caching=off\n{SMALL}vcpu0: read gfn=0x20\n",
    ),
)
