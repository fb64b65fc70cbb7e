# SPDX-License-Identifier: GPL-2.0-only
"""Replays on sides that are a booted kernel."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from ..booted.doable import Adapted, adapted
from ..booted.session import Session
from ..engine.kernel_judge import Wrong, judge, run_batch
from ..errors import UsageError
from ..native.cache import default_cache
from ..oracle.verdict import Divergence
from ..program import ProgramError
from .booted_sides import MODE, Pair, pair_of
from .kernel_options import wish_of
from .loaded import Choice, expand, load_program
from .progress import note
from .replaying import Replay


def replay_booted(paths: Iterable[Path], choice: Choice) -> Iterator[Replay]:
    """Runs each program on the sides.  UsageError, MissingTool: such sides cannot be."""
    left, right = choice.left, choice.right
    if left is None or right is None:
        raise UsageError("a booted kernel as one side: name the other with --left or --right, too")
    pair = pair_of(left, right)
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


def _replay(session: Session, pair: Pair, path: Path, choice: Choice) -> Replay:
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


def _judged(session: Session, pair: Pair, one: Adapted) -> list[Wrong]:
    [runs] = run_batch(session, [one], pair.lanes)
    return judge(one, runs, pair.models)


def _divergence(pair: Pair, wrong: Wrong) -> Divergence:
    sides = pair.names[wrong.mmu] if wrong.mmu else "/".join(pair.names.values())
    return Divergence(wrong.oracle, wrong.signature, wrong.detail, wrong.at, sides, wrong.kind)
