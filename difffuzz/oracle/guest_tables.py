# SPDX-License-Identifier: GPL-2.0-only
"""The oracle of guests with page tables: which translations an access may use.

Of each address of each vCPU there is a set: what the tables said at some time since the guest
flushed it last (INVLPG, MOV to CR3, SMEP switched on, a #PF there).  An access uses a member of the
set; a #PF is what the tables say now.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

from difffuzz.machine.host import HostMM
from difffuzz.oracle.guest_walk import (
    ABSENT,
    HOLE,
    PAGE,
    PF_PRESENT,
    PF_RSVD,
    WRITE,
    EntryFormat,
    GuestMemory,
    Modes,
    Path,
    Translation,
    fault_code,
    permits,
)
from difffuzz.oracle.verdict import Violation
from difffuzz.program import Kind
from difffuzz.program.fields import SWITCHED
from difffuzz.program.guest_tables import DIRECT_PMDS, DIRECT_PUD, GVAS, ROOTS, TABLES
from difffuzz.program.model import READONLY
from difffuzz.sides.base import ERROR, FAULT, MMIO, OK, SIGBUS, STUCK, Outcome
from difffuzz.sides.memory_map import MemoryMap

GUEST_WALK = """An access of a guest with page tables uses a translation that its tables gave at
some time since it flushed the address; it takes a #PF if and only if they say so now; accessed and
dirty bits are set."""


NOT_WRITTEN = -1
LOOKED_AT = (*TABLES.values(), DIRECT_PUD, *DIRECT_PMDS)
_WATCHED: Final = frozenset(LOOKED_AT)
_NEVER: Final = object()


class Made:
    """An access that an instruction made: address in bytes, access 0 read, 1 write, 2 fetch."""

    __slots__ = ("access", "gva", "user")

    def __init__(self, gva: int, access: int, user: bool) -> None:
        self.gva = gva
        self.access = access
        self.user = user


class _Known:
    """A walk: the gfns of the tables that it looked at, where the entries that it used are."""

    __slots__ = ("places", "tables", "translation")

    def __init__(self, path: Path) -> None:
        self.translation = path.translation
        self.places = [gpa for gpa, _ in path.entries]
        self.tables = {gpa >> 12 for gpa in self.places} | {path.table}


class GuestTables:
    """Of one side.  `root` and `modes`: of each vCPU, as the guest set them.

    `foreign`: somebody else than the guest changed its tables, so that what KVM and the CPU make of
    them is up to them: only what no guest may do is judged from there on.
    """

    format: EntryFormat = EntryFormat()
    memory_type: type[GuestMemory] = GuestMemory
    faults_flush = True
    """A fault drops what is cached of its address."""

    def __init__(self, name: str, mm: HostMM, memory: MemoryMap, allowed: Counter[str]) -> None:
        self.root: dict[int, int] = {}
        self.modes: dict[int, Modes] = {}
        self.foreign = False
        self._name = name
        self._mm = mm
        self._map = memory
        self._memory = self.memory_type(mm, memory)
        self.chosen: dict[int, int] = {}
        """Place in ROOTS of the root that a vCPU uses, where it has several."""
        self._allowed = allowed
        self._since_flush: dict[tuple[int, int], set[Translation]] = {}
        self._seen: dict[int, object] = {}
        self._plain: dict[int, object] = {}
        self._known: dict[tuple[int, int], _Known] = {}
        """What the tables said of an address, by root and address, when they settled last."""
        self._kept: set[tuple[int, int]] = set()
        """Addresses with a #PF since the flush that dropped nothing of what KVM had."""
        self._rewritten: set[tuple[int, int]] = set()
        """Addresses with an entry that was written since: its bits may be behind what is cached."""
        self.remapped()

    def memory(self) -> GuestMemory:
        """The guest's memory."""
        return self._memory

    def now(self, vcpu: int, gva: int) -> Path:
        """What the tables say now."""
        return self._memory.walk(self.root.get(vcpu, 0), gva)

    def may_use(self, vcpu: int, gva: int) -> set[Translation]:
        """What an access of that address may use."""
        key = vcpu, gva >> 12
        found = self._since_flush.get(key)
        if found is None:
            found = self._since_flush[key] = {self.now(vcpu, gva).translation}
        return found

    def begin(self, vcpu: int) -> None:
        """A vCPU is there.  It may cache any address at any time, so that all count from here."""
        with self._memory.at_rest():
            for gva in GVAS:
                self._since_flush[vcpu, gva >> 12] = {self._settled(vcpu, gva).translation}

    # What the guest does

    def flushed(self, vcpu: int, gva: int) -> None:
        """INVLPG, or a #PF."""
        self._flushed((vcpu, gva >> 12), self.now(vcpu, gva).translation)

    def _flushed(self, key: tuple[int, int], now: Translation) -> None:
        self._since_flush[key] = {now}
        self._rewritten.discard(key)
        self._kept.discard(key)

    def flushed_all(self, vcpu: int) -> None:
        """MOV to CR3, or SMEP switched on."""
        with self._memory.at_rest():
            for key in self._since_flush:
                if key[0] == vcpu:
                    self._flushed(key, self._settled(vcpu, key[1] << 12).translation)

    def instruction(self, vcpu: int, kind: Kind, args: tuple[int, ...]) -> None:
        """What one that is no access does to registers, and to what may be cached."""
        if kind == Kind.INVLPG:
            self.flushed(vcpu, GVAS[args[0]])
        elif kind == Kind.CR3:
            self.root[vcpu] = TABLES[ROOTS[args[0]]]
            self.flushed_all(vcpu)
        elif kind == Kind.TOGGLE:
            modes = self.modes[vcpu] = self.modes.get(vcpu, Modes()).switched(args[0])
            if SWITCHED.words[args[0]] == "smep" and modes.smep:
                self.flushed_all(vcpu)

    def settle(self, written: int = NOT_WRITTEN) -> None:
        """After an operation: what the tables say now may be used from now on.

        `written`: the gpa of the word that the guest may have written by it.  A table that changed
        otherwise, be it through another gfn of the same page, was changed behind its back.
        """
        with self._memory.at_rest():
            self._settle(written)

    def _settle(self, written: int) -> None:
        seen, before = self._look(), self._seen
        gfn = written >> 12
        if seen == before and gfn not in seen:
            return
        changed = {table for table, now in seen.items() if before.get(table, _NEVER) != now}
        if any(table != gfn and table in before for table in changed):
            self.foreign = True
        self._seen = seen
        known = self._known if before else {}
        self._known = {}
        for key, found in self._since_flush.items():
            path = self._path(known, changed, self.root.get(key[0], 0), key[1] << 12)
            found.add(path.translation)
            if written in path.places:
                self._rewritten.add(key)

    def _path(
        self, known: dict[tuple[int, int], _Known], changed: set[int], root: int, gva: int
    ) -> _Known:
        """What the tables say of an address; `known` is true still if none on its way changed."""
        at = root, gva
        path = self._known.get(at)
        if path is None:
            path = known.get(at)
            if path is None or not path.tables <= _WATCHED or path.tables & changed:
                path = _Known(self._memory.walk(root, gva))
            self._known[at] = path
        return path

    def _settled(self, vcpu: int, gva: int) -> _Known:
        """What the tables say now, where nothing changed since they settled."""
        at = self.root.get(vcpu, 0), gva
        path = self._known.get(at)
        if path is None or not path.tables <= _WATCHED:
            path = self._known[at] = _Known(self._memory.walk(*at))
        return path

    def changed(self) -> bool:
        """Did any table, accessed and dirty bits aside, since they were looked at last?"""
        with self._memory.at_rest():
            seen, before = self._look(), self._seen
        self._seen = seen
        return seen != before

    def remapped(self) -> None:
        """The memory map changed: tables may be others now, as KVM knows."""
        self._seen = {}
        self.foreign |= self._has_aliases()

    def _has_aliases(self) -> bool:
        """True if a table can be written through another gfn, which KVM does not protect."""
        for gfn in LOOKED_AT:
            slot = self._map.slot_at(0, gfn)
            if slot is not None:
                hva = slot.hva(gfn)
                if len(self._map.slots_over(hva, hva + 1)) > 1:
                    return True
        return False

    def _look(self) -> dict[int, object]:
        """The tables without accessed and dirty bits, by gfn."""
        return {gfn: self._plain_of(self._memory.content(gfn)) for gfn in LOOKED_AT}

    def _plain_of(self, content: int | None) -> object:
        """The page without those bits: the same object for the same content."""
        if content is None:
            return None
        found = self._plain.get(content)
        if found is None:
            found = self._plain[content] = _plain(self._mm.contents.words(content), self.format)
        return found

    # What entries mean

    def permits(self, found: Translation, modes: Modes, made: Made) -> bool:
        """Does a page translation allow the access?"""
        return permits(found, modes, made.access, made.user)

    def fault_code(self, found: Translation, modes: Modes, made: Made) -> int:
        """The error code of the #PF that the access takes; -1: it takes none."""
        return fault_code(found, modes, made.access, made.user)

    def is_excused(self, value: int, found: Translation, modes: Modes, made: Made) -> bool:
        """Is a fault that the tables do not give one that a rule allows?"""
        return False

    # Judging

    def access(self, vcpu: int, made: Made, outcome: Outcome) -> Iterator[Violation]:
        """What is wrong with an access."""
        result = outcome.result
        modes = self.modes.get(vcpu, Modes())
        if result == OK and outcome.pfn >= 0 and self._mm.frames.is_free(outcome.pfn):
            text = f"gva {made.gva:#x}: used pfn {outcome.pfn:#x}, which the host took back"
            yield Violation("stale-access", self._name, "guest", text)
            return
        if self.foreign:
            return
        usable = self.may_use(vcpu, made.gva)
        if result == STUCK:
            rets = ",".join(map(str, outcome.rets[-2:]))
            text = f"gva {made.gva:#x}: never completes"
            yield Violation("progress", self._name, f"guest-{rets}", text)
        elif result == OK and outcome.pfn >= 0:
            yield from self._mapped(vcpu, made, outcome, usable, modes)
        elif result in (OK, MMIO):
            yield from self._emulated(made, outcome, usable, modes)
        elif result == FAULT:
            yield from self._faulted(vcpu, made, outcome, modes)
            if not self.faults_flush:
                return
            if outcome.value & (PF_PRESENT | PF_RSVD) == PF_PRESENT:
                self.flushed(vcpu, made.gva)
            else:
                self._kept.add((vcpu, made.gva >> 12))

    def _mapped(
        self, vcpu: int, made: Made, outcome: Outcome, usable: set[Translation], modes: Modes
    ) -> Iterator[Violation]:
        """The access used a frame."""
        where = f"gva {made.gva:#x}"
        allowed = [one for one in usable if self.permits(one, modes, made)]
        if not modes.nx and any(one.nx for one in allowed):
            # Shadow pages of a time when NX was on are used on.
            self._allowed["efer-nx"] += 1
        if not any(self._is_at(one.gfn, outcome.pfn) for one in allowed):
            text = f"{where}: used pfn {outcome.pfn:#x}; {self._said(usable)}"
            yield Violation("guest-walk", self._name, "mapping", text)
            return
        if (vcpu, made.gva >> 12) in self._kept:
            now = self.now(vcpu, made.gva).translation
            if not self.permits(now, modes, made):
                self._allowed["fault-keeps-stale"] += 1
        for one in allowed:
            if self._is_at(one.gfn, outcome.pfn) and made.access == WRITE:
                slot = self._map.slot_at(0, one.gfn)
                if slot is not None and (slot.flags & READONLY or one.gfn in slot.tracked):
                    text = f"{where}: wrote gfn {one.gfn:#x}, which is read-only or tracked"
                    yield Violation("permission", self._name, "guest-write", text)
        if len(usable) == 1 and (vcpu, made.gva >> 12) not in self._rewritten:
            yield from self._bits(vcpu, made)

    def _bits(self, vcpu: int, made: Made) -> Iterator[Violation]:
        """Accessed bits on the path, the dirty bit of the leaf after a write."""
        path = self.now(vcpu, made.gva)
        for at, (gpa, entry) in enumerate(path.entries):
            if not self._memory.writable(gpa >> 12):
                continue
            wanted = self._wanted(path, at, made)
            if path.translation.kind == PAGE and entry & wanted != wanted:
                text = f"gva {made.gva:#x}: the entry at gpa {gpa:#x} is {entry:#x} after it"
                yield Violation("guest-walk", self._name, "accessed-dirty", text)
                return

    def _emulated(
        self, made: Made, outcome: Outcome, usable: set[Translation], modes: Modes
    ) -> Iterator[Violation]:
        """KVM made the access: of memory, or of a device."""
        write = made.access == WRITE
        for one in usable:
            if one.kind == HOLE:
                return
            if not self.permits(one, modes, made):
                continue
            if outcome.result == OK or self._is_mmio(one.gfn, write):
                return
        what = "MMIO exit" if outcome.result == MMIO else "emulated"
        text = f"gva {made.gva:#x}: {what}; {self._said(usable)}"
        yield Violation("guest-walk", self._name, outcome.result, text)

    def _faulted(
        self, vcpu: int, made: Made, outcome: Outcome, modes: Modes
    ) -> Iterator[Violation]:
        """The guest took a #PF."""
        path, value = self.now(vcpu, made.gva), outcome.value
        expected = self.fault_code(path.translation, modes, made)
        if path.translation.kind == HOLE or value == expected:
            return
        absent = self.fault_code(Translation(ABSENT), modes, made)
        if value == absent and expected < 0 and self._is_denied(path, made):
            self._allowed["denied-table"] += 1
        elif not self.is_excused(value, path.translation, modes, made):
            says = f"{expected:#x}" if expected >= 0 else "none"
            text = f"gva {made.gva:#x}: #PF {value:#x}, its tables give {says}"
            yield Violation("guest-walk", self._name, "page-fault", text)

    def _is_denied(self, path: Path, made: Made) -> bool:
        """Is a bit to be set where the host lets nobody write?"""
        for at, (gpa, entry) in enumerate(path.entries):
            if self._wanted(path, at, made) & ~entry and self._memory.is_denied(gpa >> 12):
                return True
        return False

    def _wanted(self, path: Path, at: int, made: Made) -> int:
        """Bits that an entry of the path has after the access."""
        leaf = at == len(path.entries) - 1
        fmt = self.format
        return fmt.accessed | (fmt.dirty if leaf and made.access == WRITE else 0)

    def _is_at(self, gfn: int, pfn: int) -> bool:
        """Is that frame behind the gfn?"""
        slot = self._map.slot_at(0, gfn)
        return slot is not None and self._mm.lookup(slot.hva(gfn)) >> 12 == pfn

    def _is_mmio(self, gfn: int, write: bool) -> bool:
        """No memory, or none that may be written; tables that cannot be reached count as well."""
        if self._map.slot_at(0, gfn) is None:
            return True
        return write and not self._memory.writable(gfn)

    @staticmethod
    def _said(usable: set[Translation]) -> str:
        return "its tables gave " + " or ".join(sorted(map(_spell, usable)))

    def comparable(self, vcpu: int, made: Made, outcome: Outcome) -> bool:
        """Is there one thing only that the access may do, as far as the tables say?"""
        if self.foreign or outcome.result in (ERROR, SIGBUS):
            return False
        usable = self.may_use(vcpu, made.gva)
        one = next(iter(usable))
        if one.nx and not self.modes.get(vcpu, Modes()).nx:
            return False
        return len(usable) == 1 and one.kind != HOLE


def _plain(words: dict[int, int], fmt: EntryFormat) -> tuple[tuple[int, int], ...]:
    """Entries without accessed and dirty bits; word 0 is data."""
    bits = ~(fmt.accessed | fmt.dirty)
    return tuple((n, word & bits) for n, word in words.items() if n)


def _spell(one: Translation) -> str:
    if one.kind != PAGE:
        return one.kind
    flags = "".join(
        letter for letter, on in (("w", one.writable), ("u", one.user), ("n", one.nx)) if on
    )
    return f"gfn {one.gfn:#x} {flags or '-'}"
