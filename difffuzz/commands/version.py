# SPDX-License-Identifier: GPL-2.0-only
"""Which difffuzz this is: the version, and in a checkout the commit."""

from __future__ import annotations

import subprocess

from .. import __version__
from ..shipped import CHECKOUT

DESCRIBE = ("git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*")


def version_text() -> str:
    """One line; `-dirty` behind the commit: files are not as they were committed."""
    commit = _commit()
    return f"difffuzz {__version__} ({commit})" if commit else f"difffuzz {__version__}"


def _commit() -> str:
    if CHECKOUT is None or not (CHECKOUT / ".git").exists():
        return ""
    try:
        done = subprocess.run(
            DESCRIBE, cwd=CHECKOUT, capture_output=True, text=True, check=True, timeout=10
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
