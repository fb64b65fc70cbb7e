# SPDX-License-Identifier: GPL-2.0-only
"""VMs and shadow pages for tests that call functions of the model directly."""

from __future__ import annotations

from difffuzz.kvm.kvm_host import KvmMmuPage
from difffuzz.program import parse
from difffuzz.sides import open_side
from difffuzz.sides.model import ModelSide


def model(config: str = "", slot: str = "0 gfn=0x0 pages=0x80000 area=1") -> ModelSide:
    """The side tdp, started with this configuration and memslot (words of the text form)."""
    program = parse(f"difffuzz program v1\nconfig {config}\nslot {slot}\n")
    side = open_side("tdp").start(program.config)
    assert isinstance(side, ModelSide)
    return side


def page(level: int, ad_disabled: bool = False, guest_mode: bool = False) -> KvmMmuPage:
    """A shadow page of that level and kind, in no table."""
    sp = KvmMmuPage()
    sp.role.level = level
    sp.role.access = 7
    sp.role.ad_disabled = ad_disabled
    sp.role.guest_mode = guest_mode
    return sp
