# SPDX-License-Identifier: GPL-2.0-only
"""A wheel in an environment of its own, far from the checkout, has everything.

The wheel is built from the sdist, so that both are complete.  Nothing is fetched: the environment
reads what difffuzz depends on where these tests have it.
"""

from __future__ import annotations

import filecmp
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from pathlib import Path
from urllib.request import urlopen

import pytest

ROOT = Path(__file__).resolve().parents[1]
NOT_SOURCES = shutil.ignore_patterns(".*", "*.egg-info", "__pycache__", "out", "build", "dist")
HOOK = "import sys, setuptools.build_meta as hooks; getattr(hooks, sys.argv[1])(sys.argv[2])"
SHIPPED = ("corpus", "harness/native")
SEEDS = len(list((ROOT / "corpus" / "seeds").glob("*.difffuzz")))


def call(folder: Path, *words: str | Path, **more: str) -> subprocess.CompletedProcess[str]:
    """Runs a command in a folder, as somebody who knows nothing of the checkout."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LD_LIBRARY_PATH", "TMPDIR")
            if name in os.environ}  # fmt: skip
    return subprocess.run(
        [str(word) for word in words],
        cwd=folder,
        env={**kept, **more},
        capture_output=True,
        text=True,
        timeout=110,
    )


def build(source: Path, what: str, into: Path) -> Path:
    """Makes an sdist or a wheel of a source tree, as pip would."""
    done = call(source, sys.executable, "-c", HOOK, f"build_{what}", into)
    assert done.returncode == 0, done.stderr
    return next(into.glob("*.tar.gz" if what == "sdist" else "*.whl"))


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the wheel."""
    folder = tmp_path_factory.mktemp("installed")
    shutil.copytree(ROOT, folder / "copy", ignore=NOT_SOURCES)
    with tarfile.open(build(folder / "copy", "sdist", folder)) as packed:
        packed.extractall(folder, filter="data")
    shutil.rmtree(folder / "copy")
    unpacked = next(folder.glob("difffuzz-*/"))
    wheel = build(unpacked, "wheel", folder)
    shutil.rmtree(unpacked)
    made = call(folder, sys.executable, "-m", "venv", "--without-pip", folder / "venv")
    assert made.returncode == 0, made.stderr
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--python")
    options = ("install", "--no-deps", "--no-index", "--quiet")
    done = call(folder, *pip, folder / "venv/bin/python", *options, wheel)
    assert done.returncode == 0, done.stderr
    site = next((folder / "venv").glob("lib/python*/site-packages"))
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "venv"


@pytest.fixture(scope="module")
def package(environment: Path) -> Path:
    return next(environment.glob("lib/python*/site-packages/difffuzz"))


def files(folder: Path) -> list[str]:
    """Everything in a folder that is no trace of its use."""
    return sorted(
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    )


@pytest.mark.parametrize("folder", SHIPPED)
def test_what_ships_is_what_the_checkout_has(folder: str, package: Path) -> None:
    here, there = ROOT / folder, package / "_shipped" / folder
    names = files(here)
    assert len(names) > 100
    assert files(there) == names
    same, _, _ = filecmp.cmpfiles(here, there, names, shallow=False)
    assert same == names


def test_the_code_and_its_data_are_all_there(package: Path) -> None:
    there = [name for name in files(package) if not name.startswith("_shipped/")]
    assert there == files(ROOT / "difffuzz")


@pytest.mark.parametrize(
    ("line", "status", "says"),
    [
        ("--version", (0,), "difffuzz 0.1.0\n"),
        ("doctor", (0,), f"{SEEDS} seeds, "),
        ("bugs list", (0,), "386d69f9f29b"),
        ("smoke --time 1", (0,), "replayed "),
        ("fuzz --runs 20 --seed 1", (0,), "20 executions"),
        # What is missing on this machine is MISSING; the harness is not.
        ("native doctor", (0, 3), "_shipped/harness/native\n"),
    ],
)
def test_a_command_in_an_empty_folder(
    line: str, status: tuple[int, ...], says: str, environment: Path, package: Path, tmp_path: Path
) -> None:
    before = files(package)
    empty = tmp_path / "empty"
    empty.mkdir()
    command = environment / "bin" / "difffuzz"
    done = call(empty, command, *line.split(), DIFFFUZZ_CACHE=str(tmp_path / "cache"))
    assert done.returncode in status, done.stdout + done.stderr
    assert says in done.stdout
    assert str(ROOT) not in done.stdout + done.stderr
    assert "scripts/" not in done.stdout + done.stderr
    assert files(package) == before
    assert set(os.listdir(empty)) <= {"out"}


def test_a_campaign_starts_from_what_ships(environment: Path, tmp_path: Path) -> None:
    command = environment / "bin" / "difffuzz"
    assert call(tmp_path, command, "campaign", "init", "mine").returncode == 0
    done = call(tmp_path, command, "campaign", "run", "mine", "--jobs", "1", "--time", "1")
    assert done.returncode == 0, done.stderr
    said = re.search(r"start: (\d+) programs", done.stderr)
    assert said is not None, done.stderr
    assert int(said[1]) > 200
    words = [str(command), "serve", "--port", "0", "mine"]
    with subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            address = process.stdout.readline().strip()
            for path, says in (("c/0", b"its time is over"), ("static/dygraph.js", b"Dygraph")):
                with urlopen(f"{address}{path}", timeout=60) as answer:
                    assert says in answer.read()
        finally:
            process.terminate()
    assert process.returncode == 0
    assert os.listdir(tmp_path) == ["mine"]


@pytest.mark.parametrize("hint", ["to_install", "to_add", "to_reinstall", "to_restore"])
def test_what_mends_it_needs_no_checkout(hint: str, environment: Path, tmp_path: Path) -> None:
    python = environment / "bin" / "python"
    line = f"from difffuzz import shipped; print(shipped.{hint}('structlog'))"
    done = call(tmp_path, python, "-c", line)
    assert done.stdout.startswith(f"{python} -m pip install "), done.stderr


def test_what_needs_a_checkout_says_so(environment: Path, tmp_path: Path) -> None:
    done = call(tmp_path, environment / "bin" / "python", "-m", "difffuzz.manual")
    assert done.returncode == 3
    assert done.stderr == "docs: the manual needs a checkout of difffuzz: run 'git clone'\n"
