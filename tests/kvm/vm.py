# SPDX-License-Identifier: GPL-2.0-only
"""VMs and shadow pages for tests that call functions of the model directly."""

from __future__ import annotations

from typing import cast

import difffuzz.kvm
import difffuzz.kvm.dirty_log
import difffuzz.kvm.memslot_update
import difffuzz.kvm.mmu_roots
import difffuzz.kvm.mmu_zap
import difffuzz.kvm.vm
import difffuzz.kvm.x86
from difffuzz.kvm.kvm_host import Kvm, KvmMmuPage
from difffuzz.program import parse
from difffuzz.sides.kvm_package import AnyPackage
from difffuzz.sides.kvm_side import KvmSide


class Modelled(KvmSide):
    """A side on the model, with all of its struct kvm."""

    kvm: Kvm


def kvm_of(side: KvmSide) -> Kvm:
    """The model's struct kvm, of a patched model too."""
    return cast(Kvm, side.kvm)


def model(config: str = "", slot: str = "0 gfn=0x0 pages=0x80000 area=1") -> Modelled:
    """The side tdp, started with this configuration and memslot (words of the text form)."""
    program = parse(f"difffuzz program v1\nconfig {config}\nslot {slot}\n")
    return Modelled("tdp", cast(AnyPackage, difffuzz.kvm), program.config, tdp_mmu=True)


def page(level: int, ad_disabled: bool = False, guest_mode: bool = False) -> KvmMmuPage:
    """A shadow page of that level and kind, in no table."""
    sp = KvmMmuPage()
    sp.role.level = level
    sp.role.access = 7
    sp.role.ad_disabled = ad_disabled
    sp.role.guest_mode = guest_mode
    return sp
