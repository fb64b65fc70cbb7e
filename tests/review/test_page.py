# SPDX-License-Identifier: GPL-2.0-only
"""The page of a review: what it says is text, whatever it is, and comes from nowhere else."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

from difffuzz.review.page import page
from difffuzz.review.review import Difference, Review

EVIL = "</pre><script>alert(1)</script><img src=x onerror=alert(1)>\"'&"


def review(*differences: Difference) -> Review:
    return Review(
        title=EVIL,
        tree="linux",
        version="6.1.192",
        before="0123456789ab",
        after="ba9876543210",
        programs=7,
        changed_lines=4,
        reached_lines=3,
        not_reached=["arch/x86/kvm/mmu/mmu.c:17"],
        differences=list(differences),
    )


class Tags(HTMLParser):
    """The elements of a page, their attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


def test_nothing_of_a_review_is_markup() -> None:
    one = Difference("behaviour", EVIL, EVIL, EVIL, EVIL, EVIL, 3)
    found = Tags(page(review(one), "the change makes a difference", [Path(EVIL)]))
    assert not {"script", "img", "link", "iframe"} & set(found.tags)
    assert not any(name.startswith("on") or name in ("src", "href") for name, _ in found.attributes)
    assert found.text.count(EVIL) >= 7


def test_it_says_what_the_command_says() -> None:
    found = Tags(page(review(), "no functional change was found", []))
    for words in ("no functional change was found", "3 of 4 with code ran", "mmu.c:17", "6.1.192"):
        assert words in found.text
    assert "section" not in found.tags
