# SPDX-License-Identifier: GPL-2.0-only
"""Pass: a plainer configuration."""

from __future__ import annotations

from ...program import Config, Program
from ..proposals import Proposals, with_config


def default_config(program: Program) -> Proposals:
    """Put a field of the configuration, or an area, at its default.

    Pays always: a field at its default is not in the text.  Costs a proposal a field and an area.
    Keeps slots and operations, but for those that the plainer machine cannot have.
    """
    default = Config()
    for name in Config._fields:
        if name != "slots":
            plainer = with_config(program, **{name: getattr(default, name)})
            if (yield plainer):
                program = plainer
    for at, usual in enumerate(default.areas):
        areas = program.config.areas
        plainer = with_config(program, areas=(*areas[:at], usual, *areas[at + 1 :]))
        if (yield plainer):
            program = plainer
