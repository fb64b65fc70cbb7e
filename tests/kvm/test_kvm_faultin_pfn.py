# SPDX-License-Identifier: GPL-2.0-only
"""kvm_faultin_pfn(): from a gfn to the host's page, or to the reason why there is none."""

from __future__ import annotations

from .litmus import cases, litmus, models

ERRORS = {
    "kvm_handle_error_pfn_of_a_hole": """
        slot 0 gfn=0x0 pages=0x400 area=1
        host0: munmap area=1 page=0x3 n=0x1
        vcpu0: read gfn=0x3     # -14: error
        vcpu0: read gfn=0x2     # FIXED: ok 0, 4K r-x
        """,
    "kvm_handle_error_pfn_of_a_write_that_the_host_forbids": """
        slot 0 gfn=0x0 pages=0x400 area=1
        host0: mprotect area=1 page=0x3 n=0x1 prot=r
        vcpu0: read gfn=0x3     # FIXED: ok 0, 4K r-x
        vcpu0: write gfn=0x3    # -14: error, 4K r-x
        """,
    "kvm_handle_error_pfn_of_a_write_to_a_readonly_slot": """
        # KVM_PFN_ERR_RO_FAULT: the write is emulated, by user space.
        slot 0 gfn=0x0 pages=0x8 area=1 flags=readonly
        vcpu0: write gfn=0x3    # EMULATE: mmio
        vcpu0: read gfn=0x3     # FIXED: ok 0, 4K r-x
        vcpu0: write gfn=0x3    # EMULATE: mmio, 4K r-x
        """,
    "kvm_send_hwpoison_signal": """
        slot 0 gfn=0x0 pages=0x400 area=1
        vcpu0: write gfn=0x3    # FIXED: ok, 4K rwx
        host0: hwpoison area=1 page=0x3
        vcpu0: read gfn=0x3     # RETRY: sigbus
        vcpu0: read gfn=0x2     # FIXED: ok 0, 4K r-x
        """,
    "hva_to_pfn_remapped_of_a_hole": """
        area 1 pfnmap
        slot 0 gfn=0x0 pages=0x8 area=1
        vcpu0: write gfn=0x3    # FIXED: ok, 4K rwx
        host0: munmap area=1 page=0x3 n=0x1
        vcpu0: read gfn=0x3     # -14: error
        """,
    "kvm_try_get_pfn_refuses_tail_pages": """
        area 1 pfnmap_tails
        slot 0 gfn=0x0 pages=0x8 area=1
        vcpu0: read gfn=0x3     # -14: error
        """,
}
NO_SLOT = {
    "kvm_handle_noslot_fault_makes_an_mmio_spte": """
        vcpu0: read gfn=0x400   # EMULATE: mmio
        vcpu0: write gfn=0x401  # EMULATE: mmio
        """,
    "kvm_handle_noslot_fault_without_mmio_caching": """
        config mmio_caching=off
        vcpu0: read gfn=0x400   # EMULATE: mmio
        vcpu0: write gfn=0x401  # EMULATE: mmio
        """,
}


@cases(ERRORS)
def test_kvm_faultin_pfn_finds_no_page(text: str) -> None:
    litmus(text)


@cases(NO_SLOT)
def test_kvm_handle_noslot_fault(text: str) -> None:
    litmus(text)
    made = 0 if "mmio_caching=off" in text else 2
    for side in models(text):
        assert side.kvm.vcpus[0].stat.pf_mmio_spte_created == made


def test_kvm_faultin_pfn_maps_writable_for_a_read_if_the_host_does() -> None:
    """map_writable: a page that the host may write already needs no second fault."""
    litmus("""
        slot 0 gfn=0x0 pages=0x400 area=1
        host0: host_write area=1 page=0x3
        vcpu0: read gfn=0x3     # FIXED: ok 1, 4K rwx
        vcpu0: write gfn=0x3    # ok, 4K rwx
        """)


def test_kvm_faultin_pfn_holds_its_page_until_the_fault_is_over() -> None:
    litmus("""
        slot 0 gfn=0x0 pages=0x400 area=1
        vcpu0: write gfn=0x3                    # FIXED: ok, 4K rwx
        vcpu0: begin_fault gfn=0x4 access=read  # parked
        host0: munmap area=1 page=0x4 n=0x1
        vcpu0: end_fault                        # RETRY -14: error
        """)
