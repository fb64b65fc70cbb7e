# SPDX-License-Identifier: GPL-2.0-only
"""async_pf.c: a vCPU does not wait for a page in swap, if its guest can do something else."""

from __future__ import annotations

from .litmus import cases, litmus

CASES = {
    "kvm_arch_setup_async_pf": """
        # The worker has the page mapped before the access is tried again.
        config async_pf=on
        slot 0 gfn=0x0 pages=0x400 area=1
        vcpu0: write gfn=0x3    # FIXED: ok, 4K rwx
        host0: swap_out area=1 page=0x3 n=0x1
        vcpu0: read gfn=0x3     # RETRY: ok 1, 4K rwx
        """,
    "kvm_can_do_async_pf_without_the_guest": """
        slot 0 gfn=0x0 pages=0x400 area=1
        vcpu0: write gfn=0x3    # FIXED: ok, 4K rwx
        host0: swap_out area=1 page=0x3 n=0x1
        vcpu0: read gfn=0x3     # FIXED: ok 1, 4K r-x
        """,
    "kvm_can_do_async_pf_in_l2": """
        config async_pf=on
        slot 0 gfn=0x0 pages=0x400 area=1
        vcpu0: write gfn=0x3    # FIXED: ok, 4K rwx
        host0: swap_out area=1 page=0x3 n=0x1
        vcpu0: guest_mode on
        vcpu0: read gfn=0x3     # FIXED: ok 1, 4K r-x
        """,
    "kvm_can_do_async_pf_in_smm": """
        config async_pf=on
        slot 0 gfn=0x0 pages=0x400 area=1
        slot 0 as=1 gfn=0x0 pages=0x400 area=1
        vcpu0: write gfn=0x3    # FIXED: ok, 4K rwx
        host0: swap_out area=1 page=0x3 n=0x1
        vcpu0: smm on
        vcpu0: read gfn=0x3     # FIXED: ok 1, 4K r-x
        """,
    "a_page_that_is_there_needs_none": """
        config async_pf=on
        slot 0 gfn=0x0 pages=0x400 area=1
        vcpu0: read gfn=0x3     # FIXED: ok 0, 4K r-x
        """,
}


@cases(CASES)
def test_async_pf(text: str) -> None:
    litmus(text)
