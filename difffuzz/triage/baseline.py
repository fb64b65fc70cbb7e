# SPDX-License-Identifier: GPL-2.0-only
"""What is known and not told again: a file of signatures, or the tree before a change.

[[known]]
signature = "dirty-log:native:tdp:write:lost"
note = "kvm_mmu_page_fault(): mailed in May"
program = '''difffuzz program v1 ...'''
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec
import tomli_w

from ..errors import UsageError
from ..files.read import read_text
from ..program import Program, ProgramError, parse
from ..running.runner import Runner
from .record import Record, plain_signature, shape


class Known(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A finding that is known.  `program` is its text form, "" if it was not kept."""

    signature: str
    note: str = ""
    program: str = ""


class _File(msgspec.Struct, forbid_unknown_fields=True):
    known: list[Known] = []


class Baseline:
    """Explains findings: by signature, by the shape of their program, by the tree before."""

    def __init__(self, known: Iterable[Known] = (), before: tuple[str, str, str] | None = None):
        """`before`: left side, right side and mode of the tree before a change."""
        self.explained: set[str] = set()
        """Signatures of the findings that were known."""
        self._signatures: dict[str, str] = {}
        self._shapes: dict[str, str] = {}
        self._runner = Runner(*before) if before else None
        for one in known:
            self._signatures[plain_signature(one.signature)] = one.signature
            if one.program:
                self._shapes[shape(parse(one.program, one.signature))] = one.signature

    def explains(self, signature: str, program: Program) -> bool:
        """True if the finding is known; it is noted then."""
        plain = plain_signature(signature)
        known = self._signatures.get(plain) or self._shapes.get(shape(program))
        if known is None and self._runner is not None:
            found = self._runner(program).divergences
            if any(plain_signature(one.signature) == plain for one in found):
                # Once is enough: the same signature is not run again.
                known = self._signatures[plain] = plain
        if known is None:
            return False
        self.explained.add(signature)
        return True


def read_baseline(path: Path) -> list[Known]:
    """The known findings of a file.  UsageError with its name and place."""
    try:
        known = msgspec.toml.decode(read_text(path), type=_File).known
        for one in known:
            if one.program:
                parse(one.program, one.signature)
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        raise UsageError(f"{path}: {error}") from error
    except ProgramError as error:
        raise UsageError(f"{path}: its program {error}") from error
    return known


def baseline_text(records: Iterable[Record]) -> str:
    """The file that makes these findings known."""
    head = "# SPDX-License-Identifier: GPL-2.0-only\n"
    known = [
        {"signature": one.signature, "note": f"finding {one.id}", "program": one.program}
        for one in records
        if not one.hidden
    ]
    return head + tomli_w.dumps({"known": known}, multiline_strings=True)
