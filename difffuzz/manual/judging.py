# SPDX-License-Identifier: GPL-2.0-only
"""The page of oracles, and of the differences that each of them allows."""

from __future__ import annotations

from ..oracle import ORACLES
from ..oracle.allowed import ALLOWED
from .markdown import HEAD, code, definitions, plain

INTRO = """\
An oracle states a property. A *rule* excuses one difference that is meant, where the oracle asks
for it by name; a run counts how often (`allowed`).
[Oracles and allowed differences](../../oracles.md) says where each holds.
"""


def page() -> str:
    """All oracles, each with its rules."""
    lines = [f"{HEAD}# Oracles and rules\n", INTRO]
    for name, text in ORACLES.items():
        lines += [f"## {name}\n", f"{plain(text)}\n"]
        rules = [rule for rule in ALLOWED.values() if rule.oracle == name]
        if rules:
            lines.append(
                definitions(
                    (
                        f"{code(rule.name)} is allowed",
                        f"{plain(rule.reason)}\n\n  *Evidence:* {plain(rule.evidence)}",
                    )
                    for rule in rules
                )
            )
    return "\n".join(lines)
