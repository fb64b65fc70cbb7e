# SPDX-License-Identifier: GPL-2.0-only
"""A fault of difffuzz itself: what happened goes into a file that can be mailed."""

from __future__ import annotations

import os
import platform
import sys
import tempfile
import traceback

from .version import version_text


def report(error: Exception) -> str:
    """Writes the file; one line that says what happened and where the file is."""
    what = traceback.format_exception_only(error)[-1].strip()
    text = "\n".join(
        [
            f"{version_text()}, Python {platform.python_version()}, {platform.platform()}",
            f"arguments: {sys.argv[1:]!r}",
            "",
            *traceback.format_exception(error),
        ]
    )
    try:
        handle, name = tempfile.mkstemp(prefix="difffuzz-fault-", suffix=".txt")
        with os.fdopen(handle, "w", errors="backslashreplace") as file:
            file.write(text)
    except OSError as failed:
        return f"a fault of difffuzz: {what} (no report could be written: {failed.strerror})"
    return f"a fault of difffuzz: {what}: please report it with {name}"
