# SPDX-License-Identifier: GPL-2.0-only
"""Variants of a toy model: separate, cached, readable in a traceback, strict about patches."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path

import pytest

from difffuzz.variants import PatchError, load
from difffuzz.variants.engine import PREFIX, canonical_name, model_sources

SPTE = "FROZEN = 1\n\n\ndef is_frozen(spte: int) -> bool:\n    return spte == FROZEN\n"
MMU = """from . import spte


def fault(value: int) -> str:
    if spte.is_frozen(value):
        return "RETRY"
    return "FIXED"
"""
NO_CHECK = """--- a/difffuzz/kvm/mmu.py
+++ b/difffuzz/kvm/mmu.py
@@ -4,4 +4,2 @@
 def fault(value: int) -> str:
-    if spte.is_frozen(value):
-        return "RETRY"
     return "FIXED"
"""
FROZEN_IS_2 = """--- a/difffuzz/kvm/spte.py
+++ b/difffuzz/kvm/spte.py
@@ -1 +1 @@
-FROZEN = 1
+FROZEN = 2
"""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    directory = tmp_path / "kvm"
    directory.mkdir()
    (directory / "__init__.py").write_text("from . import mmu, spte\n")
    (directory / "mmu.py").write_text(MMU)
    (directory / "spte.py").write_text(SPTE)
    return directory


def write(tmp_path: Path, name: str, text: str) -> Path:
    path = tmp_path / name
    path.write_text(text)
    return path


def test_variants_live_beside_each_other(tmp_path: Path, model: Path) -> None:
    no_check = write(tmp_path, "no_check.patch", NO_CHECK)
    frozen = write(tmp_path, "frozen.patch", FROZEN_IS_2)
    plain, one, two, both = (
        load(patches, model) for patches in ([], [no_check], [frozen], [no_check, frozen])
    )
    assert [side.mmu.fault(1) for side in (plain, one, two, both)] == [
        "RETRY",
        "FIXED",
        "FIXED",
        "FIXED",
    ]
    assert (plain.spte.FROZEN, two.spte.FROZEN, both.spte.FROZEN) == (1, 2, 2)
    assert len({side.__name__ for side in (plain, one, two, both)}) == 4


def test_the_same_content_is_loaded_once(tmp_path: Path, model: Path) -> None:
    first = load([write(tmp_path, "a.patch", FROZEN_IS_2)], model)
    again = load([write(tmp_path, "b.patch", "another subject\n" + FROZEN_IS_2)], model)
    assert first is again
    assert first.__name__.startswith(PREFIX)
    assert canonical_name(first.mmu.__name__) == "difffuzz.kvm.mmu"


def test_a_traceback_shows_the_patched_lines(tmp_path: Path, model: Path) -> None:
    crash = FROZEN_IS_2.replace("+FROZEN = 2", "+FROZEN = None").replace(
        "@@ -1 +1 @@", "@@ -1,5 +1,5 @@"
    )
    crash += " \n \n def is_frozen(spte: int) -> bool:\n-    return spte == FROZEN\n"
    crash += "+    return spte < FROZEN  # patched\n"
    side = load([write(tmp_path, "crash.patch", crash)], model)
    with pytest.raises(TypeError) as caught:
        side.mmu.fault(1)
    shown = "".join(traceback.format_exception(caught.value))
    assert "kvm/spte.py" in shown
    assert "return spte < FROZEN  # patched" in shown
    assert "if spte.is_frozen(value):" in shown


@pytest.mark.parametrize(
    ("patch", "message"),
    [
        (NO_CHECK.replace("kvm/mmu.py", "machine/mmu.py"), "is not a Python file below"),
        (
            NO_CHECK.replace('return "RETRY"', 'return "AGAIN"'),
            "difffuzz/kvm/mmu.py: hunk 1: line 6",
        ),
        (FROZEN_IS_2.replace("+FROZEN = 2", "+FROZEN = = 2"), "line 1 is no longer Python"),
        (FROZEN_IS_2.replace("+FROZEN = 2", "+from difffuzz.kvm import x"), "absolutely"),
        (FROZEN_IS_2.replace("+FROZEN = 2", "+FROZEN = nosuch"), "does not import: NameError"),
    ],
)
def test_a_bad_patch_is_refused(tmp_path: Path, model: Path, patch: str, message: str) -> None:
    path = write(tmp_path, "bad.patch", patch)
    with pytest.raises(PatchError, match=message) as caught:
        load([path], model)
    assert str(caught.value).startswith(str(path))


def test_a_missing_patch_is_refused(tmp_path: Path, model: Path) -> None:
    with pytest.raises(PatchError, match=r"none\.patch: cannot be read: No such file"):
        load([tmp_path / "none.patch"], model)


def test_the_installed_model_loads_as_a_variant() -> None:
    variant = load([])
    assert len(model_sources()) == sum(
        name == variant.__name__ or name.startswith(f"{variant.__name__}.") for name in sys.modules
    )
