# SPDX-License-Identifier: GPL-2.0-only
"""The methods by which a bug is hunted, a file each, and which one a row asks for.

A method's module has hunt(bug, row): it looks for the bug of the catalogue until it is found or the
row's budget is spent, and fills in the outcome.  A module is loaded when it is asked for: what one
method needs is no cost to the others.
"""

from __future__ import annotations

from typing import Final

from ...script import need
from ...variants.catalogue import Bug
from ..row import Row

METHODS: Final = (
    "difffuzz",
    "raw-bytes",
    "no-states",
    "random",
    "uniform",
    "hypothesis",
    "native",
)
"""difffuzz; without all that knows programs (mutator, generator); without state coverage; the
generator alone; every choice of a program drawn evenly; a Hypothesis state machine; difffuzz on the
kernel's own code with the bug put back."""
PACKAGES: Final = {"hypothesis": "hypothesis"}
"""What a method needs beside the project's own requirements."""


def check(method: str) -> None:
    """MissingTool if what the method needs is not installed."""
    if method in PACKAGES:
        need(PACKAGES[method])


def hunt(bug: Bug, row: Row) -> None:
    """Hunts by the method of the row."""
    check(row.method)
    if row.method == "random":
        from . import generated

        generated.hunt(bug, row)
    elif row.method == "uniform":
        from . import uniform

        uniform.hunt(bug, row)
    elif row.method == "hypothesis":
        from . import state_machine

        state_machine.hunt(bug, row)
    elif row.method == "native":
        from . import native

        native.hunt(bug, row)
    else:
        from . import fuzzer

        fuzzer.hunt(bug, row)
