# SPDX-License-Identifier: GPL-2.0-only
"""`--memory`: may a store wait where others do not see it yet?"""

from __future__ import annotations

from typing import Annotated

import typer

from ..errors import UsageError

MEMORIES = ("sc", "tso")
Memory = Annotated[
    str,
    typer.Option(
        help="sc: all see a store at once; tso: stores may wait in a store buffer, as on x86."
    ),
]


def delays_of(memory: str) -> bool:
    """Stores may be delayed.  UsageError: no such memory."""
    if memory not in MEMORIES:
        raise UsageError(f"--memory {memory!r} is not one of {', '.join(MEMORIES)}")
    return memory == "tso"
