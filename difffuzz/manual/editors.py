# SPDX-License-Identifier: GPL-2.0-only
"""Syntax files for editors, made from the tables of the language: Vim, and VS Code (TextMate).

python -m difffuzz.manual.editors DIR
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

from ..script import end
from . import textmate, vim

SUFFIX = ".difffuzz"
"""Of files with a program."""


def files() -> Iterator[tuple[str, str]]:
    """Each file by its path below the folder, with its text."""
    yield "vim/syntax/difffuzz.vim", vim.syntax()
    yield "vim/ftdetect/difffuzz.vim", vim.detection(SUFFIX)
    for name, document in (
        ("package.json", textmate.package(SUFFIX)),
        ("language-configuration.json", textmate.LANGUAGE),
        (textmate.GRAMMAR, textmate.grammar()),
    ):
        yield f"vscode/{name}", json.dumps(document, indent=2) + "\n"


def write(folder: Path) -> list[Path]:
    """Writes all of them below the folder; where they are."""
    written = []
    for name, text in files():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        written.append(path)
    return written


def main() -> int:
    """Writes them and says where they are."""
    parser = argparse.ArgumentParser(prog="editors", description="Write syntax files for editors.")
    parser.add_argument("dir", type=Path, help="a directory")
    print("\n".join(map(str, write(parser.parse_args().dir))))
    return 0


if __name__ == "__main__":
    end("editors", main)
