# SPDX-License-Identifier: GPL-2.0-only
"""scripts/native-sanitize: no sanitizer objects to what the library does with the corpus."""

from __future__ import annotations

import subprocess
import sys

import pytest

from difffuzz.errors import MissingTool, UsageError
from difffuzz.hunts.native_sanitize import NAME
from difffuzz.native.build import Wish, build
from difffuzz.native.cache import default_cache

from .needs import missing

SCRIPT = [sys.executable, "-m", "difffuzz.hunts.native_sanitize"]


def test_the_corpus_and_a_few_more() -> None:
    try:
        build(Wish(sanitize=True, name=NAME), default_cache(), lambda line: None)
    except (MissingTool, UsageError) as error:
        missing(str(error))
    ran = subprocess.run([*SCRIPT, "--programs", "50"], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert "no sanitizer objects" in ran.stdout


@pytest.mark.parametrize("words", [["--programs", "x"], ["more"]])
def test_wrong_use(words: list[str]) -> None:
    ran = subprocess.run([*SCRIPT, *words], capture_output=True, text=True, check=False)
    assert ran.returncode == 2
