# SPDX-License-Identifier: GPL-2.0-only
"""`difffuzz kernel fuzz`: programs without end on a booted kernel."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Annotated

import typer

from ..booted.doable import Adapted, adapted
from ..booted.session import BOTH, Session
from ..engine.kernel_judge import Wrong, run_and_judge
from ..errors import UsageError
from ..files.program_file import read_program
from ..native.cache import default_cache
from ..program import Program, generate, render
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
    seed: Annotated[int, typer.Option(min=0, help="Of the generated programs.")] = 1,
    stop_on_finding: Annotated[
        bool, typer.Option("--stop-on-finding", help="End with the first.")
    ] = False,
    out: Annotated[Path, typer.Option(help="Where findings go.")] = Path("out/kernel-fuzz"),
    json: Json = False,
) -> None:
    """Run the corpus, then generated programs, on a booted kernel; status 1: findings.

    Something is a finding when it has come twice.
    """
    wish = wish_of(series, image, modules, qemu, accel)
    models = models_of(wish.kernel, model) if against_model else None
    prepare_directory(out / "findings")
    done = operations = once = 0
    findings: dict[str, dict[str, object]] = {}
    with (
        Session(wish, default_cache(), note) as session,
        Limit(seconds) as limit,
        Progress() as progress,
    ):
        session.boot()
        for name, one in _adapted(wish.kernel.number, seed):
            found = run_and_judge(session, one, BOTH, models)
            done += 1
            operations += 2 * len(one.program.ops)
            if found and found[0].signature not in findings:
                if _again(session, one, found[0], models):
                    findings[found[0].signature] = _kept(out, name, one, found[0])
                    note(f"{found[0].signature}: {found[0].detail}"[:200])
                else:
                    once += 1
            progress.show(f"{limit.clock}: {done} programs, {len(findings)} findings")
            if limit.over() or done == runs or (findings and stop_on_finding):
                break
        document = {
            "kernel": session.release,
            "programs": done,
            "operations": operations,
            "seconds": round(limit.spent, 1),
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


def _adapted(kernel: tuple[int, int], seed: int) -> Iterator[tuple[str, Adapted]]:
    for name, program in _programs(seed):
        try:
            yield name, adapted(program, kernel)
        except UsageError:
            continue


def _programs(seed: int) -> Iterator[tuple[str, Program]]:
    """The corpus in an order that `seed` says, then generated ones without end."""
    rng = Random(seed)
    paths = sorted(CORPUS.rglob("*.difffuzz"))
    rng.shuffle(paths)
    for path in paths:
        yield path.stem, read_program(path)
    number = 0
    while True:
        yield f"generated-{number}", generate(rng, near=True)
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
