# SPDX-License-Identifier: GPL-2.0-only
"""What the reference says of a word of the language besides what the tables have: an example."""

from __future__ import annotations

from typing import NamedTuple

from difffuzz.program.text_render import HEADER

MODELS = ("legacy", "tdp")


class Example(NamedTuple):
    """A short program that uses a word, and what the word means in the kernel."""

    lines: str
    """The program without its first line; each line ends with a newline."""
    kernel: str = ""
    """What runs in KVM or in the host; `code` in backquotes."""
    legal: str = ""
    """When it fails or does nothing, beyond the rules that hold for all operations."""
    sides: tuple[str, ...] = MODELS
    """The two sides that the reference runs it on; none if the kernel's own code alone can."""

    @property
    def text(self) -> str:
        """The whole program."""
        return f"{HEADER}\n{self.lines}"


SMALL = "slot 0 gfn=0x0 pages=0x400 area=1\n"
"""A memslot over an area of 4K pages."""
HUGE = "slot 0 gfn=0x0 pages=0x400 area=2\n"
"""A memslot over hugetlb pages of 2M."""
THP = "slot 0 gfn=0x0 pages=0x400 area=0\n"
"""A memslot over an area that has transparent huge pages."""
LOGGED = "slot 0 gfn=0x0 pages=0x400 area=2 flags=dirty\n"
"""A memslot over hugetlb pages whose dirty pages are logged."""
