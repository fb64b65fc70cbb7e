# SPDX-License-Identifier: GPL-2.0-only
"""`difffuzz findings confirm`: does a finding happen on a booted kernel, and how often?"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from ..booted.doable import adapted
from ..booted.session import BOTH, Session
from ..engine.kernel_judge import run_and_judge
from ..errors import UsageError
from ..native.cache import default_cache
from ..triage.record import Event, State
from ..triage.store import Store, now
from .kernel_options import DEFAULT, Accel, Image, Modules, QemuPath, Which, wish_of
from .output import Json, emit
from .progress import note


def confirm(
    finding: Annotated[str, typer.Argument(metavar="ID", help="An id, or how it begins.")],
    out: Annotated[Path, typer.Option(help="The folder of a run, which holds the store.")] = Path(
        "out"
    ),
    series: Which = DEFAULT,
    image: Image = None,
    modules: Modules = None,
    qemu: QemuPath = None,
    accel: Accel = "tcg",
    times: Annotated[int, typer.Option(min=1, max=1000, help="Runs on each MMU.")] = 5,
    json: Json = False,
) -> None:
    """Run a finding's program on a booted kernel, and keep how often it shows; status 1: it does.

    One that shows becomes `confirmed`, unless it is closed or embargoed.
    """
    if not out.is_dir():
        raise UsageError(f"{out}: no folder of a run: see --out")
    wish = wish_of(series, image, modules, qemu, accel)
    with Store(out) as store:
        store.take_over()
        record = store.get(finding)
        one = adapted(record.parsed(), wish.kernel.number)
        seen: Counter[str] = Counter()
        shown = 0
        with Session(wish, default_cache(), note) as session:
            for _ in range(times):
                found = run_and_judge(session, one, BOTH)
                shown += bool(found)
                seen.update(wrong.signature for wrong in found)
            release = session.release
        what = ", ".join(f"{name} {count}" for name, count in seen.most_common()) or "nothing"
        line = f"Linux {release}, booted: in {shown} of {times} runs: {what}"
        store.put(record, Event(now(), "shown" if shown else "gone", line))
        if shown and record.state in (State.NEW, State.KNOWN):
            event = Event(now(), "state", f"{State.CONFIRMED}: it was {record.state}")
            record.state = State.CONFIRMED
            store.put(record, event)
        state = str(record.state)
    document = {
        "id": record.id,
        "kernel": release,
        "shown": shown,
        "runs": times,
        "seen": dict(seen),
        "state": state,
        "remarks": list(one.remarks),
    }
    lines = [f"{record.id}: {line}; {state}", *(f"  {one}" for one in one.remarks)]
    emit(document, "\n".join(lines), json)
    raise typer.Exit(1 if shown else 0)
