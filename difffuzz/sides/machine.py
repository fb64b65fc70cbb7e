# SPDX-License-Identifier: GPL-2.0-only
"""The machine that a side's VM runs on: host address space and memory of page tables.

Whoever wants to be told what the VM does to them hands in a machine of its own when a side is made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from difffuzz.kvm.kvm_host import KvmMmuPage
from difffuzz.machine.delayed_stores import BufferedMem
from difffuzz.machine.host import HostMM
from difffuzz.machine.spt import PhysMem
from difffuzz.sched import Scheduler

PageTableMemory = PhysMem[KvmMmuPage]


class Machine(NamedTuple):
    """How its parts are made."""

    host: Callable[[Scheduler, Sequence[str]], HostMM] = HostMM
    """From the scheduler and the kind of each area."""
    mem: Callable[[Scheduler], PageTableMemory] | None = None
    """None: KVM's page tables lie where KVM puts them."""


PLAIN = Machine()
BUFFERED = Machine(mem=BufferedMem)
"""Where stores may be delayed."""
