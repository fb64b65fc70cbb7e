# SPDX-License-Identifier: GPL-2.0-only
"""A review as one HTML page, which needs no network and runs no script."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from .review import Review


def page(review: Review, verdict: str, paths: Sequence[Path]) -> str:
    """The page; `paths` are the files of the differences.  Nothing of the review is markup."""
    environment = Environment(
        loader=PackageLoader("difffuzz.review", ""), autoescape=True, undefined=StrictUndefined
    )
    differences = list(zip(review.differences, paths, strict=True))
    template = environment.get_template("page.html.jinja")
    return template.render(review=review, verdict=verdict, differences=differences)
