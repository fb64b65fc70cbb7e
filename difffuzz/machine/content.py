# SPDX-License-Identifier: GPL-2.0-only
"""Pages with words: a number names all 512 of a page, so that whatever copies numbers copies pages.

A page's content is one number, as frames.py has it.  A small one is word 0, and the others are 0; a
large one is a sum over the words, so that equal pages have equal numbers, in every process, and a
page of which one word changes is named by that word alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

WORDS: Final = 1 << 62
"""Numbers from here on name more than word 0."""
_ADDRESS: Final = (1 << 64) - 1


class Contents:
    """The pages with words that were made so far, by number."""

    __slots__ = ("_words",)

    def __init__(self) -> None:
        self._words: dict[int, dict[int, int]] = {}

    def word(self, content: int, index: int) -> int:
        """A word of a page, by its place 0..511."""
        words = self._words.get(content)
        if words is not None:
            return words.get(index, 0)
        return content if index == 0 else 0

    def words(self, content: int) -> dict[int, int]:
        """Those that are not 0."""
        words = self._words.get(content)
        if words is not None:
            return dict(words)
        return {0: content} if content else {}

    def number(self, words: Mapping[int, int]) -> int:
        """The number of a page with these words."""
        kept = {index: words[index] for index in sorted(words) if words[index]}
        return self._named(kept, sum(_mix(index, word) for index, word in kept.items()))

    def _named(self, kept: dict[int, int], total: int) -> int:
        """The number of a page with these words, by ascending index; `total` is their sum."""
        if not kept:
            return 0
        if len(kept) == 1 and 0 < kept.get(0, 0) < WORDS:
            return kept[0]
        name = WORDS | total & WORDS - 1
        self._words[name] = kept
        return name

    def learn(self, number: int, words: dict[int, int]) -> None:
        """A page that another one of these has named; `words` are those that are not 0."""
        self._words[number] = words

    def with_word(self, content: int, index: int, value: int) -> int:
        """The number of the page with another word in one place."""
        if index == 0 and content not in self._words and 0 <= value < WORDS:
            return value
        words = self._words.get(content)
        if words is None:
            return self.number(self.words(content) | {index: value})
        old = words.get(index, 0)
        if value == old:
            return content
        kept = words | {index: value}
        if not old:
            kept = {place: kept[place] for place in sorted(kept)}
        elif not value:
            del kept[index]
        total = content - (_mix(index, old) if old else 0) + (_mix(index, value) if value else 0)
        return self._named(kept, total)


def _mix(index: int, word: int) -> int:
    """What a word that is not 0 adds to the sum of its page."""
    x = word + (index + 1) * 0x9E3779B97F4A7C15 & _ADDRESS
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 & _ADDRESS
    x = (x ^ x >> 27) * 0x94D049BB133111EB & _ADDRESS
    return x ^ x >> 31
