# SPDX-License-Identifier: GPL-2.0-only
"""What a mistake in a program prints: texts that are wrong, and what the reader says to them."""

from __future__ import annotations

from ..program import ProgramError, parse
from ..program.text_render import HEADER

SLOT = "slot 0 gfn=0x0 pages=0x400 area=1\n"
MISTAKES = (
    "vcpu0: jump gfn=0x3\n",
    "host0: read gfn=0x3\n",
    "vcpu0: read\n",
    "vcpu0: read gfn=banana\n",
    "vcpu0: read gfn=0x3 page=0x0\n",
    "vcpu1: read gfn=0x3\n",
    "config colour=red\n",
    "config max_level=3M\n",
    "config layout=npt ad=off\n",
    f"{SLOT}slot 1 gfn=0x3ff pages=0x1 area=1\n",
    "host0: munmap area=0 page=0x7ffff n=0x2\n",
    "host0: dontneed area=1 page=0x3 n=0x0\n",
    "vcpu0: l2_read gpa=0.0.0.0\n",
    "schedule 5:vcpu0 5:host0\n",
)
"""Each without the first line of a program; its last line is wrong."""
NO_HEADER = "vcpu0: read gfn=0x3\n"
"""A text without the first line of a program."""
NAME = "my.difffuzz"


def message(text: str) -> str:
    """The line that a command prints for a file with this text; ValueError if it is a program."""
    try:
        parse(text, NAME)
    except ProgramError as error:
        return str(error)
    raise ValueError(f"a program: {text!r}")


def said() -> list[tuple[str, str]]:
    """Each wrong line and what is printed."""
    shown = [(text, message(f"{HEADER}\n{text}")) for text in MISTAKES]
    shown.append((NO_HEADER, message(NO_HEADER)))
    return [(text.splitlines()[-1], printed) for text, printed in shown]
