# SPDX-License-Identifier: GPL-2.0-only
"""Puts the folders that stand beside the package into a wheel; everything else: pyproject.toml.

difffuzz/shipped.py finds them there.  An editable installation reads them where they stand.
"""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

FOLDERS = ("corpus", "harness/native", "harness/agent")
INSIDE = "difffuzz/_shipped"


class BuildWithFolders(build_py):
    """Builds the package, then copies the folders below it."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        inside = Path(self.build_lib) / INSIDE
        shutil.rmtree(inside, ignore_errors=True)  # of an earlier build: files that are gone
        ignored = shutil.ignore_patterns("__pycache__", ".*")
        for folder in FOLDERS:
            shutil.copytree(folder, inside / folder, ignore=ignored)


setup(cmdclass={"build_py": BuildWithFolders})
