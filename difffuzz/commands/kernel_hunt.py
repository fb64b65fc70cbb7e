# SPDX-License-Identifier: GPL-2.0-only
"""Programs without end on a booted kernel: what `kernel fuzz` does, and `fuzz` on such sides."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import NamedTuple

from ..booted.boot import Wish
from ..booted.doable import Adapted, adapted
from ..booted.session import BOTH, Died, Lane, Session
from ..engine.kernel_features import Feature, Pool, features
from ..engine.kernel_judge import Runs, Wrong, judge, run_and_judge, run_batch
from ..errors import UsageError
from ..files.program_file import read_program
from ..native.cache import default_cache
from ..program import Program, render
from ..shipped import CORPUS
from ..sides import KvmFactory
from ..triage.baseline import Baseline
from .limit import Limit
from .output import prepare_directory, write_text
from .progress import Progress, note

BATCH = 40
"""Programs under one load of KVM, where a load has one MMU."""


class Hunt(NamedTuple):
    """What is fuzzed, and until when."""

    wish: Wish
    out: Path
    lanes: Sequence[Lane] = BOTH
    models: dict[str, KvmFactory] | None = None
    """What they do not say is a finding; None: they are not asked."""
    seconds: float = 0.0
    runs: int = 0
    """Programs; 0: no limit."""
    seed: int = 1
    stop_on_finding: bool = False
    corpus: Path = CORPUS
    baseline: Baseline | None = None
    """What it explains is no finding."""
    together: bool = False
    """Both MMUs at once, on the same memory."""


class _Found:
    """What has come twice, a signature once; `once`: what did not come again."""

    def __init__(self, hunt: Hunt, session: Session) -> None:
        self._hunt = hunt
        self._session = session
        self.findings: dict[str, dict[str, object]] = {}
        self.explained: set[str] = set()
        self.once = 0

    def tell(self, name: str, one: Adapted, wrong: Wrong) -> None:
        """Something that a program showed."""
        signature = wrong.signature
        if signature in self.findings or signature in self.explained:
            return
        known = self._hunt.baseline
        if known is not None and known.explains(signature, one.program):
            self.explained.add(signature)
        elif _again(self._hunt, self._session, one, wrong):
            self.findings[signature] = _kept(self._hunt.out, name, one, wrong)
            note(f"{signature}: {wrong.detail}"[:200])
        else:
            self.once += 1


def hunt(wanted: Hunt) -> dict[str, object]:
    """The document of it (manual/documents.py, KernelFuzzed)."""
    prepare_directory(wanted.out / "findings")
    done = operations = 0
    rng = Random(wanted.seed)
    pool = Pool(rng)
    kernel = wanted.wish.kernel
    with (
        Session(wanted.wish, default_cache(), note, together=wanted.together) as session,
        Limit(wanted.seconds) as limit,
        Progress() as progress,
    ):
        session.boot()
        found = _Found(wanted, session)
        size = 1 if kernel.both_at_once or len(wanted.lanes) == 1 else BATCH
        for batch in _batches(wanted, _programs(wanted.corpus, pool, rng), size):
            if wanted.runs:
                del batch[wanted.runs - done :]
            all_shown = run_batch(session, [one for _, one in batch], wanted.lanes)
            for (name, one), shown in zip(batch, all_shown, strict=True):
                wrong = judge(one, shown, wanted.models)
                pool.tell(one.program, _features(one.program, shown))
                done += 1
                operations += len(wanted.lanes) * len(one.program.ops)
                if wrong:
                    found.tell(name, one, wrong[0])
            progress.show(
                f"{limit.clock}: {done} programs, {pool.kept} kept, {len(found.findings)} findings"
            )
            if limit.over() or done == wanted.runs or (found.findings and wanted.stop_on_finding):
                break
        spent = limit.spent
        return {
            "kernel": session.release,
            "programs": done,
            "executions": done,
            "executions_per_second": round(done / spent, 2) if spent else 0.0,
            "operations": operations,
            "seconds": round(spent, 1),
            "features": pool.seen,
            "coverage": pool.seen,
            "kept": pool.kept,
            "corpus": pool.kept,
            "findings": list(found.findings.values()),
            "explained": sorted(found.explained),
            "once": found.once,
            "seed": wanted.seed,
            "boots": session.boots,
            "failures": session.failures,
            "interrupted": limit.interrupted,
        }


def hunt_text(document: dict[str, object]) -> str:
    """The same for people."""
    findings = document["findings"]
    assert isinstance(findings, list)
    lines = [
        f"Linux {document['kernel']}: {document['programs']} programs in {document['seconds']} s, "
        f"{len(findings)} findings; {document['once']} showed something that did not come again"
    ]
    lines += [f"  {one['program']}: {one['signature']}" for one in findings]
    explained = document["explained"]
    assert isinstance(explained, list)
    if explained:
        lines.append(f"  known: {len(explained)} findings that the baseline explains")
    return "\n".join(lines)


def _features(program: Program, shown: Runs) -> set[Feature]:
    found: set[Feature] = set()
    for lane, run in shown.items():
        if not isinstance(run, Died):
            found |= features(program, run, lane.mmu)
    return found


def _batches(
    wanted: Hunt, programs: Iterator[tuple[str, Program]], size: int
) -> Iterator[list[tuple[str, Adapted]]]:
    """Programs that the kernel can run, so many at a time; what they showed is known by then."""
    batch: list[tuple[str, Adapted]] = []
    for name, program in programs:
        try:
            one = adapted(program, wanted.wish.kernel.number)
            for model in (wanted.models or {}).values():
                model.check(one.program.config)
        except UsageError:
            continue
        batch.append((name, one))
        if len(batch) == size:
            yield batch
            batch = []


def _programs(corpus: Path, pool: Pool, rng: Random) -> Iterator[tuple[str, Program]]:
    """The corpus in an order of its own, then what the pool makes of it, without end."""
    paths = sorted(corpus.rglob("*.difffuzz"))
    rng.shuffle(paths)
    for path in paths:
        yield path.stem, read_program(path)
    number = 0
    while True:
        yield f"generated-{number}", pool.next()
        number += 1


def _again(wanted: Hunt, session: Session, one: Adapted, wrong: Wrong) -> bool:
    """Does it come a second time?  A crash has: the session asked a fresh boot."""
    if wrong.oracle == "crash":
        return True
    if wrong.oracle == "warn":
        session.drop()  # many warnings come once in a boot
    found = run_and_judge(session, one, wanted.lanes, wanted.models)
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
