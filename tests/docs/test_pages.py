# SPDX-License-Identifier: GPL-2.0-only
"""Pages that are made from the code have all of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from difffuzz import cli
from difffuzz.manual import (
    commands,
    configuration,
    docstrings,
    judging,
    language,
    markdown,
    metrics,
    operations,
    project,
)
from difffuzz.manual.pages import PAGES, write_pages
from difffuzz.oracle import ORACLES
from difffuzz.oracle.allowed import ALLOWED
from difffuzz.program import limits
from difffuzz.program.model import AREA_KINDS, CONFIG_CHOICES
from difffuzz.program.ops import OPS

ROOT = Path(__file__).resolve().parents[2]


def leaves(command: Any, words: tuple[str, ...] = ("difffuzz",)) -> Iterator[tuple[str, Any]]:
    """Every command that is no group, with its words."""
    below = getattr(command, "commands", {})
    if not below:
        yield " ".join(words), command
    for name, one in below.items():
        yield from leaves(one, (*words, name))


def test_every_command_has_its_options() -> None:
    text = commands.page()
    found = dict(leaves(get_command(cli.app)))
    assert len(found) > 30
    for words, command in found.items():
        assert f" {words}\n" in text
        part = re.split("^##+ ", text.split(f"# {words}\n")[1], flags=re.MULTILINE)[0]
        for option in command.params:
            names = (
                option.opts
                if option.param_type_name == "option"
                else [option.metavar or option.name]
            )
            assert all(name in part for name in names), (words, option.name)


def test_the_language_is_complete() -> None:
    text = language.page()
    explained = operations.page()
    for spec in OPS.values():
        part = explained.split(f"\n## {spec.name}\n")[1].split("\n## ")[0]
        assert all(field.bare or f"`{field.text_key}=`" in part for field in spec.fields)
        assert markdown.plain(spec.doc).lower() in part.lower()
    for word in (*CONFIG_CHOICES, *AREA_KINDS):
        assert f"`{word}`" in configuration.page()
    for word in limits.THREADS:
        assert f'"{word}"' in text
        assert f"`{word}`" in explained
    assert f"| `MAX_OPS` | {limits.MAX_OPS} |" in text
    assert language.undocumented() == []


def test_oracles_have_their_rules() -> None:
    text = judging.page()
    for name in ORACLES:
        assert f"\n## {name}\n" in text
    for rule in ALLOWED.values():
        part = text.split(f"\n## {rule.oracle}\n")[1].split("\n## ")[0]
        assert f"`{rule.name}`" in part
        assert markdown.plain(rule.reason) in part
        assert markdown.plain(rule.evidence) in part


def test_figures_say_what_they_are() -> None:
    for line in metrics.page().split("## A campaign")[0].splitlines():
        if line.startswith("| `"):
            assert line.split(" | ")[-1].strip(" |"), line


def test_markup_in_prose_is_text() -> None:
    assert markdown.plain("a*b_c <d> `e*|f` [g]") == r"a\*b\_c \<d\> `e*|f` \[g\]"
    assert markdown.table(("a",), [("`b|c`",)]).splitlines()[2] == r"| `b\|c` |"


def test_a_string_below_a_name_is_its_docstring() -> None:
    class Sample:
        """Of the class."""

        one: int = 1
        two = 2
        """Of two,
        in two lines."""
        print("between")
        """Of nothing."""

    assert docstrings.documented(Sample) == {"one": "", "two": "Of two,\nin two lines."}


@pytest.mark.parametrize(
    ("link", "on_top", "below"),
    [
        ("[a](docs/model.md#x)", "[a](../../model.md#x)", "[a](docs/model.md#x)"),
        ("[a](SECURITY.md)", "[a](../../reference/generated/security.md)", None),
        ("[a](../SECURITY.md)", None, "[a](reference/generated/security.md)"),
        ("[a](../difffuzz/cli.py)", None, "a"),
        ("[a](https://example.org/b)", "[a](https://example.org/b)", "[a](https://example.org/b)"),
        ("[a](#here)", "[a](#here)", "[a](#here)"),
    ],
)
def test_links(
    link: str,
    on_top: str | None,
    below: str | None,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    if on_top is not None:
        monkeypatch.setattr(project, "checkout", lambda what: tmp_path)
        (tmp_path / "SECURITY.md").write_text(link)
        assert project.page("security") == on_top
    if below is not None:
        assert project.on_the_site(link) == below


def test_a_page_that_is_the_same_is_left_alone(tmp_path: Path) -> None:
    write_pages(tmp_path)
    folder = tmp_path / project.FOLDER
    assert {path.stem for path in folder.iterdir()} == set(PAGES)
    (folder / "metrics.md").write_text("old")
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    write_pages(tmp_path)
    after = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert {path.stem for path in after if after[path] != before[path]} == {"metrics"}
