# SPDX-License-Identifier: GPL-2.0-only
"""Builds the manual: a site, manual pages, syntax files for editors.  A warning is an error.

scripts/docs [--out DIR]      (default: out/docs)
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from ..script import end, need, note
from ..shipped import checkout
from . import editors

BUILDERS = ("html", "man")
"""By Sphinx' name, which is that of the folder below OUT, too."""


def main() -> int:
    """Builds all, says where they are, and returns the exit status."""
    parser = argparse.ArgumentParser(prog="docs", description="Build the manual.")
    parser.add_argument("--out", type=Path, default=Path("out/docs"), help="a directory")
    out = parser.parse_args().out
    for package in ("sphinx", "myst_parser", "furo"):
        need(package)
    docs = checkout("the manual") / "docs"
    for builder in BUILDERS:
        options = ("-W", "--keep-going", "--quiet", "-b", builder, "-d", out / ".doctrees")
        words = (sys.executable, "-m", "sphinx", *options, docs, out / builder)
        if subprocess.run([str(word) for word in words]).returncode:
            note(f"docs: the {builder} could not be built")
            return 2
    editors.write(out / "editors")
    print(f"{out}/html/index.html\n{out}/man/difffuzz.1\n{out}/editors")
    return 0


if __name__ == "__main__":
    end("docs", main)
