# SPDX-License-Identifier: GPL-2.0-only
"""What is kept from sight until those whom it concerns were told: OUT/embargoed.

Of such a finding the store keeps id, oracle and dates, and the signature by which it is known
again; its program is a file in that folder, which git ignores.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ..errors import UsageError
from ..files.atomic import write_atomically
from ..files.notes import notes_of
from ..fuzz.findings import EMBARGOED, FINDINGS, SUFFIX, slug
from .record import Event, Record, State, finding_id
from .store import Store, now

FOREIGN_MEMORY: Final = frozenset({"stale-access", "translation", "uaf"})
"""Oracles that see a guest use a frame that is not its own."""


def proposed(record: Record) -> bool:
    """True if the finding may be one for the kernel's security list: a guest reaches memory that is
    not its own, on the code of a kernel."""
    native = any(name.startswith(("native:", "kernel:")) for name in (record.left, record.right))
    return native and record.oracle in FOREIGN_MEMORY and record.state is State.NEW


def folder(store: Store) -> Path:
    """OUT/embargoed, made if it is not there."""
    place = store.out / EMBARGOED
    try:
        place.mkdir(exist_ok=True)
        write_atomically(place / ".gitignore", b"*\n")
    except OSError as error:
        raise UsageError(f"{error.filename or place}: {error.strerror}") from error
    return place


def hide(store: Store, record: Record) -> Path:
    """Moves the program out of sight; where it is then.  OSError: nothing has moved."""
    shown = list(_files(store.out / FINDINGS, record))
    name = shown[0].name if shown else f"{slug(record.signature)}{SUFFIX}"
    kept = folder(store) / name
    write_atomically(kept, record.program.encode())
    event = Event(now(), "state", f"embargoed: it was {record.state}")
    record.state, record.program, record.detail = State.EMBARGOED, "", ""
    store.put(record, event)
    store.forget_texts(record.id)
    for path in shown:
        path.unlink()
    return kept


def lift(store: Store, record: Record, state: State) -> None:
    """The embargo is over: the program is back in the store.  UsageError: its file is gone."""
    kept = next(_files(folder(store), record), None)
    if kept is None:
        raise UsageError(f"{folder(store)}: the program of {record.id} is not there any more")
    record.program = kept.read_text()
    record.state = state
    store.put(record, Event(now(), "state", f"{state}: the embargo is over"))
    write_atomically(store.out / FINDINGS / kept.name, record.program.encode())
    kept.unlink()


def _files(place: Path, record: Record) -> Iterator[Path]:
    """The program files of a folder that are this finding."""
    for path in sorted(place.glob(f"*{SUFFIX}")):
        notes = notes_of(path.read_text(errors="replace"))
        name = [notes.get(key, "") for key in ("signature", "left", "right")]
        if finding_id(*name) == record.id:
            yield path
