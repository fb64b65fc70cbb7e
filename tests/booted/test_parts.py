# SPDX-License-Identifier: GPL-2.0-only
"""The parts of a boot, each for itself: archive, modules, image, QEMU's rule, names of packages."""

from __future__ import annotations

import lzma
import subprocess
from pathlib import Path

import pytest

from difffuzz.booted.initramfs import archive
from difffuzz.booted.kernel import own, release_of
from difffuzz.booted.modules import Closure, depends, found_below
from difffuzz.booted.packages import releases
from difffuzz.booted.qemu import Qemu, find_qemu, threads
from difffuzz.errors import MissingTool, UsageError
from tests.native.needs import needs


def module(needs: str = "") -> bytes:
    return b"\x7fELF" + b"\0license=GPL\0depends=" + needs.encode() + b"\0name=x\0"


def bzimage(release: str) -> bytes:
    head = bytearray(0x300)
    head[0x202:0x206] = b"HdrS"
    head[0x20E:0x210] = (0x90).to_bytes(2, "little")
    text = f"{release} (x@y) #1 SMP\0".encode()
    head[0x290 : 0x290 + len(text)] = text
    return bytes(head)


@needs("cpio")
def test_cpio_unpacks_the_initramfs(tmp_path: Path) -> None:
    made = archive({"init": b"program", "modules/kvm.list": b"/modules/kvm.ko\n"})
    argv = ["cpio", "-idm", "--quiet", "--no-absolute-filenames", "init", "modules/kvm.list"]
    subprocess.run(argv, input=made, cwd=tmp_path, check=True)
    assert (tmp_path / "init").read_bytes() == b"program"
    assert (tmp_path / "init").stat().st_mode & 0o111
    assert (tmp_path / "modules/kvm.list").read_text() == "/modules/kvm.ko\n"


def test_modules_come_after_those_that_they_need(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep/kvm-amd.ko.xz").write_bytes(lzma.compress(module("kvm")))
    (tmp_path / "kvm.ko").write_bytes(module("irqbypass,not-there"))
    (tmp_path / "irqbypass.ko").write_bytes(module())
    closure = Closure(found_below(tmp_path))
    assert closure.ordered(["kvm_amd", "built_in"]) == ["irqbypass.ko", "kvm.ko", "kvm-amd.ko"]
    assert closure.contents["kvm-amd.ko"].startswith(b"\x7fELF")
    assert depends(module("a-b,c")) == ["a_b", "c"]


def test_a_module_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "kvm.ko").write_bytes(b"text")
    with pytest.raises(UsageError, match="not a module"):
        Closure(found_below(tmp_path)).ordered(["kvm"])
    (tmp_path / "kvm.ko").unlink()
    (tmp_path / "kvm.ko.zst").write_bytes(b"packed")
    with pytest.raises(MissingTool, match="unzstd"):
        Closure(found_below(tmp_path)).ordered(["kvm"])


def test_the_image_says_its_release(tmp_path: Path) -> None:
    image = tmp_path / "vmlinuz"
    image.write_bytes(bzimage("6.12.107+deb13-cloud-amd64"))
    kernel = own(image, None)
    assert (kernel.number, kernel.series) == ((6, 12), "6.12")
    assert not kernel.both_at_once
    image.write_bytes(bzimage("6.1.0-57-cloud-amd64"))
    assert own(image, None).both_at_once
    image.write_bytes(b"\x7fELF")
    with pytest.raises(UsageError, match="not a kernel image"):
        release_of(image)
    with pytest.raises(UsageError, match="No such file"):
        release_of(tmp_path / "absent")


@pytest.mark.parametrize(
    ("version", "kernel", "expected"),
    [
        ((7, 2, 22), (6, 1), "multi"),
        ((7, 2, 22), (6, 12), "single"),
        ((8, 0, 5), (7, 2), "single"),
        ((8, 1, 0), (7, 2), "multi"),
        ((10, 0, 2), (6, 12), "multi"),
    ],
)
def test_old_qemu_runs_new_kernels_on_one_thread(
    version: tuple[int, int, int], kernel: tuple[int, int], expected: str
) -> None:
    assert threads(Qemu("qemu", version), kernel) == expected


def test_what_is_no_qemu(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not say which version"):
        find_qemu(Path("/bin/true"))
    with pytest.raises(UsageError, match="not a program"):
        find_qemu(tmp_path / "absent")


def test_releases_of_a_series_the_newest_first() -> None:
    packages = [
        "linux-image-6.1.0-9-cloud-amd64",
        "linux-image-6.1.0-57-cloud-amd64",
        "linux-image-6.1.0-57-cloud-amd64-unsigned",
        "linux-image-6.1.0-58-rt-amd64",
        "linux-image-6.12.117+deb12-cloud-amd64",
    ]
    newest = ["6.1.0-57-cloud-amd64", "6.1.0-9-cloud-amd64"]
    assert releases(packages, "6.1") == newest
    assert releases(packages, "6.12") == ["6.12.117+deb12-cloud-amd64"]
    assert releases(packages, "7.2") == []
