# SPDX-License-Identifier: GPL-2.0-only
"""What a setting brings along, and which two do not go together: tried out, not written down."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import combinations

from ..program.model import CONFIG_CHOICES, Config
from ..program.normalise import normalise_config
from ..program.text_render import spell_choice

Value = int | str
MANY = 8
"""So many rows of one key may say the same."""


def _with(settings: dict[str, Value]) -> Config:
    """The configuration that the settings make of the default one."""
    values = [settings.get(key, value) for key, value in Config()._asdict().items()]
    return normalise_config(Config._make(values))


def _keeps(settings: dict[str, Value]) -> bool:
    made = _with(settings)
    return all(getattr(made, key) == value for key, value in settings.items())


def spelled(key: str, values: list[Value]) -> str:
    """A key with one value or more, as a config line has it."""
    return f"{key}={'|'.join(spell_choice(key, value) for value in values)}"


def brought() -> Iterator[tuple[str, str]]:
    """Each setting that brings others along, if nothing is said of them; and those."""
    for key, choices in CONFIG_CHOICES.items():
        for value in choices:
            made = _with({key: value})
            others = [
                spelled(name, [getattr(made, name)])
                for name in CONFIG_CHOICES
                if name != key and getattr(made, name) != getattr(Config(), name)
            ]
            if getattr(made, key) == value and others:
                yield spelled(key, [value]), " ".join(others)


def needed() -> Iterator[tuple[str, str]]:
    """Each setting that cannot stand alone, and one that it can stand with."""
    for key, choices in CONFIG_CHOICES.items():
        for value in choices:
            if not _keeps({key: value}):
                with_it = next(
                    spelled(other, [another])
                    for other, others in CONFIG_CHOICES.items()
                    for another in others
                    if other != key and _keeps({key: value, other: another})
                )
                yield spelled(key, [value]), with_it


def shorter(rows: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """The rows, of settings and what is said of them; where the same is said of all values of a
    key but its default, and they are many, in one row."""
    told = [(setting.partition("=")[0], setting, what) for setting, what in rows]
    alike = Counter((key, what) for key, _, what in told)
    for key, setting, what in told:
        choices = CONFIG_CHOICES[key]
        if not MANY < alike[key, what] == len(choices) - 1:
            yield setting, what
        elif setting == spelled(key, [choices[1]]):
            yield f"{key}, all but {spell_choice(key, choices[0])}", what


def clashes() -> Iterator[tuple[str, str]]:
    """Two settings that do not go together; those of the second key in one."""
    alone = {
        key: [value for value in choices if _keeps({key: value})]
        for key, choices in CONFIG_CHOICES.items()
    }
    for key, other in combinations(CONFIG_CHOICES, 2):
        for value in alone[key]:
            wrong = [one for one in alone[other] if not _keeps({key: value, other: one})]
            if wrong:
                yield spelled(key, [value]), spelled(other, wrong)
