# SPDX-License-Identifier: GPL-2.0-only
"""What a test of the native side needs: a skip where it is missing, a failure where CI=true."""

from __future__ import annotations

import os
import shutil

import pytest

SETUP = "run scripts/native-setup"


def missing(what: str) -> None:
    """Ends the test: something that it needs is not there."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what}: {SETUP}")
    pytest.skip(f"{what}: {SETUP}")


def needs(*tools: str) -> pytest.MarkDecorator:
    """Marks tests that run tools."""
    absent = [tool for tool in tools if shutil.which(tool) is None]
    here = not absent or os.environ.get("CI") == "true"
    return pytest.mark.skipif(not here, reason=f"no {' '.join(absent)}: {SETUP}")
