# SPDX-License-Identifier: GPL-2.0-only
"""Sides that are broken in a way that the oracles of concurrent runs see."""

from __future__ import annotations

from .broken import Broken

MEMORY = "config vcpus=2\nslot 0 gfn=0x0 pages=0x400 area=1\n"

LINEARIZABLE = (
    Broken(
        "tracking_is_not_flushed",
        "tdp",
        "page_track_write.py",
        """\
     if kvm_mmu_slot_gfn_write_protect(kvm, slot, gfn, PG_LEVEL_4K):
-        kvm_flush_remote_tlbs(kvm)
+        pass
""",
        "linearizable:tdp:write:tracked",
        f"{MEMORY}vcpu0: write gfn=0x3\nvmm: sync\nvmm: track_add gfn=0x3\nvmm: sync\n"
        "vcpu0: write gfn=0x3\n",
        near=f"{MEMORY}vcpu0: write gfn=0x3\nvmm: sync\nvmm: track_add gfn=0x3\nvmm: sync\n"
        "vcpu0: read gfn=0x3\nvcpu1: write gfn=0x3\n",
    ),
)

# A slot is deleted, and a vCPU makes tables in a break of the zap, or when it is over.
DELETED = """\
slot 0 gfn=0x0 pages=0x200 area=1
slot 1 gfn=0x40000 pages=0x8 area=1 page=0x200
vcpu0: read gfn=0x0
vmm: sync
vmm: memslot_delete slot=1
vcpu0: read gfn=0x1
vcpu0: read gfn=0x2
"""
PROGRESS = (
    Broken(
        "zap_goes_on_to_younger_pages",
        "legacy",
        "mmu_zap.py",
        """\
-            if not is_obsolete_sp(kvm, sp):
-                break
             if sp.role.invalid:

-            if batch >= BATCH_ZAP_PAGES and kvm.mmu_lock.cond_resched_write():
+            if batch and kvm.mmu_lock.cond_resched_write():

-    kvm.mmu_valid_gen = 0 if kvm.mmu_valid_gen else 1
""",
        "progress:legacy:memslot_delete:younger-pages",
        f"{DELETED}schedule 34:vmm 47:vcpu0\n",
        near=f"{DELETED}schedule 34:vmm\n",
    ),
)

# A page was MMIO before two updates of memslots, of which the second wraps the generation or not.
WRAPPED = """\
slot 0 gfn=0x0 pages=0x200 area=1
vcpu0: read gfn=0x300
vmm: sync
vmm: memslot_flags slot=0 flags=dirty
vmm: sync
vmm: memslot_flags slot=0 flags=none
vcpu0: read gfn=0x300
schedule 83:vmm
"""
TRANSLATION = (
    Broken(
        "generation_is_seen_before_its_wrap_is_handled",
        "tdp",
        "memslot_update.py",
        """\
-    kvm_arch_memslots_updated(kvm, gen)
     kvm.sched.touch("memslots")
     slots.generation = gen
+    kvm_arch_memslots_updated(kvm, gen)
""",
        "translation:tdp:read:mmio-generation",
        f"config gen_bias=2\n{WRAPPED}",
        near=f"config gen_bias=3\n{WRAPPED}",
    ),
)
