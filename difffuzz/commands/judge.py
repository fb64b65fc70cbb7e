# SPDX-License-Identifier: GPL-2.0-only
"""`difffuzz judge`: what a trace of KVM alone proves wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..trace.judge import judge as judge_trace
from ..trace.slots import parse_slots
from ..trace.vmm import slots_told
from .output import Json, emit
from .trace_options import KernelOf, Slots, read_and_tell, read_document

SHOWN = 50
"""Findings that the text names."""


def judge(
    trace: Annotated[Path, typer.Argument(help="An ftrace text; - is standard input.")],
    slot: Slots = None,
    kernel: KernelOf = None,
    json: Json = False,
) -> None:
    """Look for what an ftrace text of KVM proves wrong; status 1 if it does."""
    slots = parse_slots(slot or [])
    read = read_and_tell(trace, kernel)
    judgement = judge_trace(read, slots or slots_told(read.events))
    proven = [one for one in judgement.findings if one.proven]
    document = {
        **read_document(read),
        "findings": [
            {"rule": one.rule, "proven": one.proven, "lines": list(one.lines), "detail": one.text}
            for one in judgement.findings
        ],
        "judged": judgement.judged,
        "not_judged": [{"rule": rule, "needs": needs} for rule, needs in judgement.not_judged],
    }
    doubtful = len(judgement.findings) - len(proven)
    lines = [
        f"{read.path}: {len(read.events)} events, {len(read.faults)} faults: {len(proven)} proven "
        f"wrong, {doubtful} doubtful; {len(judgement.judged)} rules judged"
    ]
    # What is proven comes first: the lines that are named are limited.
    for one in [*proven, *(other for other in judgement.findings if not other.proven)][:SHOWN]:
        where = ", ".join(map(str, one.lines))
        word = "wrong" if one.proven else "doubtful"
        lines.append(f"  {word}: {one.rule}: {one.text} (line {where})")
    if len(judgement.findings) > SHOWN:
        lines.append(f"  and {len(judgement.findings) - SHOWN} more")
    lines += [f"  not judged: {rule}: needs {needs}" for rule, needs in judgement.not_judged]
    emit(document, "\n".join(lines), json)
    raise typer.Exit(1 if proven else 0)
