# SPDX-License-Identifier: GPL-2.0-only
"""The documents at the checkout's top as pages of the site: the same text, other links."""

from __future__ import annotations

import re
from functools import partial

from ..shipped import checkout

DOCUMENTS = {
    "architecture": "ARCHITECTURE.md",
    "changelog": "CHANGELOG.md",
    "contributing": "CONTRIBUTING.md",
    "security": "SECURITY.md",
    "targets": "harness/README.md",
}
"""By the page's name."""
FOLDER = "reference/generated"
"""Of all generated pages, below docs/."""
_LINK = re.compile(r"\[([^\]]+)\]\((?!https?:|#)([^)#\s]+)(#[^)\s]*)?\)")


def page(name: str) -> str:
    """A document of the project."""
    path = DOCUMENTS[name]
    text = (checkout("the manual") / path).read_text()
    return _LINK.sub(partial(_relinked, up="../../"), text)


def on_the_site(text: str) -> str:
    """A page of docs/ with links to what is outside of docs/ as the site has them."""
    return _LINK.sub(partial(_relinked, up=""), text)


def _relinked(match: re.Match[str], up: str) -> str:
    """The link from a page that is `up` below docs/.  What is no page of the site is text only."""
    said, target, anchor = match[1], match[2], match[3] or ""
    names = {path: name for name, path in DOCUMENTS.items()}
    target = target.removeprefix("../")
    if target in names:
        return f"[{said}]({up}{FOLDER}/{names[target]}.md{anchor})"
    if up and target.startswith("docs/"):
        return f"[{said}]({up}{target.removeprefix('docs/')}{anchor})"
    if up or match[2].startswith("../"):
        return said
    return match[0]
