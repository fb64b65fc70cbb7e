# SPDX-License-Identifier: GPL-2.0-only
"""Fetch a kernel of Debian into the cache: its image, and the modules that are needed of it."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable
from pathlib import Path

from difffuzz.errors import UsageError
from difffuzz.native.cache import Cache, locked
from difffuzz.native.debian import Suite, checked, looked_in, suites

from .kernel import IMAGE, MODULES, Kernel, fetched
from .modules import GROUPS, Closure, found_below, tell_missing

FLAVOUR = "cloud-amd64"
MOST_TRIED = 6
"""Releases of a suite: names of some that are gone are still in its lists."""


def fetch_kernel(cache: Cache, series: str, say: Callable[[str], None]) -> Kernel:
    """The kernel; does nothing if it is there.  `say` takes a line of progress.

    UsageError: no such series.  MissingTool: apt cannot be reached or asked.
    """
    if not re.fullmatch(r"\d+\.\d+", series):
        raise UsageError(f"series {series!r}: expected one as 6.1, 6.12, 7.2")
    folder = cache.kernels / series
    if not folder.is_dir():
        with (
            locked(cache.kernels),
            tempfile.TemporaryDirectory(dir=cache.kernels, prefix=".fetch-") as temporary,
        ):
            if not folder.is_dir():
                work = Path(temporary)
                _download(series, work, say)
                made = work / "made"
                _keep(work / "unpacked", made)
                os.rename(made, folder)
    return fetched(cache, series)


def _download(series: str, work: Path, say: Callable[[str], None]) -> None:
    """Unpacks the newest release of the first suite that has the series."""
    for suite in suites(work, say):
        named = releases(suite.packages(f"linux-image-{series}."), series)
        for release in named[:MOST_TRIED]:
            if _unpacked(suite, release, work, say):
                return
    raise UsageError(f"there is no kernel {series} ({FLAVOUR}) in {looked_in()}")


def releases(packages: list[str], series: str) -> list[str]:
    """The releases among names of packages, the newest first: 6.12.107+deb13-cloud-amd64."""
    pattern = re.compile(rf"linux-image-({re.escape(series)}\.\S+-{FLAVOUR})(-unsigned)?")
    found = {match[1] for name in packages if (match := pattern.fullmatch(name))}
    return sorted(found, key=lambda one: [int(n) for n in re.findall(r"\d+", one)], reverse=True)


def _unpacked(suite: Suite, release: str, work: Path, say: Callable[[str], None]) -> bool:
    """The image may be in one package with its modules, signed or not; newer ones are split."""
    choices = (
        (f"linux-binary-{release}", f"linux-modules-{release}"),
        (f"linux-image-{release}",),
        (f"linux-image-{release}-unsigned",),
    )
    for packages in choices:
        if packages[0].startswith("linux-binary") and not suite.packages(packages[0]):
            continue
        try:
            say(f"downloading {' and '.join(packages)} of {suite.name}")
            archives = [suite.download(package, work) for package in packages]
        except UsageError:
            continue
        for archive in archives:
            checked("dpkg-deb", "-x", str(archive), str(work / "unpacked"))
        return True
    return False


def _keep(unpacked: Path, made: Path) -> None:
    """Image and modules, the modules as plain files."""
    images = [*unpacked.glob("boot/vmlinuz-*"), *unpacked.rglob("modules/*/vmlinuz")]
    if not images:
        raise tell_missing("image in its package")
    closure = Closure(found_below(unpacked))
    for wanted in GROUPS.values():
        closure.ordered(wanted)
    if "kvm.ko" not in closure.contents:
        raise tell_missing("kvm module in its package")
    (made / MODULES).mkdir(parents=True)
    os.rename(images[0], made / IMAGE)
    for name, data in closure.contents.items():
        (made / MODULES / name).write_bytes(data)
