# SPDX-License-Identifier: GPL-2.0-only
"""An example of every word of the language, and what the word means in the kernel."""

from __future__ import annotations

from difffuzz.program.ops import Kind

from . import of_config, of_guests, of_host, of_vcpus, of_vmm
from .example import Example

__all__ = ["AREAS", "CONFIG", "LINES", "NESTED", "OPERATIONS", "Example"]

OPERATIONS: dict[Kind, Example] = {
    **of_vcpus.EXAMPLES,
    **of_host.EXAMPLES,
    **of_vmm.EXAMPLES,
    **of_guests.EXAMPLES,
}
"""By the operation's kind."""
NESTED = of_guests.NESTED
"""Of the operations that have another name where an L1 runs an L2."""
CONFIG = of_config.CONFIG
"""By the key of a config line."""
AREAS = of_config.AREAS
"""By the kind of an area."""
LINES = of_config.LINES
"""By the word that a line begins with."""
