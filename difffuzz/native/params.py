# SPDX-License-Identifier: GPL-2.0-only
"""How a VM is set up, as the library is told: struct native_params from the model's VmParams."""

from __future__ import annotations

from operator import attrgetter
from typing import Final

from difffuzz.kvm.vm import VmParams
from difffuzz.native.abi.describe import members, place
from difffuzz.native.abi.programs import VmConfig

*NAMED, _last = (member.name for member in members(VmConfig))
"""Members that are called as VmParams calls them; behind them is before_wrap."""
assert _last == "before_wrap"
TDP_MMU: Final = place(VmConfig, "tdp_mmu")
EPT: Final = place(VmConfig, "ept")

_read = attrgetter(*NAMED)


def param_numbers(params: VmParams) -> list[int]:
    """The longs of a VmConfig.  What needs tdp is off without it."""
    numbers = [*_read(params), *params.before_wrap]
    numbers[TDP_MMU] = params.tdp and params.tdp_mmu
    numbers[EPT] = params.tdp and params.ept
    return numbers
