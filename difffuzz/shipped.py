# SPDX-License-Identifier: GPL-2.0-only
"""Where the files are that come with the code, in a checkout and in an installed package.

A checkout has them at its top: corpus/, harness/native.  A wheel has the same folders inside the
package (setup.py copies them there when it is built).  Whoever reads them asks here.
"""

from __future__ import annotations

import sys
from pathlib import Path

from . import __version__
from .errors import MissingTool

PACKAGE = Path(__file__).resolve().parent
"""The folder of the code itself."""
_INSIDE = PACKAGE / "_shipped"
CHECKOUT = None if _INSIDE.is_dir() else PACKAGE.parent
"""The checkout whose code this is; None: it was installed from a wheel."""
CORPUS = (CHECKOUT or _INSIDE) / "corpus"
"""Programs that fuzzing starts from; see REPLAYED for its folders."""
REPLAYED = ("seeds", "concurrent", "races", "regressions")
"""Folders of the corpus."""
HARNESS = (CHECKOUT or _INSIDE) / "harness" / "native"
"""The C beside the kernel's own code, its list of units, the patches of bugs."""
AGENT = (CHECKOUT or _INSIDE) / "harness" / "agent"
"""The C that is pid 1 of a kernel that is booted."""


def checkout(what: str) -> Path:
    """The checkout.  MissingTool: there is none, and `what` needs it."""
    if CHECKOUT is None:
        raise MissingTool(f"{what} needs a checkout of difffuzz", "git clone")
    return CHECKOUT


def to_install(package: str) -> str:
    """The command that installs a package that difffuzz needs, or one that is new enough."""
    if CHECKOUT is not None:
        return "scripts/bootstrap"
    return f"{sys.executable} -m pip install --upgrade {package}"


def to_add(package: str) -> str:
    """The command that installs a package that one script or one command needs."""
    if CHECKOUT is not None:
        return f".venv/bin/python -m pip install -c constraints.txt {package}"
    return f"{sys.executable} -m pip install {package}"


def to_reinstall(package: str) -> str:
    """The command that installs a package anew that is there and does not work."""
    if CHECKOUT is not None:
        return "rm -rf .venv && scripts/bootstrap"
    return f"{sys.executable} -m pip install --force-reinstall {package}"


def to_restore(folder: str) -> str:
    """The command that brings back files that came with difffuzz; `folder` as in a checkout."""
    if CHECKOUT is not None:
        return f"git checkout -- {folder}"
    wheel = f"difffuzz-{__version__}-py3-none-any.whl"
    return f"{sys.executable} -m pip install --force-reinstall {wheel}"
