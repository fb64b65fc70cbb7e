# SPDX-License-Identifier: GPL-2.0-only
"""A finding as the store has it: what it is, what is thought of it, what happened to it."""

from __future__ import annotations

import hashlib
import re
from enum import StrEnum

import msgspec

from ..files.notes import digest_key, notes_of
from ..program import Program, parse
from ..program.text_render import render_op
from ..sides import short_name

ID_DIGITS = 10


class State(StrEnum):
    """What is thought of a finding."""

    NEW = "new"
    """Nobody has looked at it."""
    KNOWN = "known"
    """Somebody has, and need not be told again."""
    CONFIRMED = "confirmed"
    """It happens on the kernel."""
    FIXED = "fixed"
    """The tree of today does not show it."""
    INVALID = "invalid"
    """It is no bug of a kernel."""
    EMBARGOED = "embargoed"
    """Whom it concerns is told first: nothing is shown but id, oracle and date."""


CLOSED = frozenset({State.FIXED, State.INVALID})


class Event(msgspec.Struct, frozen=True):
    """One thing that happened to a finding; `at` in ISO 8601, UTC."""

    at: str
    kind: str
    """found, shrunk, state, note, link, shown, gone: what a re-test saw, grouped."""
    text: str


class Record(msgspec.Struct, kw_only=True):
    """A finding.  Digests are those of the sides that showed it last; times are ISO 8601, UTC."""

    id: str
    signature: str
    oracle: str
    left: str
    right: str
    left_digest: str = ""
    right_digest: str = ""
    mode: str = "portfolio"
    detail: str = ""
    program: str = ""
    """The text form."""
    state: State = State.NEW
    first_seen: str = ""
    last_seen: str = ""
    shown: int = 1
    """In so many of its re-tests since its program is what it is, the first sight included."""
    runs: int = 1
    bug: str = ""
    """The id of the first finding that is the same bug; its own, if it is that."""
    history: list[Event] = []

    @property
    def sides(self) -> str:
        """`legacy/tdp+my`: the names without folders."""
        return f"{short_name(self.left)}/{short_name(self.right)}"

    @property
    def hidden(self) -> bool:
        """Nothing of it may be shown but id, oracle and date."""
        return self.state is State.EMBARGOED

    def parsed(self) -> Program:
        """The program.  ProgramError: the store has what is none."""
        return parse(self.program, f"finding {self.id}")


def from_text(text: str, name: str, at: str) -> Record | None:
    """The record of a program file that a fuzzer wrote; None if its notes tell of no finding.

    ProgramError: the file's text is no program.
    """
    notes = notes_of(text)
    signature, left, right = (notes.get(key, "") for key in ("signature", "left", "right"))
    if not signature or not left or not right:
        return None
    parse(text, name)
    found = finding_id(signature, left, right)
    return Record(
        id=found,
        signature=signature,
        oracle=notes.get("oracle", signature.partition(":")[0]),
        left=left,
        right=right,
        left_digest=notes.get(digest_key("left"), ""),
        right_digest=notes.get(digest_key("right"), ""),
        mode=notes.get("mode", "portfolio"),
        detail=notes.get("detail", ""),
        program=text,
        first_seen=at,
        last_seen=at,
        bug=found,
    )


def finding_id(signature: str, left: str, right: str) -> str:
    """The same for the same signature on sides of the same names, whatever these are made of."""
    name = "\0".join((signature, left, right))
    return hashlib.sha256(name.encode()).hexdigest()[:ID_DIGITS]


def shape(program: Program) -> str:
    """What two findings have in common that are shrunk to the same operations, whatever was seen of
    them first: operations and machine, without the schedule."""
    ops = "\n".join(render_op(op, program.config.guest) for op in program.ops)
    return hashlib.sha256(f"{program.config}\n{ops}".encode()).hexdigest()


_NUMBER = re.compile(r"\d+")


def family(signature: str) -> str:
    """Property and place, whatever operation and MMU showed it: it may be one bug.

    `translation:tdp:munmap:level1` is of `translation: level`.
    """
    oracle, _, rest = signature.partition(":")
    return f"{oracle}: {_NUMBER.sub('', rest.rpartition(':')[2])}"


_BUILD = re.compile(r"native:[A-Za-z0-9._-]+:(legacy|tdp)")


def plain_signature(signature: str) -> str:
    """The signature without names of builds: native:mine:tdp counts as native:tdp."""
    return _BUILD.sub(r"native:\1", signature)
