# SPDX-License-Identifier: GPL-2.0-only
"""kvm_set_memory_region(): what is refused, and what a change does to what is mapped."""

from __future__ import annotations

from .litmus import cases, litmus, models

CASES = {
    "refused": """
        slot 0 gfn=0x0 pages=0x400 area=1
        vmm: memslot_create slot=1 gfn=0x3ff n=0x2 area=1 page=0x0  # -17
        vmm: memslot_create slot=1 gfn=0x400 n=0x2 area=1 page=0x0
        vmm: memslot_create slot=1 gfn=0x400 n=0x3 area=1 page=0x0  # -22
        vmm: memslot_create slot=1 gfn=0x400 n=0x2 area=1 page=0x1  # -22
        vmm: memslot_move slot=1 gfn=0x3ff                          # -17
        vmm: memslot_delete slot=3                                  # -22
        vmm: memslot_flags slot=0 flags=readonly                    # -22
        vmm: memslot_delete slot=1
        vmm: memslot_delete slot=1                                  # -22
        """,
    "one_number_in_each_address_space": """
        slot 0 gfn=0x0 pages=0x8 area=1
        vmm: memslot_create slot=0 as=1 gfn=0x0 n=0x8 area=1 page=0x0
        vmm: memslot_delete slot=0 as=1
        vmm: memslot_delete slot=0 as=1                             # -22
        vcpu0: read gfn=0x3         # FIXED: ok 0, 4K r-x
        """,
    "kvm_mr_create_over_mmio": """
        vcpu0: read gfn=0x3         # EMULATE: mmio
        vmm: memslot_create slot=0 gfn=0x0 n=0x8 area=1 page=0x0
        vcpu0: read gfn=0x3         # INVALID FIXED: ok 0, 4K r-x
        """,
    "kvm_mr_delete": """
        slot 0 gfn=0x0 pages=0x8 area=1
        vcpu0: write gfn=0x3        # FIXED: ok, 4K rwx
        vmm: memslot_delete slot=0
        vcpu0: read gfn=0x3         # EMULATE: mmio
        """,
    "kvm_mr_move": """
        slot 0 gfn=0x0 pages=0x8 area=1
        vcpu0: write gfn=0x3        # FIXED: ok, 4K rwx
        vmm: memslot_move slot=0 gfn=0x1000
        vcpu0: read gfn=0x3         # EMULATE: mmio
        vcpu0: read gfn=0x1003      # FIXED: ok 1, 4K rwx
        """,
    "kvm_mr_move_keeps_the_log": """
        slot 0 gfn=0x0 pages=0x8 area=1 flags=dirty
        vcpu0: write gfn=0x3        # FIXED: ok, 4K rwx
        vmm: memslot_move slot=0 gfn=0x1000
        vmm: dirty_get slot=0       # 0x3
        """,
    "kvm_mr_flags_only_leaves_other_slots_mapped": """
        slot 0 gfn=0x0 pages=0x8 area=1
        slot 1 gfn=0x8 pages=0x8 area=1 page=0x100
        vcpu0: write gfn=0x3        # FIXED: ok, 4K rwx
        vmm: memslot_flags slot=1 flags=dirty
        vcpu0: write gfn=0x3        # ok, 4K rwx
        """,
    "kvm_vcpu_memslots_of_smm": """
        slot 0 gfn=0x0 pages=0x400 area=1
        slot 0 as=1 gfn=0x0 pages=0x8 area=1 page=0x8
        vcpu0: write gfn=0x8        # FIXED: ok, 4K rwx
        vcpu0: smm on
        vcpu0: read gfn=0x0         # FIXED: ok 1, 4K rwx
        vcpu0: read gfn=0x8         # EMULATE: mmio
        """,
    "kvm_invalidate_memslot_ends_faults_first": """
        slot 0 gfn=0x0 pages=0x8 area=1
        vcpu0: begin_fault gfn=0x3 access=write  # parked
        vmm: memslot_delete slot=0
        vcpu0: read gfn=0x3         # EMULATE: mmio
        """,
}


@cases(CASES)
def test_kvm_set_memory_region(text: str) -> None:
    litmus(text)


def test_kvm_swap_active_memslots_counts_generations() -> None:
    """A creation is one swap, a deletion two: the memslot is invalid in between."""
    made = "vmm: memslot_create slot=0 gfn=0x0 n=0x8 area=1 page=0x0\n"
    before, created, deleted = (
        models(text)[0].kvm.memslots[0].generation
        for text in ("vcpu0: reload", made, f"{made}vmm: memslot_delete slot=0")
    )
    assert (created - before) * 2 == deleted - created > 0
