# SPDX-License-Identifier: GPL-2.0-only
"""`difffuzz kernel fuzz`: programs without end on a booted kernel."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Annotated

import typer

from ..booted.doable import Adapted, adapted
from ..booted.session import BOTH, Died, Session
from ..engine.kernel_features import Feature, Pool, features
from ..engine.kernel_judge import Runs, Wrong, judge, run_and_judge, run_batch
from ..errors import UsageError
from ..files.program_file import read_program
from ..native.cache import default_cache
from ..program import Program, render
from ..shipped import CORPUS
from ..sides import KvmFactory
from .kernel_options import (
    DEFAULT,
    Accel,
    Image,
    Modules,
    QemuPath,
    Which,
    models_of,
    wish_of,
)
from .limit import Limit
from .output import Json, emit, prepare_directory, write_text
from .progress import Progress, note

BATCH = 40
"""Programs under one load of KVM, where a load has one MMU."""


def fuzz(
    series: Which = DEFAULT,
    image: Image = None,
    modules: Modules = None,
    qemu: QemuPath = None,
    accel: Accel = "tcg",
    model: Annotated[
        str | None, typer.Option(help="Variant of the model; else that of the kernel's version.")
    ] = None,
    against_model: Annotated[
        bool,
        typer.Option(
            "--against-model/--no-model", help="What the model does not say is a finding."
        ),
    ] = True,
    seconds: Annotated[float, typer.Option("--time", min=0.0, help="Seconds to spend.")] = 60.0,
    runs: Annotated[int, typer.Option(min=0, help="Programs at most; 0: no limit.")] = 0,
    seed: Annotated[int, typer.Option(min=0, help="Of what is drawn.")] = 1,
    stop_on_finding: Annotated[
        bool, typer.Option("--stop-on-finding", help="End with the first.")
    ] = False,
    out: Annotated[Path, typer.Option(help="Where findings go.")] = Path("out/kernel-fuzz"),
    json: Json = False,
) -> None:
    """Run the corpus, then programs made of what was new, on a booted kernel; status 1: findings.

    A program that shows what none before it showed (an answer, an SPTE, a statistic) is changed
    further.  Something is a finding when it has come twice.
    """
    wish = wish_of(series, image, modules, qemu, accel)
    models = models_of(wish.kernel, model) if against_model else None
    prepare_directory(out / "findings")
    done = operations = once = 0
    findings: dict[str, dict[str, object]] = {}
    rng = Random(seed)
    pool = Pool(rng)
    with (
        Session(wish, default_cache(), note) as session,
        Limit(seconds) as limit,
        Progress() as progress,
    ):
        session.boot()
        size = 1 if wish.kernel.both_at_once else BATCH
        for batch in _batches(wish.kernel.number, pool, rng, size):
            if runs:
                del batch[runs - done :]
            programs = [one for _, one in batch]
            for (name, one), shown in zip(batch, run_batch(session, programs, BOTH), strict=True):
                found = judge(one, shown, models)
                pool.tell(one.program, _features(one.program, shown))
                done += 1
                operations += 2 * len(one.program.ops)
                if found and found[0].signature not in findings:
                    if _again(session, one, found[0], models):
                        findings[found[0].signature] = _kept(out, name, one, found[0])
                        note(f"{found[0].signature}: {found[0].detail}"[:200])
                    else:
                        once += 1
            progress.show(
                f"{limit.clock}: {done} programs, {pool.kept} kept, {len(findings)} findings"
            )
            if limit.over() or done == runs or (findings and stop_on_finding):
                break
        document = {
            "kernel": session.release,
            "programs": done,
            "operations": operations,
            "seconds": round(limit.spent, 1),
            "features": pool.seen,
            "kept": pool.kept,
            "findings": list(findings.values()),
            "once": once,
            "boots": session.boots,
            "failures": session.failures,
        }
    lines = [
        f"Linux {document['kernel']}: {done} programs on both MMUs in {document['seconds']} s, "
        f"{len(findings)} findings; {once} showed something that did not come again"
    ]
    lines += [f"  {one['program']}: {one['signature']}" for one in findings.values()]
    emit(document, "\n".join(lines), json)
    raise typer.Exit(1 if findings else 0)


def _features(program: Program, shown: Runs) -> set[Feature]:
    found: set[Feature] = set()
    for lane, run in shown.items():
        if not isinstance(run, Died):
            found |= features(program, run, lane.mmu)
    return found


def _batches(
    kernel: tuple[int, int], pool: Pool, rng: Random, size: int
) -> Iterator[list[tuple[str, Adapted]]]:
    """Programs that the kernel can run, so many at a time; what they showed is known by then."""
    batch: list[tuple[str, Adapted]] = []
    for name, program in _programs(pool, rng):
        try:
            batch.append((name, adapted(program, kernel)))
        except UsageError:
            continue
        if len(batch) == size:
            yield batch
            batch = []


def _programs(pool: Pool, rng: Random) -> Iterator[tuple[str, Program]]:
    """The corpus in an order of its own, then what the pool makes of it, without end."""
    paths = sorted(CORPUS.rglob("*.difffuzz"))
    rng.shuffle(paths)
    for path in paths:
        yield path.stem, read_program(path)
    number = 0
    while True:
        yield f"generated-{number}", pool.next()
        number += 1


def _again(
    session: Session, one: Adapted, wrong: Wrong, models: dict[str, KvmFactory] | None
) -> bool:
    """Does it come a second time?  A crash has: the session asked a fresh boot."""
    if wrong.oracle == "crash":
        return True
    if wrong.oracle == "warn":
        session.drop()  # many warnings come once in a boot
    found = run_and_judge(session, one, BOTH, models)
    return bool(found) and found[0].signature == wrong.signature


def _kept(out: Path, name: str, one: Adapted, wrong: Wrong) -> dict[str, object]:
    """The finding on disk, up to the operation that shows it; what the JSON says of it."""
    path = out / "findings" / f"{name}-{wrong.signature.replace(':', '-')}.difffuzz"
    text = render(one.program._replace(ops=one.program.ops[: wrong.at + 1]))
    head, _, rest = text.partition("\n")
    notes = f"# signature: {wrong.signature}\n# detail: {wrong.detail}\n"
    write_text(path, f"{head}\n{notes}{rest}")
    return {
        "signature": wrong.signature,
        "oracle": wrong.oracle,
        "program": str(path),
        "known": False,
        "mmu": wrong.mmu,
        "detail": wrong.detail,
    }
