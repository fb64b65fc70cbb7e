# SPDX-License-Identifier: GPL-2.0-only
"""Boots that fail, by a QEMU that is none: one line each, and nothing is left behind."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from difffuzz.booted.boot import Boot, Wish
from difffuzz.booted.kernel import own
from difffuzz.booted.qemu import Qemu
from difffuzz.booted.session import BOTH, MOST_BOOTS_FAILED, Session
from difffuzz.booted.wire import Broken
from difffuzz.errors import UsageError
from difffuzz.native.cache import Cache, default_cache

from ..native.needs import needs
from .test_parts import bzimage

pytestmark = needs("gcc")

CONNECT = """
import socket, sys
words = [word for word in sys.argv if word.startswith("socket,")]
guest = socket.socket(socket.AF_UNIX)
guest.connect(words[0].partition("path=")[2])
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def wish(folder: Path, script: str) -> Wish:
    image = folder / "vmlinuz"
    image.write_bytes(bzimage("6.1.0"))
    program = folder / "qemu"
    program.write_text(f"#!/usr/bin/env python3\n{script}")
    program.chmod(0o755)
    return Wish(own(image, None), Qemu(str(program), (10, 0, 0)))


@pytest.mark.parametrize(
    ("script", "line"),
    [
        ("print('qemu: no such option'); raise SystemExit(1)", "status 1: qemu: no such option"),
        ("import os; os.kill(os.getpid(), 9)", "killed by signal 9"),
        (f"{CONNECT}print('Kernel panic - not syncing: x')", "stopped: Kernel panic - not"),
        (f"{CONNECT}guest.sendall(b'x' * 64); guest.recv(1)", "does not speak the agent's"),
    ],
)
def test_a_boot_that_fails_is_one_line(folder: Path, script: str, line: str) -> None:
    with pytest.raises(Broken, match=line):
        Boot(wish(folder, script), default_cache())
    assert sorted(path.name for path in folder.iterdir()) == ["qemu", "vmlinuz"]


def test_a_machine_that_never_boots_is_told_once(folder: Path) -> None:
    told: list[str] = []
    session = Session(wish(folder, "raise SystemExit(1)"), default_cache(), told.append)
    with pytest.raises(UsageError, match="does not boot: QEMU ended with status 1"):
        session.load(BOTH[0])
    assert len(session.failures) == len(told) == MOST_BOOTS_FAILED


def test_a_cache_that_cannot_be_written(folder: Path) -> None:
    blocked = folder / "file"
    blocked.write_text("")
    with pytest.raises(UsageError, match="Not a directory"):
        Boot(wish(folder, ""), Cache(blocked / "cache"))


def test_qemu_ends_with_its_parent(folder: Path) -> None:
    """Also when that is killed: a guest that hangs would go on for ever."""
    pid = folder / "pid"
    one = wish(folder, f"import os, time\nopen({str(pid)!r}, 'w').write(str(os.getpid()))\n"
               "time.sleep(60)\n")  # fmt: skip
    code = (
        "import sys; from pathlib import Path; from difffuzz.booted.boot import Boot, Wish\n"
        "from difffuzz.booted.kernel import own; from difffuzz.booted.qemu import Qemu\n"
        "from difffuzz.native.cache import default_cache\n"
        f"Boot(Wish(own(Path({str(one.kernel.image)!r}), None),"
        f" Qemu({one.qemu.path!r}, (10, 0, 0))), default_cache())\n"
    )
    with subprocess.Popen([sys.executable, "-c", code]) as parent:
        while not pid.is_file() or not pid.read_text():
            assert parent.poll() is None
            time.sleep(0.05)
        parent.kill()
    status = Path(f"/proc/{pid.read_text()}/stat")
    for _ in range(100):
        if not status.exists() or ") Z " in status.read_text():
            return
        time.sleep(0.05)
    raise AssertionError("QEMU is still there")
