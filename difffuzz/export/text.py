# SPDX-License-Identifier: GPL-2.0-only
"""The text form: one spelling for each program, the notes behind its first line."""

from __future__ import annotations

from ..files.notes import digest_key, text_of
from .reproducer import Reproducer

ORDER = ("signature", "oracle", "detail", "left", "right", "mode")


def as_text(one: Reproducer) -> str:
    """The program with its notes, the known ones first.

    A digest stays only with the side of which it is.
    """
    notes = dict(one.notes)
    for which, name in (("left", one.left), ("right", one.right)):
        if notes.get(which) != name:
            notes.pop(digest_key(which), None)
        notes[which] = name
    notes["mode"] = one.mode
    known = {key: notes.pop(key) for key in ORDER if key in notes}
    return text_of(one.program, known | notes)
