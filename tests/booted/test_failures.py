# SPDX-License-Identifier: GPL-2.0-only
"""What goes wrong in the middle of a run is one clear line, and nothing is lost by it."""

from __future__ import annotations

import errno
import tempfile
from pathlib import Path

import pytest

from difffuzz.booted.boot import Boot
from difffuzz.booted.doable import adapted
from difffuzz.booted.observed import Run
from difffuzz.booted.qemu import lacks_nesting
from difffuzz.booted.session import BOTH, Died, Session
from difffuzz.cli import main
from difffuzz.errors import MissingTool, UsageError
from difffuzz.native.cache import default_cache
from difffuzz.program import parse

from ..native.needs import needs
from .guest import guest
from .test_judge import fake_qemu
from .test_parts import bzimage

pytestmark = needs("gcc")
PROGRAM = parse("difffuzz program v1\nvcpu0: read gfn=0x1\nvcpu0: write gfn=0x1\n")
ONE = adapted(PROGRAM, (6, 1))
IN_OPS = "if frame.kind == protocol.OPS_FRAME and boots <= {boots}: {what}"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def session(folder: Path, ask: str) -> tuple[Session, list[str]]:
    told: list[str] = []
    return Session(guest(folder, ask), default_cache(), told.append), told


def test_a_guest_that_is_well_runs_it(folder: Path) -> None:
    one, told = session(folder, "pass")
    with one:
        assert [seen.result for seen in one.run(ONE, BOTH[0]).seen] == ["ok", "ok"]
        assert [seen.result for seen in one.run(ONE, BOTH[1]).seen] == ["ok", "ok"]
    assert (one.boots, one.failures, told) == (1, [], [])


def test_both_mmus_together(folder: Path) -> None:
    wish = guest(folder, "pass")
    with Session(wish, default_cache(), print, together=True) as one:
        runs = one.runs(ONE, BOTH)
    assert [lane.mmu for lane in runs] == ["legacy", "tdp"]
    legacy, tdp = runs.values()
    assert isinstance(legacy, Run)
    assert isinstance(tdp, Run)
    assert len(legacy.seen) == len(tdp.seen) == 2
    assert [legacy.is_second(0), tdp.is_second(0)] == [False, True]
    assert [legacy.is_second(1), tdp.is_second(1)] == [True, False]


def test_newer_kernels_do_not_have_both_together(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = folder / "vmlinuz"
    image.write_bytes(bzimage("6.12.0"))
    argv = ["kernel", "replay", "x", "--together", "--image", str(image)]
    assert main([*argv, "--qemu", str(fake_qemu(folder))]) == 2
    assert "both MMUs together need one before 6.3" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("what", "line"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", "QEMU was killed by signal 9"),
        ("end('Oops: int3: 0000 [#1] SMP')", "Oops: int3, QEMU's fault in code that was being"),
    ],
    ids=["killed", "int3"],
)
def test_what_the_machine_fails_at_is_tried_again(folder: Path, what: str, line: str) -> None:
    one, told = session(folder, IN_OPS.format(boots=2, what=what))
    with one:
        assert len(one.run(ONE, BOTH[0]).seen) == 2
    assert one.boots == 3
    assert len(one.failures) == 2
    assert all(failure.startswith(line) for failure in one.failures)
    assert len(told) == 2


TRUNCATED = "port.sendall(packed(frame.kind, frame.sequence, ops(frame))[:40]); end('')"


@pytest.mark.parametrize(
    ("what", "line"),
    [
        ("end('Kernel panic - not syncing: x')", "the kernel stopped: Kernel panic - not"),
        ("end('BUG: kernel NULL pointer dereference')", "the kernel stopped: BUG: kernel NULL"),
        (TRUNCATED, "the kernel stopped"),
        ("port.sendall(bytes(64))", "the guest does not speak the agent's protocol"),
        ("end('out of memory', 1)", "QEMU ended with status 1: out of memory"),
    ],
    ids=["panic", "oops", "truncated", "nonsense", "status"],
)
def test_a_death_counts_when_it_has_come_twice(folder: Path, what: str, line: str) -> None:
    """Once: tried again on a boot of its own, and the program has its run."""
    once, told = session(folder, IN_OPS.format(boots=1, what=what))
    with once:
        assert len(once.run(ONE, BOTH[0]).seen) == 2
    assert (once.boots, len(told)) == (2, 1)
    assert line in told[0]
    (folder / "boots").unlink()
    always, told = session(folder, IN_OPS.format(boots=9, what=what))
    with always, pytest.raises(Died, match=line):
        always.run(ONE, BOTH[0])
    assert (always.boots, len(told)) == (2, 2)
    assert "\n" not in told[0]


def test_a_kernel_without_kvm_is_one_line(folder: Path) -> None:
    what = (
        "if frame.kind == protocol.LOAD: port.sendall(packed(protocol.ERROR, frame.sequence, "
        "b'/dev/kvm: No such file or directory')); frame = wire.receive(30)"
    )
    one, _ = session(folder, what)
    with one, pytest.raises(UsageError, match=r"kernel 6\.1\.0: /dev/kvm: No such file"):
        one.run(ONE, BOTH[0])
    assert one.failures == []


@pytest.mark.parametrize("call", ["mkdtemp", "write_bytes"])
def test_a_full_disk_is_one_line(folder: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    wish = guest(folder, "pass")
    before = sorted(folder.iterdir())

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tempfile if call == "mkdtemp" else Path, call, full)
    with pytest.raises(MissingTool, match="No space left on device"):
        Boot(wish, default_cache())
    assert sorted(folder.iterdir()) == before


def test_what_a_machine_lacks_to_nest(tmp_path: Path) -> None:
    dev, modules = tmp_path / "kvm", tmp_path / "modules"
    assert "is not there" in lacks_nesting(dev, modules)
    dev.touch()
    assert lacks_nesting(dev, modules) == "neither kvm_amd nor kvm_intel is loaded"
    nested = modules / "kvm_intel" / "parameters" / "nested"
    nested.parent.mkdir(parents=True)
    nested.write_text("N\n")
    assert lacks_nesting(dev, modules) == "kvm_intel does not nest (nested=N)"
    nested.write_text("Y\n")
    assert lacks_nesting(dev, modules) == ""


def test_kvm_where_it_cannot_be(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    image = tmp_path / "vmlinuz"
    image.write_bytes(bzimage("6.1.0"))
    monkeypatch.setattr("difffuzz.commands.kernel_options.lacks_nesting", lambda: "no /dev/kvm")
    argv = ["kernel", "replay", "x", "--image", str(image), "--accel", "kvm"]
    assert main([*argv, "--qemu", str(fake_qemu(tmp_path))]) == 3
    assert "--accel kvm: no /dev/kvm: run 'difffuzz kernel doctor'" in capsys.readouterr().err
