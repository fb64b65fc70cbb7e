# SPDX-License-Identifier: GPL-2.0-only
"""From a program's configuration to the VM's parameters."""

from __future__ import annotations

from difffuzz.kvm.vm import VmParams
from difffuzz.program import Config
from difffuzz.program.model import GUESTS, NESTED


def vm_params(config: Config, tdp_mmu: bool) -> VmParams:
    """The parameters of the VM that runs a program."""
    params = VmParams()
    params.tdp = config.paging == "tdp"
    params.tdp_mmu = tdp_mmu
    params.ept = config.layout == "ept"
    params.ad = config.ad
    params.root_level = config.root_level
    params.maxphyaddr = config.maxphyaddr
    params.four_levels = config.four_levels
    params.max_level = config.max_level
    params.vcpus = config.vcpus
    params.nx_huge_pages = config.nx
    params.mmio_caching = config.mmio_caching
    params.eager_page_split = config.eager_split
    params.pml = config.dirty_mode == "pml"
    params.manual_dirty_log_protect = config.manual_protect
    params.dirty_log_init_set = config.init_set
    params.mmu_pages = config.mmu_pages
    params.async_pf = config.async_pf
    params.range_flush = config.range_flush
    params.nx_recovery_ratio = config.recovery_ratio
    params.slot_zap_all = config.slot_zap_all
    if config.seq_bias:
        params.mmu_invalidate_seq = (1 << 31) - config.seq_bias
    if config.gen_bias:
        # The initial memslots of an address space use up two of its generations each.
        initial = [sum(slot.as_id == as_id for slot in config.slots) for as_id in (0, 1)]
        params.before_wrap = (
            2 * (initial[0] + config.gen_bias),
            2 * (initial[1] + config.gen_bias),
        )
    if config.guest != "none":
        _for_guest(params, config, tdp_mmu)
    return params


def _for_guest(params: VmParams, config: Config, tdp_mmu: bool) -> None:
    """A guest with page tables: the legacy MMU shadows them, and the CPU has no nested paging.

    L1s have it on both sides: there the tables for L2 are shadowed."""
    params.guest = GUESTS.index(config.guest)
    if config.guest in NESTED:
        params.range_flush = False
        return
    if not tdp_mmu:
        params.tdp = False
        params.pml = params.range_flush = False
        params.max_level = 2
        params.ad = True
