# SPDX-License-Identifier: GPL-2.0-only
"""A QEMU out of packages: which is new enough, and that it starts with its own libraries."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from difffuzz.booted import qemu_fetch
from difffuzz.booted.doctor import qemu_requirement
from difffuzz.booted.qemu import find_qemu
from difffuzz.booted.qemu_fetch import fetch_qemu, is_sound
from difffuzz.errors import UsageError
from difffuzz.native.cache import Cache
from difffuzz.native.debian import Suite
from tests.native.needs import needs

LOADER = '#!/bin/sh\n[ "$1" = --library-path ] || exit 1\nshift 2\nexec "$@"\n'
PROGRAM = '#!/bin/sh\necho "QEMU emulator version 9.1.0"\n'


class Two(Suite):
    """A suite with an old QEMU, and a new one in its backports."""

    def needed(self, package: str, target: str = "") -> dict[str, str]:
        if not target:
            return {package: "1:7.2+dfsg-7", "libc6": "2.36-9"}
        return {package: "1:9.1.0+ds-1~bpo", "libc6": "2.36-9"} if self.name == "new" else {}

    def download_all(self, packages: dict[str, str], work: Path) -> list[Path]:
        files = {
            "usr/bin/qemu-system-x86_64": PROGRAM,
            "lib/x86_64-linux-gnu/ld-linux-x86-64.so.2": LOADER,
            "lib/x86_64-linux-gnu/libc.so.6": "",
            "usr/share/doc/qemu/changelog": "not kept",
        }
        for name, text in files.items():
            path = work / "tree" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            path.chmod(0o755)
        (work / "tree/DEBIAN").mkdir()
        (work / "tree/DEBIAN/control").write_text(
            "Package: all\nVersion: 1\nArchitecture: all\nMaintainer: x\nDescription: x\n"
        )
        command = ["dpkg-deb", "--root-owner-group", "-b", str(work / "tree"), str(work)]
        subprocess.run(command, check=True, capture_output=True)
        return sorted(work.glob("*.deb"))


def some_suites(*names: str) -> object:
    def suites(work: Path, say: object) -> Iterator[Suite]:
        yield from (Two(name, ()) for name in names)

    return suites


@needs("dpkg-deb")
def test_the_first_that_is_new_enough_runs_from_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(qemu_fetch, "suites", some_suites("old", "new"))
    cache, said = Cache(tmp_path), list[str]()
    found = fetch_qemu(cache, said.append)
    assert found.version == (9, 1, 0)
    assert said == ["downloading QEMU 1:9.1.0+ds-1~bpo of new-backports: 2 packages"]
    assert find_qemu(cache=cache) == found
    assert not (cache.qemu / "usr/share/doc").exists()
    assert fetch_qemu(cache, said.append) == found
    assert len(said) == 1
    qemu = qemu_requirement(cache)
    assert (qemu.state, qemu.command) == ("ok", "")


def test_there_is_none_that_is_new_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qemu_fetch, "suites", some_suites("old"))
    monkeypatch.setattr(qemu_fetch, "looked_in", lambda: "old")
    with pytest.raises(UsageError, match=r"no QEMU 8\.1 or newer in old"):
        fetch_qemu(Cache(tmp_path), lambda _: None)


def test_doctor_names_the_command_where_it_is_old(tmp_path: Path) -> None:
    old = tmp_path / "qemu"
    old.write_text(PROGRAM.replace("9.1.0", "7.2.22"))
    old.chmod(0o755)
    qemu = qemu_requirement(Cache(tmp_path), old)
    assert (qemu.state, qemu.command) == ("ok", "difffuzz kernel fetch qemu")


@pytest.mark.parametrize(
    ("version", "sound"),
    [
        ("1:7.2+dfsg-7+deb12u18", False),
        ("1:8.0.5+ds-1", False),
        ("1:8.1.0+ds-1", True),
        ("1:10.0.2+ds-2", True),
        ("", False),
    ],
)
def test_versions(version: str, sound: bool) -> None:
    assert is_sound(version) == sound
