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
