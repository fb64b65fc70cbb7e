# SPDX-License-Identifier: GPL-2.0-only
"""Which pages of the manual are made from the code, and how they come into its folder."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from . import commands, configuration, judging, language, metrics, operations, project, schemas

PAGES: dict[str, Callable[[], str]] = {
    "commands": commands.page,
    "language": language.page,
    "operations": operations.page,
    "configuration": configuration.page,
    "oracles": judging.page,
    "metrics": metrics.page,
    "documents": schemas.page,
    **{name: partial(project.page, name) for name in project.DOCUMENTS},
}
"""By the page's name."""


def write_pages(docs: Path) -> None:
    """Writes every page below a docs folder; one that would be the same is left alone."""
    folder = docs / project.FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    for name, made in PAGES.items():
        path = folder / f"{name}.md"
        text = made()
        if not path.is_file() or path.read_text() != text:
            path.write_text(text)
