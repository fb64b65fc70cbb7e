# SPDX-License-Identifier: GPL-2.0-only
"""The judge of a booted kernel's runs: it fires where it must, and is quiet beside it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import pytest
from msgspec import convert

from difffuzz.booted.boot import Boot
from difffuzz.booted.doable import Adapted, adapted
from difffuzz.booted.observed import Fault, Run, Seen, Set
from difffuzz.booted.session import BOTH, Died, Lane, Session
from difffuzz.cli import main
from difffuzz.commands import kernel_hunt
from difffuzz.engine.kernel_judge import Wrong, judge, run_and_judge
from difffuzz.engine.predict import compare
from difffuzz.files.notes import notes_of
from difffuzz.files.program_file import read_program
from difffuzz.manual.documents import KernelFuzzed
from difffuzz.program import parse
from difffuzz.sides import KvmFactory, open_side

from .test_parts import bzimage

LOGGED = """difffuzz program v1
slot 0 as=0 gfn=0x0 pages=0x80 area=1 page=0x0 flags=dirty
vcpu0: write gfn=0x41
vmm: dirty_get slot=0 as=0
vcpu0: read gfn=0x41
vmm: dirty_get slot=0 as=0
"""


def seen(result: str = "done", value: int = 0, **more: object) -> Seen:
    plain = Seen(result, 0, value, 0, False, {}, "", {}, [], [], [])
    return plain._replace(**more)  # type: ignore[arg-type]


GOOD = (
    seen("ok", 2),
    seen(bitmap={1: 2}),
    seen("ok", 2),
    seen(),
)


class Canned(Session):
    """A session whose runs are there already."""

    def __init__(self, runs: dict[str, Run | Died]) -> None:
        self._runs = runs
        self.together = False

    def run(self, one: Adapted, lane: Lane) -> Run:
        found = self._runs[lane.mmu]
        if isinstance(found, Died):
            raise found
        return found


def judged(legacy: Sequence[Seen], tdp: Sequence[Seen], log: Sequence[str] = ()) -> list[Wrong]:
    runs: dict[str, Run | Died] = {
        "legacy": Run(list(legacy), [], False),
        "tdp": Run(list(tdp), list(log), False),
    }
    return run_and_judge(Canned(runs), adapted(parse(LOGGED), (6, 1)), BOTH)


def test_what_is_as_it_should_be_is_quiet() -> None:
    assert judged(GOOD, GOOD) == []
    also_read = (*GOOD[:3], seen(bitmap={1: 2}))
    assert judged(GOOD, also_read) == []


def test_a_write_that_the_log_lacks() -> None:
    [wrong] = judged(GOOD, (GOOD[0], seen(), *GOOD[2:]))
    assert (wrong.signature, wrong.at) == ("dirty-log:kernel:tdp:dirty_get", 1)


def test_a_warning_of_the_kernel() -> None:
    [wrong] = judged(GOOD, GOOD, ["kvm: SMP vm created", "WARNING: CPU: 0 PID: 1 at mmu.c:1"])
    assert wrong.signature == "warn:kernel:tdp:log"


def test_the_mmus_have_to_agree() -> None:
    [wrong] = judged(GOOD, (*GOOD[:2], seen("ok", 7), GOOD[3]))
    assert wrong.signature == "translation:kernel:both:read"
    unable = seen("ok", 7, note="a parked fault holds the page")
    assert judged(GOOD, (*GOOD[:2], unable, GOOD[3])) == []


def test_a_death_is_a_finding() -> None:
    runs: dict[str, Run | Died] = {
        "legacy": Died("the kernel stopped: BUG: x"),
        "tdp": Run(list(GOOD), [], False),
    }
    [wrong] = run_and_judge(Canned(runs), adapted(parse(LOGGED), (6, 1)), BOTH)
    assert (wrong.oracle, wrong.mmu) == ("crash", "legacy")


STATS = {"pages_4k": 2, "pages_2m": 0, "pages_1g": 0, "nx_lpage_splits": 0}
MAPPED = (
    seen("ok", 2, faults=[Fault(0x41, "FIXED")], stats=STATS),
    seen(bitmap={1: 2}, stats=STATS),
    seen("ok", 2, stats=STATS),
    seen(stats=STATS),
)


@pytest.mark.parametrize(
    ("index", "other", "what"),
    [
        (0, seen("ok", 2, faults=[Fault(0x41, "RETRY")], stats=STATS), "RET_PF"),
        (0, seen("mmio", 0, faults=[Fault(0x41, "FIXED")], stats=STATS), "result"),
        (1, seen(bitmap={1: 3}, stats=STATS), "dirty log"),
        (2, seen("ok", 9, stats=STATS), "data"),
        (3, seen(stats={**STATS, "pages_2m": 1}), "pages_2m"),
        (3, seen(stats={**STATS, "pages_4k": 9}), "pages_4k"),
    ],
)
def test_what_the_model_does_not_predict(index: int, other: Seen, what: str) -> None:
    one = adapted(parse(LOGGED), (6, 1))
    side = open_side("tdp@v6.1")
    assert isinstance(side, KvmFactory)
    assert compare(one, side, Run(list(MAPPED), [], False)).difference is None
    changed = [*MAPPED]
    changed[index] = other
    difference = compare(one, side, Run(changed, [], False)).difference
    assert difference is not None
    assert (difference.at, difference.what) == (index, what)


def test_two_vms_on_the_same_memory() -> None:
    """Both map the page that is there, the second one without an invalidation of its own."""
    one = adapted(parse(LOGGED), (6, 1))
    runs: dict[Lane, Run | Died] = {}
    for lane, pfn, second in zip(BOTH, (0x100, 0x300), (1, 0), strict=True):
        huge = Set(0, 2, pfn << 12 | 0x8F7)
        rows = [GOOD[0]._replace(sets=[huge]), *GOOD[1:]]
        runs[lane] = Run(rows, [], False, second)
    [wrong] = judge(one, runs)
    assert (wrong.oracle, wrong.mmu, wrong.at) == ("translation", "", 0)
    assert wrong.detail == "legacy maps pfn 0x141, tdp pfn 0x341"
    small = Set(0x41, 1, 0x341 << 12 | 0x877)
    first = runs[BOTH[0]]
    assert isinstance(first, Run)
    first.seen[0] = first.seen[0]._replace(sets=[small])
    assert judge(one, runs) == []


def test_the_second_one_finds_the_page_that_the_first_brought() -> None:
    text = """difffuzz program v1
slot 0 as=0 gfn=0x0 pages=0x10 area=1 page=0x0
vcpu0: read gfn=0x1
vcpu0: write gfn=0x1
"""
    stats = {**STATS, "pages_4k": 1}
    rows = [
        seen("ok", 0, faults=[Fault(1, "FIXED")], stats=stats),
        seen("ok", 3, faults=[Fault(1, "FIXED")], stats=stats),
    ]
    side = open_side("tdp@v6.1")
    assert isinstance(side, KvmFactory)
    one = adapted(parse(text), (6, 1))
    assert compare(one, side, Run(rows, [], False, 1)).rules == ("second-on-its-page",)
    for second in (0, None):
        found = compare(one, side, Run(rows, [], False, second)).difference
        assert found is not None
        assert (found.at, found.what) == (1, "RET_PF")


def test_fuzzing_needs_a_kernel_that_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DIFFFUZZ_CACHE", str(tmp_path / "cache"))
    assert main(["kernel", "fuzz", "--kernel", "6.1", "--out", str(tmp_path)]) == 2
    assert "run 'difffuzz kernel fetch 6.1'" in capsys.readouterr().err
    assert main(["kernel", "fuzz", "--modules", str(tmp_path)]) == 2
    assert "--modules belongs to --image" in capsys.readouterr().err
    assert main(["kernel", "replay", "x", "--accel", "hax"]) == 2
    assert "--accel hax: tcg or kvm" in capsys.readouterr().err


class Dying(Canned):
    """A session whose kernel dies of everything."""

    def __init__(self, *_: object, **__: object) -> None:
        super().__init__({lane.mmu: Died("the kernel stopped: BUG: x") for lane in BOTH})
        self.release, self.boots, self.failures = "6.1.0", 4, ["QEMU was killed by signal 9"]

    def boot(self) -> Boot:
        return cast(Boot, None)

    def close(self) -> None:
        pass


def test_a_finding_of_fuzzing_is_a_program_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    image = tmp_path / "vmlinuz"
    image.write_bytes(bzimage("6.1.0"))
    monkeypatch.setattr(kernel_hunt, "Session", Dying)
    argv = ["kernel", "fuzz", "--image", str(image), "--qemu", str(fake_qemu(tmp_path))]
    status = main([*argv, "--runs", "3", "--out", str(tmp_path / "out"), "--json"])
    found = convert(json.loads(capsys.readouterr().out), KernelFuzzed)
    assert (status, found.programs, found.failures) == (1, 3, ["QEMU was killed by signal 9"])
    [finding] = found.findings
    assert finding.signature == "crash:kernel:legacy:end"
    program = Path(finding.program)
    assert notes_of(program.read_text())["signature"] == finding.signature
    assert read_program(program).ops


def fake_qemu(folder: Path) -> Path:
    path = folder / "qemu"
    path.write_text("#!/bin/sh\necho QEMU emulator version 10.0.2\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(("regions", "what"), [(10, "pages_4k"), (70, "")])
def test_a_legacy_mmu_whose_pages_are_nearly_all_used(regions: int, what: str) -> None:
    """Which ones it recycles depends on the guest's own code, of which the model knows nothing."""
    head = "difffuzz program v1\nslot 0 as=0 gfn=0x0 pages=0x10 area=1 page=0x0\n"
    gfns = [0x40000 + 0x200 * n for n in range(regions)]
    reads = "".join(f"vcpu0: read gfn={gfn:#x}\n" for gfn in gfns)
    one = adapted(parse(f"{head}vcpu0: write gfn=0x1\n{reads}vmm: sync\n"), (6, 1))
    stats = {**STATS, "pages_4k": 1}
    rows = [seen("ok", 2, faults=[Fault(1, "FIXED")], stats=stats)]
    rows += [seen("mmio", faults=[Fault(gfn, "EMULATE")], stats=stats) for gfn in gfns]
    rows.append(seen(stats={**STATS, "pages_4k": 0}))
    side = open_side("legacy@v6.1")
    assert isinstance(side, KvmFactory)
    found = compare(one, side, Run(rows, [], False))
    assert (found.difference.what if found.difference else "") == what, found
    assert ("mmu-page-limit" in found.rules) == (not what)
