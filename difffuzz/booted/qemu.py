# SPDX-License-Identifier: GPL-2.0-only
"""QEMU: which, how old, and the command line of a machine for a kernel."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

from difffuzz.errors import MissingTool, UsageError
from difffuzz.native.cache import Cache
from difffuzz.native.run import Failed, find, install_command, run

PROGRAM = "qemu-system-x86_64"
PACKAGE = "qemu-system-x86"
SOUND = (8, 1)
"""From here on threaded TCG runs code that patches itself as newer kernels do."""
PATCHES_MORE = (6, 12)
"""Kernels from here on met that."""
MEGABYTES = 1024
APPEND = (
    "console=ttyS0 panic=-1 oops=panic quiet mitigations=off nokaslr "
    # Grace periods are what memslots wait for: only their length changes.
    "rcupdate.rcu_expedited=1 srcutree.exp_holdoff=0"
)
ACCELERATORS = ("tcg", "kvm")


class Qemu(NamedTuple):
    """An installed QEMU."""

    path: str
    version: tuple[int, int, int]

    @property
    def text(self) -> str:
        """7.2.22."""
        return ".".join(map(str, self.version))


def cached_qemu(cache: Cache) -> Path | None:
    """The one that `kernel fetch qemu` made."""
    program = cache.qemu / PROGRAM
    return program if program.is_file() else None


def find_qemu(named: Path | None = None, cache: Cache | None = None) -> Qemu:
    """The named one, else that of the cache, else that of PATH.  MissingTool, UsageError."""
    if named is None and cache is not None:
        named = cached_qemu(cache)
    path = str(named) if named is not None else find(PROGRAM)
    if path is None:
        raise MissingTool(f"{PROGRAM} is not installed", install_command(PACKAGE))
    if named is not None and not os.access(named, os.X_OK):
        raise UsageError(f"{named}: not a program")
    try:
        said = run([path, "--version"])
    except (Failed, OSError) as error:
        raise UsageError(f"{path}: {error}") from None
    found = re.search(r"version (\d+)\.(\d+)\.(\d+)", said)
    if not found:
        raise UsageError(f"{path}: it does not say which version of QEMU it is")
    return Qemu(path, (int(found[1]), int(found[2]), int(found[3])))


def lacks_nesting(dev: Path = Path("/dev/kvm"), modules: Path = Path("/sys/module")) -> str:
    """Why this machine's KVM cannot run a guest with a KVM of its own; empty: it can."""
    if not os.access(dev, os.R_OK | os.W_OK):
        return f"{dev} is not there, or not for this user"
    for module in ("kvm_amd", "kvm_intel"):
        try:
            nested = (modules / module / "parameters" / "nested").read_text().strip()
        except OSError:
            continue
        return "" if nested in ("1", "Y") else f"{module} does not nest (nested={nested})"
    return "neither kvm_amd nor kvm_intel is loaded"


def threads(qemu: Qemu, kernel: tuple[int, int]) -> str:
    """How TCG runs the processors of that kernel: multi, or single where multi breaks it."""
    return "multi" if qemu.version[:2] >= SOUND or kernel < PATCHES_MORE else "single"


def command(
    qemu: Qemu,
    accelerator: str,
    kernel: tuple[int, int],
    image: Path,
    initrd: Path,
    port: Path,
    megabytes: int = MEGABYTES,
) -> list[str]:
    """A machine of two processors and two nodes of memory, its console on stdout."""
    half = megabytes // 2
    if accelerator == "kvm":
        machine = ["-accel", "kvm", "-cpu", "host"]
    else:
        how = threads(qemu, kernel)
        # Four levels: la57 would make the tables of the guest's KVM five deep.
        machine = ["-accel", f"tcg,thread={how}", "-cpu", "max,+svm,+npt,-la57"]
    return [
        qemu.path, *machine, "-m", f"{2 * half}", "-smp", "2",
        "-object", f"memory-backend-ram,id=m0,size={half}M",
        "-object", f"memory-backend-ram,id=m1,size={half}M",
        "-numa", "node,memdev=m0,cpus=0", "-numa", "node,memdev=m1,cpus=1",
        "-kernel", str(image), "-initrd", str(initrd),
        "-append", APPEND,
        "-nographic", "-no-reboot", "-nic", "none", "-nodefaults", "-serial", "stdio",
        "-device", "virtio-serial-pci", "-chardev", f"socket,id=agent,path={port}",
        "-device", "virtserialport,chardev=agent,name=difffuzz",
    ]  # fmt: skip
