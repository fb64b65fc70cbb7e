# SPDX-License-Identifier: GPL-2.0-only
"""How Sphinx builds the manual; the pages below reference/generated are made from the code."""

import re
from pathlib import Path

from sphinx.application import Sphinx

from difffuzz import __version__
from difffuzz.manual.pages import write_pages
from difffuzz.manual.project import on_the_site

project = "difffuzz"
author = "the difffuzz project"
version = release = __version__
extensions = ["myst_parser"]
myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3
highlight_language = "none"
smartquotes = False
nitpicky = True
html_theme = "furo"
html_title = f"difffuzz {version}"
html_show_copyright = False
html_copy_source = False
man_pages = [
    (
        "reference/generated/commands",
        "difffuzz",
        "differential fuzzing of models of KVM's two x86 MMUs",
        [],
        1,
    ),
    ("reference/generated/language", "difffuzz-program", "the language of programs", [], 5),
    ("reference/generated/operations", "difffuzz-operations", "operations of programs", [], 5),
    (
        "reference/generated/configuration",
        "difffuzz-configuration",
        "configuration, memory and schedules of programs",
        [],
        5,
    ),
]

PLACE = re.compile(r"^([\w-]+\*)\n", re.MULTILINE)
"""In a list of pages: those whose names begin so."""


def setup(app: Sphinx) -> None:
    """Makes the pages before any is read, and mends links that leave docs/."""
    app.connect("builder-inited", lambda app: write_pages(Path(app.srcdir)))
    app.connect("source-read", mend)


def mend(app: Sphinx, name: str, source: list[str]) -> None:
    """On the site the documents at the checkout's top are pages; what is not there is left out."""
    if name == "index":
        source[0] = PLACE.sub(lambda place: place[0] if there(app, place[1]) else "", source[0])
    if not name.startswith("reference/generated/"):
        source[0] = on_the_site(source[0])


def there(app: Sphinx, pattern: str) -> bool:
    """Are there pages of that name?"""
    return any(Path(app.srcdir).glob(f"{pattern}.md"))
