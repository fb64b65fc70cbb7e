#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Writes what a fuzzing service wants beside a target: seed_corpus.py CORPUS.zip TARGET.options.

The zip has the programs of corpus/ in the bytes form, the same bytes each time.
"""

from __future__ import annotations

import sys
import tempfile
import zipfile
from pathlib import Path

from difffuzz.fuzz.corpus import prepare
from difffuzz.program.limits import MAX_BYTES
from difffuzz.shipped import CORPUS

OPTIONS = f"[libfuzzer]\nmax_len = {MAX_BYTES}\nlen_control = 0\n"


def main(corpus: Path, options: Path) -> None:
    """Write both files."""
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(corpus, "w") as archive:
        prepare(CORPUS, Path(folder), seed=1, generated=0)
        for path in sorted(Path(folder).iterdir()):
            archive.writestr(zipfile.ZipInfo(path.name), path.read_bytes())
    options.write_text(OPTIONS)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
