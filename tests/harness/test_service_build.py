# SPDX-License-Identifier: GPL-2.0-only
"""The build script for fuzzing services, in the environment that their image gives.

A stand-in for the image's compile_python_fuzzer packs nothing: it takes the same arguments and
leaves the same files, the target being run from its source.
"""

from __future__ import annotations

import configparser
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

from ruamel.yaml import YAML

from difffuzz.files.collection import program_files
from difffuzz.fuzz.process import rss_limit_mb
from difffuzz.program import decode, encode, parse
from difffuzz.program.limits import MAX_BYTES
from difffuzz.shipped import CORPUS

ROOT = Path(__file__).resolve().parents[2]
SERVICE = ROOT / ".clusterfuzzlite"
COMPILE = """#!/bin/sh -eu
path=$PWD/$1
name=$(basename -s .py "$1")
shift
echo "$@" >"$OUT/$name.arguments"
printf '#!/bin/sh\\nexec %s "$@"\\n' "$path" >"$OUT/$name.pkg"
printf '#!/bin/sh\\nLD_PRELOAD=sanitizer.so $(dirname "$0")/%s.pkg $@' "$name" >"$OUT/$name"
"""


def build(folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs build.sh with folders below this one; what is in bin/ comes first on the PATH."""
    for name in ("src", "out", "work", "bin"):
        (folder / name).mkdir(exist_ok=True)
    (folder / "src/difffuzz").symlink_to(ROOT)
    compiler = folder / "bin/compile_python_fuzzer"
    compiler.write_text(COMPILE)
    compiler.chmod(0o755)
    path = f"{folder / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    folders = {name.upper(): str(folder / name) for name in ("src", "out", "work")}
    return subprocess.run(
        [SERVICE / "build.sh"],
        env={**os.environ, **folders, "PATH": path},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_each_target_has_a_wrapper_seeds_and_options(tmp_path: Path) -> None:
    done = build(tmp_path)
    assert done.returncode == 0, done.stderr
    out = tmp_path / "out"
    for target in sorted((ROOT / "harness").glob("fuzz_*.py")):
        name = target.stem
        wrapper = (out / name).read_text()
        assert "LLVMFuzzerTestOneInput" in wrapper
        assert "LD_PRELOAD" not in wrapper
        assert "--collect-all difffuzz" in (out / f"{name}.arguments").read_text()
        with zipfile.ZipFile(out / f"{name}_seed_corpus.zip") as archive:
            seeds = [archive.read(one) for one in archive.namelist()]
        shipped = [parse(path.read_text()) for path in program_files(CORPUS)]
        models = [one for one in shipped if one.config.guest == "none"]
        assert len(seeds) == len(models) > 200
        assert set(seeds) == set(map(encode, models))
        assert all(decode(seed).ops for seed in seeds)
        options = configparser.ConfigParser()
        options.read(out / f"{name}.options")
        assert dict(options["libfuzzer"]) == {"max_len": str(MAX_BYTES), "len_control": "0"}


def test_what_was_built_fuzzes_from_its_seeds(tmp_path: Path) -> None:
    assert build(tmp_path).returncode == 0
    out, corpus = tmp_path / "out", tmp_path / "corpus"
    with zipfile.ZipFile(out / "fuzz_lockstep_seed_corpus.zip") as archive:
        archive.extractall(corpus, archive.namelist()[:20])
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        [
            out / "fuzz_lockstep",
            "-runs=40",
            "-seed=1",
            f"-rss_limit_mb={rss_limit_mb(2048)}",
            corpus,
        ],
        env={**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "LLVMFuzzerCustomMutator" in done.stderr
    (covered,) = re.findall(r"DONE   cov: (\d+)", done.stderr)
    assert int(covered) > 500


def test_an_image_whose_python_is_too_old_is_told(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    python = tmp_path / "bin/python3"
    python.write_text('#!/bin/sh\n[ "$1" = -V ] && echo Python 3.8.3 || exit 1\n')
    python.chmod(0o755)
    done = build(tmp_path)
    assert done.returncode == 3
    assert done.stderr == ("difffuzz: CPython 3.11 or newer is needed, python3 is Python 3.8.3\n")


def test_the_image_installs_what_the_project_names() -> None:
    text = (SERVICE / "Dockerfile").read_text()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (extra,) = re.findall(r"'\.\[(\w+)\]'", text)
    assert any("pyinstaller" in one for one in project["optional-dependencies"][extra])
    for source in re.findall(r"^COPY (\S+)", text, re.MULTILINE):
        assert (ROOT / source).exists()
    assert YAML(typ="safe").load(SERVICE / "project.yaml") == {"language": "python"}
    assert os.access(SERVICE / "build.sh", os.X_OK)


def test_seeds_are_the_same_bytes_each_time(tmp_path: Path) -> None:
    made = []
    for number in range(2):
        files = [tmp_path / f"seeds.{number}{suffix}" for suffix in (".zip", ".options")]
        command = [sys.executable, str(ROOT / "harness/seed_corpus.py"), *map(str, files)]
        subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
        made.append(files[0].read_bytes())
    assert made[0] == made[1]
