# SPDX-License-Identifier: GPL-2.0-only
"""Syntax files for editors: what the language has is coloured, all else is shown as wrong."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from difffuzz.manual import editors, lexicon, mistakes, textmate
from difffuzz.manual.examples import AREAS, CONFIG, LINES, NESTED, OPERATIONS
from difffuzz.program.ops import BY_NAME
from difffuzz.program.text_render import HEADER
from tests.native.needs import missing, needs

CORPUS = sorted((Path(__file__).resolve().parents[2] / "corpus").rglob("*.difffuzz"))
TEXTS = [one.text for table in (OPERATIONS, NESTED, CONFIG, AREAS, LINES) for one in table.values()]
"""Programs that use every word of the language."""
WRONG = {
    "bogus": ["bogus"],
    "host0: read gfn=0x3": ["host0:", "read", "gfn=0x3"],
    "vcpu0: read gfn=banana # x": ["gfn=banana"],
    "vcpu0: read gfn=0x3 page=0x0": ["page=0x0"],
    "config nx=maybe nx=on": ["nx=maybe"],
    "area 1 floppy": ["floppy"],
    "slot 0 gfn=0x0 flags=dirty,bogus": ["flags=dirty,bogus"],
    "vcpu0: smm onoff": ["onoff"],
    "vcpu0: pte G.9 to=none": ["G.9"],
    "schedule 5:cpu 6:vmm": ["5:cpu"],
}
"""Lines with a mistake that a word shows; and which words are shown as wrong."""

Token = tuple[str, str]
"""A word and the name that the grammar gives to it."""


# TextMate, by an evaluator of the part of it that the grammar uses.


def tokens(line: str) -> Iterator[Token]:
    """The words of a line as an editor names them."""
    made = textmate.grammar()
    rules: list[dict[str, Any]] = made["patterns"]
    at = 0
    while at < len(line):
        best = first(rules, made["repository"], line, at)
        if best is None:
            return
        found, rule = best
        captures = rule.get("captures") or rule.get("beginCaptures")
        if captures is None:
            yield found[0], rule["name"]
        else:
            for number, capture in captures.items():
                if found[int(number)]:
                    yield found[int(number)], capture["name"]
        if "begin" in rule:
            rules = rule["patterns"]
        at = max(found.end(), at + 1)


def first(
    rules: list[dict[str, Any]], named: dict[str, dict[str, Any]], line: str, at: int
) -> tuple[re.Match[str], dict[str, Any]] | None:
    """The rule that matches first, of these the one that stands first."""
    best: tuple[re.Match[str], dict[str, Any]] | None = None
    for rule in rules:
        rule = named[rule["include"][1:]] if "include" in rule else rule
        found = re.compile(rule.get("match") or rule["begin"]).search(line, at)
        if found and (best is None or found.start() < best[0].start()):
            best = found, rule
    return best


def named_words(text: str) -> Iterator[Token]:
    for line in text.splitlines():
        yield from tokens(line)


def test_textmate_colours_every_word() -> None:
    for text in (*TEXTS, *(path.read_text() for path in CORPUS[::8])):
        named = list(named_words(text))
        assert [word for word, name in named if name.startswith("invalid")] == []
        shown = "".join(word for word, _ in named if not word.startswith("#"))
        code = "".join(line.partition("#")[0] for line in text.splitlines())
        assert re.sub(r"\s", "", shown) == re.sub(r"\s", "", code)


@pytest.mark.parametrize("line", WRONG)
def test_textmate_shows_what_is_wrong(line: str) -> None:
    assert [word for word, name in tokens(line) if name.startswith("invalid")] == WRONG[line]


def test_textmate_knows_every_operation() -> None:
    found = {
        word
        for text in TEXTS
        for word, name in named_words(text)
        if name.startswith("support.function")
    }
    assert found == set(BY_NAME)


# Vim.

DUMP = """\
let out = [&filetype]
for l in range(1, line('$'))
  for c in range(1, strlen(getline(l)))
    let name = synIDattr(synIDtrans(synID(l, c, 1)), 'name')
    call add(out, l . ' ' . c . ' ' . name)
  endfor
endfor
call writefile(out, '{out}')
qall!
"""
needs_vim = needs("vim")


def coloured(text: str, folder: Path, name: str) -> tuple[str, dict[tuple[int, int], str]]:
    """The type that Vim takes the file for, and the group of each character, by line and column."""
    editors.write(folder)
    (folder / name).write_text(text)
    out = folder / "dump.txt"
    (folder / "dump.vim").write_text(DUMP.replace("{out}", str(out)))
    words = ["vim", "-u", "NONE", "-es", "-N", "--cmd", f"set rtp^={folder}/vim"]
    words += ["-c", "filetype on", "-c", "syntax on", "-c", f"edit {folder / name}"]
    done = subprocess.run(
        [*words, "-c", f"source {folder}/dump.vim"], capture_output=True, timeout=60, check=False
    )
    if not out.is_file() or b"E319" in done.stdout + done.stderr:
        missing("a vim with syntax highlighting (vim-nox)")
    kind, *rows = out.read_text().splitlines()
    groups = {}
    for row in rows:
        line, column, group = row.split(" ")
        groups[int(line), int(column)] = group
    return kind, groups


@needs_vim
def test_vim_colours_every_word(tmp_path: Path) -> None:
    text = "\n".join(TEXTS)
    kind, groups = coloured(text, tmp_path, "all.difffuzz")
    assert kind == "difffuzz"
    lines = text.splitlines()
    for (line, column), group in groups.items():
        if not lines[line - 1][column - 1].isspace():
            assert group not in ("", "Error"), (lines[line - 1], column)
    assert len(set(groups.values())) >= 5


@needs_vim
def test_vim_shows_what_is_wrong(tmp_path: Path) -> None:
    lines = [HEADER, *WRONG, *(text.splitlines()[-1] for text in mistakes.MISTAKES[:2])]
    kind, groups = coloured("\n".join(lines), tmp_path, "without-a-suffix")
    assert kind == "difffuzz"
    for number, line in enumerate(WRONG, start=2):
        shown = "".join(
            char if groups[number, column] == "Error" else " "
            for column, char in enumerate(line, start=1)
        )
        assert shown.split() == WRONG[line]


# The files.


def test_files_are_written_where_the_command_says(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "difffuzz.manual.editors", str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert {Path(line) for line in done.stdout.splitlines()} == {
        tmp_path / name for name, _ in editors.files()
    }
    package = json.loads((tmp_path / "vscode/package.json").read_text())
    (said,) = package["contributes"]["grammars"]
    grammar = json.loads((tmp_path / "vscode" / said["path"]).read_text())
    assert grammar["scopeName"] == said["scopeName"]
    (language,) = package["contributes"]["languages"]
    assert re.match(language["firstLine"], HEADER)
    assert (tmp_path / "vscode" / language["configuration"]).is_file()


def test_every_kind_of_line_has_a_name_of_its_own() -> None:
    names = [line.name for line in lexicon.line_kinds()]
    assert len(set(names)) == len(names) == len(BY_NAME) + 4
    assert all(re.fullmatch("[a-z0-9_]+", name) for name in names)
