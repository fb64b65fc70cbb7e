# SPDX-License-Identifier: GPL-2.0-only
"""Replays on sides that are a booted kernel: `kernel:tdp`, `kernel:7.2:legacy`.

Such a side runs whole programs.  Two MMUs of one kernel are judged as `kernel replay` does; a
model, or a kernel's own code, predicts what the booted one does, as in `kernel conform`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from ..booted.doable import Adapted, adapted
from ..booted.session import BOTH, Lane, Session
from ..engine.kernel_judge import Wrong, judge, run_batch
from ..errors import UsageError
from ..native.cache import default_cache
from ..oracle.verdict import Divergence
from ..program import ProgramError
from ..sides import KvmFactory, open_side
from ..sides.names import BOOTED
from .kernel_options import DEFAULT, wish_of
from .loaded import Choice, expand, load_program
from .progress import note
from .replaying import Replay

MODE = "booted"


class _Pair(NamedTuple):
    """Which kernel, with which MMUs, and what predicts it."""

    series: str
    lanes: tuple[Lane, ...]
    model: KvmFactory | None
    names: dict[str, str]
    """Of sides, by MMU."""


def is_booted(choice: Choice) -> bool:
    """One of the sides that the user chose is a booted kernel."""
    return any(side is not None and side.startswith(BOOTED) for side in (choice.left, choice.right))


def replay_booted(paths: Iterable[Path], choice: Choice) -> Iterator[Replay]:
    """Runs each program on the sides.  UsageError, MissingTool: such sides cannot be."""
    left, right = choice.left, choice.right
    if left is None or right is None:
        raise UsageError("a booted kernel as one side: name the other with --left or --right, too")
    pair = _pair(left, right)
    wish = wish_of(pair.series, None, None, None, "tcg")
    with Session(wish, default_cache(), note) as session:
        for path in paths:
            try:
                files = list(expand([path]))
            except UsageError as error:
                yield Replay(path, left, right, MODE, error=str(error))
                continue
            for file in files:
                yield _replay(session, pair, file, choice)._replace(left=left, right=right)


def _replay(session: Session, pair: _Pair, path: Path, choice: Choice) -> Replay:
    blank = Replay(path, mode=MODE)
    try:
        program = load_program(path, choice.as_bytes).program
    except (UsageError, ProgramError) as error:
        return blank._replace(error=str(error))
    try:
        one = adapted(program, session.wish.kernel.number)
        if pair.model is not None:
            pair.model.check(one.program.config)
    except UsageError as error:
        return blank._replace(error=str(error), unfit=True)
    found = _judged(session, pair, one)
    return blank._replace(found=tuple(_divergence(pair, wrong) for wrong in found))


def _judged(session: Session, pair: _Pair, one: Adapted) -> list[Wrong]:
    [runs] = run_batch(session, [one], pair.lanes)
    models = {lane.mmu: pair.model for lane in pair.lanes if pair.model is not None}
    return judge(one, runs, models or None)


def _divergence(pair: _Pair, wrong: Wrong) -> Divergence:
    sides = pair.names[wrong.mmu] if wrong.mmu else "/".join(pair.names.values())
    return Divergence(wrong.oracle, wrong.signature, wrong.detail, wrong.at, sides, wrong.kind)


def _pair(left: str, right: str) -> _Pair:
    named = [_booted(name) for name in (left, right) if name.startswith(BOOTED)]
    if len(named) == 2:
        (series, one), (other_series, other) = named
        if series != other_series or one == other:
            raise UsageError(
                f"{left} against {right}: the two MMUs of one kernel, or one and a model or native "
                "side, can be compared"
            )
        return _Pair(series, BOTH, None, {one.mmu: left, other.mmu: right})
    [(series, lane)] = named
    model = open_side(right if left.startswith(BOOTED) else left)
    if not isinstance(model, KvmFactory) or model.tdp_mmu != lane.tdp:
        raise UsageError(f"{left} against {right}: the other side has to be of the same MMU")
    booted = left if left.startswith(BOOTED) else right
    return _Pair(series, (lane,), model, {lane.mmu: booted})


def _booted(name: str) -> tuple[str, Lane]:
    series, _, mmu = name.removeprefix(BOOTED).rpartition(":")
    for lane in BOTH:
        if lane.mmu == mmu:
            return series or DEFAULT, lane
    raise UsageError(
        f"unknown side {name!r}: kernel:legacy, kernel:tdp, kernel:7.2:legacy, kernel:7.2:tdp"
    )
