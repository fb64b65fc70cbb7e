# SPDX-License-Identifier: GPL-2.0-only
"""`difffuzz kernel`: a kernel that is booted, and programs on its KVM."""

from __future__ import annotations

import typer

from ..booted.doctor import requirements
from ..booted.packages import fetch_kernel
from ..booted.qemu_fetch import fetch_qemu
from ..native.cache import default_cache
from .kernel_conform import conform
from .kernel_fuzz import fuzz
from .kernel_options import DEFAULT, QemuPath, What
from .kernel_replay import replay
from .kernel_run import run
from .kernel_selftest import selftest
from .output import Json, emit
from .progress import note

app = typer.Typer(help="A booted kernel: fetch one, and run programs on its KVM.")
app.command()(conform)
app.command()(run)
app.command()(selftest)
app.command()(replay)
app.command()(fuzz)


@app.callback()
def kernel() -> None:
    """A booted kernel: fetch one, and run programs on its KVM."""


@app.command()
def fetch(what: What = DEFAULT) -> None:
    """Fetch Debian's kernel with its modules, or its QEMU, into the cache; print where it is."""
    if what == "qemu":
        print(fetch_qemu(default_cache(), note).path)
    else:
        print(fetch_kernel(default_cache(), what, note).image.parent)


@app.command()
def doctor(qemu: QemuPath = None, json: Json = False) -> None:
    """Say what booting a kernel needs, and the command that installs what is missing (status 3)."""
    found = requirements(default_cache(), qemu)
    width = max(len(one.name) for one in found)
    lines = [
        f"{one.state:8} {one.name:{width}}  {one.detail}"
        + (f": run '{one.command}'" if one.command else "")
        for one in found
    ]
    emit([one._asdict() for one in found], "\n".join(lines), json)
    raise typer.Exit(3 if any(one.state == "MISSING" for one in found) else 0)
