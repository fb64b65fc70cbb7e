# SPDX-License-Identifier: GPL-2.0-only
"""C that restates Python: whoever changes one of the two is told of the other."""

from __future__ import annotations

from pathlib import Path

import pytest

from difffuzz.errors import UsageError
from difffuzz.native.twins import (
    FOLDER,
    LIST,
    Twin,
    Twins,
    changed,
    main,
    python_digest,
    read_twins,
    render,
)
from difffuzz.shipped import PACKAGE

PYTHON = '"""What it is."""\n\nSIZE = 3\n\ndef twice(n):\n  """Twice."""\n  return [n, SIZE]\n'
C = '/* What it is. */\nint twice(int n)\n{\n\treturn n * 3;\t// "no string"\n}\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of C and a package beside it, `twice` in both, looked at."""
    (tmp_path / "twice.c").write_text(C)
    (tmp_path / "difffuzz" / "machine").mkdir(parents=True)
    module(tmp_path).write_text(PYTHON)
    listed = Twins([Twin("twice.c", "", {"machine/twice.py": ""})], {"arena.c": "memory"})
    (tmp_path / LIST).write_text(render(listed))
    assert run(tmp_path, "twice.c") == 0
    return tmp_path


def module(folder: Path) -> Path:
    return folder / "difffuzz" / "machine" / "twice.py"


def run(folder: Path, *names: str) -> int:
    return main(list(names), folder, folder / "difffuzz")


def test_no_twin_changed_alone() -> None:
    lines = [line for twin in read_twins(FOLDER).twin for line in changed(twin, FOLDER, PACKAGE)]
    assert not lines, "\n".join(lines)


def test_every_file_of_c_is_listed() -> None:
    listed = read_twins(FOLDER)
    names = sorted([*(twin.c for twin in listed.twin), *listed.alone])
    assert names == sorted(path.name for path in FOLDER.glob("*.c"))
    assert (FOLDER / LIST).read_text() == render(listed)


def test_a_module_that_changed_names_its_c(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    module(folder).write_text(PYTHON.replace("SIZE = 3", "SIZE = 4"))
    capsys.readouterr()
    assert run(folder) == 1
    assert capsys.readouterr().out == (
        "difffuzz/machine/twice.py has changed: look at harness/native/machine/twice.c; "
        "then: python -m difffuzz.native.twins twice.c\n"
    )
    assert run(folder, "twice.c") == 0
    assert run(folder) == 0


def test_c_that_changed_names_its_module(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "twice.c").write_text(C.replace("n * 3", "n * 4"))
    assert run(folder) == 1
    assert (
        "harness/native/machine/twice.c has changed: look at difffuzz/machine/twice.py"
        in capsys.readouterr().out
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("What it is", "What it was"),
        ("Twice", "Two times"),
        ("[n, SIZE]", "[\n        n,  # this\n        SIZE,\n    ]"),
        ("SIZE = 3", "SIZE = (3)"),
        ("SIZE = 3", "from os import path\n\nSIZE = 3"),
    ],
)
def test_words_and_layout_of_a_module_do_not_count(folder: Path, before: str, after: str) -> None:
    module(folder).write_text(PYTHON.replace(before, after))
    assert run(folder) == 0


def test_words_and_layout_of_c_do_not_count(folder: Path) -> None:
    (folder / "twice.c").write_text("int twice(int n)\n{ return n * 3; }")
    assert run(folder) == 0
    (folder / "twice.c").write_text(C.replace("twice(int", "thrice(int"))
    assert run(folder) == 1


@pytest.mark.parametrize(
    ("before", "after"),
    [("SIZE = 3", "SIZE = '3'"), ("[n, SIZE]", "[SIZE, n]"), ("(n)", "(*n)"), ("SIZE]", "-SIZE]")],
)
def test_what_a_module_does_counts(folder: Path, before: str, after: str) -> None:
    module(folder).write_text(PYTHON.replace(before, after))
    assert run(folder) == 1


def test_a_digest_is_the_same_on_every_python(tmp_path: Path) -> None:
    path = tmp_path / "one.py"
    path.write_text('class One:\n    x = f"{1!r:>{2}} {{}}"\n' + PYTHON)
    assert python_digest(path) == "7726cf97273f03c3"


def test_bad_lists(folder: Path) -> None:
    with pytest.raises(UsageError, match=r"twins\.toml: no twin 'other\.c'"):
        run(folder, "other.c")
    module(folder).unlink()
    with pytest.raises(UsageError, match=r"machine/twice\.py: No such file"):
        run(folder)
    (folder / LIST).write_text("[[twin]]\n")
    with pytest.raises(UsageError, match=r"twins\.toml: .*`c`"):
        run(folder)
    module(folder).write_text("def\n")
    with pytest.raises(UsageError, match=r"twice\.py:1: "):
        python_digest(module(folder))
