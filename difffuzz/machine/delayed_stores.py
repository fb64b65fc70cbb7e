# SPDX-License-Identifier: GPL-2.0-only
"""Page tables whose plain stores (WRITE_ONCE) may wait in the store buffer of the task.

A task sees its own stores before others do.  What frees a page has no store left that waits: on
hardware those that use the page next come later in the same order.
"""

from __future__ import annotations

from functools import partial

from difffuzz.machine.spt import BIT, SP, PhysMem


class BufferedMem(PhysMem[SP]):
    """As PhysMem, where the scheduler delays stores; `PtPage` has what all see."""

    __slots__ = ()

    def load(self, ptr: int) -> int:
        """A plain load."""
        return self.sched.seen(ptr, super().load(ptr))

    def read_once(self, ptr: int) -> int:
        """READ_ONCE()."""
        return self.sched.seen(ptr, super().read_once(ptr))

    def write_once(self, ptr: int, value: int) -> None:
        """WRITE_ONCE()."""
        if self.sched.store_point(ptr):
            self.page(ptr)
            self.sched.delay(ptr, value, partial(self.store, ptr, value))
        else:
            self.store(ptr, value)

    def free(self, pa: int) -> None:
        """Frees a page."""
        buffer = self.sched.current.buffer
        if buffer is not None:
            buffer.drain()
        super().free(pa)

    def next_index(self, pa: int, index: int) -> int:
        """The first entry after `index` that is not 0 for the current task, or 512."""
        buffer = self.sched.current.buffer
        if buffer is None or not buffer.stores:
            return super().next_index(pa, index)
        bits = self.page(pa).bits
        for what, value, _ in buffer.stores:
            if isinstance(what, int) and what >> 12 == pa >> 12:
                bit = BIT[(what >> 3) & 511]
                bits = bits | bit if value else bits & ~bit
        above = bits >> (index + 1)
        return index + (above & -above).bit_length() if above else 512
