# SPDX-License-Identifier: GPL-2.0-only
"""What a booted kernel showed of a program, operation by operation: answers, trace, log."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from .protocol import RESULTS, STATS, Observation
from .ret_pf import ret_pf_names
from .wire import Broken

_LINE: Final = re.compile(r"^\s*(.*-\d+)\s+\[\d+\]\s+\S+\s+[\d.]+: (\S+): (.*)$")
_SPTE: Final = re.compile(r"gfn (\w+) spte (\w+) \(.*\) level (\d)")
_CHANGE: Final = re.compile(r"as id \d+ gfn (\w+) level (\d) old_spte (\w+) new_spte (\w+)")
_FAULT: Final = re.compile(r"address (?:0x)?(\w+) error_code (?:0x)?(\w+)")
MOST_FAULTS: Final = 64
"""Of an operation that are kept: one that gets stuck has a million."""
RSVD: Final = 1 << 3
"""PFERR_RSVD_MASK."""
_MARK: Final = re.compile(r"op (-?\d+) vm (\d)")
_WAITER: Final = re.compile(r"vm(\d)-\d+$")
"""The thread of a parked fault, whose name is its VM's."""
_LOST: Final = re.compile(r"\[LOST (\d+) EVENTS\]")


class Fault(NamedTuple):
    """An answer of KVM to a fault; `answer` is what comes behind RET_PF_, or -errno."""

    gfn: int
    answer: str


class Set(NamedTuple):
    """An SPTE that a fault set."""

    gfn: int
    level: int
    spte: int


class Change(NamedTuple):
    """An SPTE of the TDP MMU that changed, whoever did it."""

    gfn: int
    level: int
    old: int
    new: int


class Seen(NamedTuple):
    """One operation.  `ret`: 0 or -errno of the call; `value`: the tag that was read."""

    result: str
    ret: int
    value: int
    exit: int
    parked: bool
    bitmap: dict[int, int]
    note: str
    stats: dict[str, int]
    faults: list[Fault]
    sets: list[Set]
    changes: list[Change]


class Run(NamedTuple):
    """A program's run.  `log`: warnings of the kernel's log; `lost`: events of the trace."""

    seen: list[Seen]
    log: list[str]
    lost: bool
    second: int | None = None
    """Another VM on the same memory was first at operations with even (0) or odd (1) indices."""

    def is_second(self, index: int) -> bool:
        """Another VM had done the operation by then."""
        return self.second is not None and index % 2 == self.second


def tag_of(number: int) -> int:
    """What operation `number` (from 1 on) writes: 1 to 255."""
    return 1 + number % 255


def read_runs(answer: bytes, kernel: tuple[int, int], vms: int = 1) -> list[Run]:
    """The answer to an OPS frame, of each of so many VMs.  Broken: it is not one."""
    reader = Reader(answer)
    seen: list[list[Seen]] = [[] for _ in range(vms)]
    for _ in range(reader.number()):
        for of_vm in seen:
            of_vm.append(_read_one(reader))
    trace = reader.take(reader.number()).decode("ascii", "replace")
    log = reader.take(reader.number()).decode("utf-8", "replace").splitlines()
    lost = _sort_in(trace, seen, kernel)
    seconds = (None,) if vms == 1 else (1, 0)
    return [
        Run(of_vm, list(log), lost, second) for of_vm, second in zip(seen, seconds, strict=True)
    ]


def _read_one(reader: Reader) -> Seen:
    """What one operation showed of one VM."""
    told = Observation.from_buffer_copy(reader.take(ctypes.sizeof(Observation)))
    words = reader.take(16 * told.words)
    pairs = (words[i : i + 16] for i in range(0, len(words), 16))
    bitmap = {
        int.from_bytes(pair[:8], "little"): int.from_bytes(pair[8:], "little") for pair in pairs
    }
    note = reader.take(told.note).decode("utf-8", "replace")
    if told.result >= len(RESULTS):
        raise Broken(f"a result that there is not: {told.result}")
    stats = dict(zip(STATS, told.stats, strict=True))
    result, parked = RESULTS[told.result], bool(told.parked)
    return Seen(
        result, told.ret, told.value, told.exit, parked, bitmap, note, stats, [], [], []
    )  # fmt: skip


def read_log(answer: bytes) -> list[str]:
    """The answer to an END frame: what the kernel's log says of the VM's end."""
    reader = Reader(answer)
    return reader.take(reader.number()).decode("utf-8", "replace").splitlines()


class Reader:
    """The parts of an answer, one after the other.  Broken: it has less than it says."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def take(self, size: int) -> bytes:
        """The next bytes."""
        part = self._data[self._at : self._at + size]
        if len(part) != size:
            raise Broken("an answer that ends too early")
        self._at += size
        return part

    def number(self) -> int:
        """The next 32 bits."""
        return int.from_bytes(self.take(4), "little")


def _sort_in(trace: str, seen: list[list[Seen]], kernel: tuple[int, int]) -> bool:
    """Puts the events where they belong; True if some were lost."""
    names = ret_pf_names(kernel)
    faulting: dict[str, int] = {}
    number = vm = -1
    for task, event, text in _events(trace):
        if event in ("tracing_mark_write", "0"):
            found = _MARK.search(text)
            number, vm = (int(found[1]), int(found[2])) if found else (-1, -1)
            continue
        waiter = _WAITER.match(task)
        which = int(waiter[1]) if waiter else vm
        if not (0 <= number < len(seen[0]) and 0 <= which < len(seen)):
            now = None
        else:
            now = seen[which][number]
        if now is not None and len(now.faults) >= MOST_FAULTS:
            continue
        if event == "kvm_page_fault":
            found = _FAULT.search(text)
            gfn, code = (int(found[1], 16) >> 12, int(found[2], 16)) if found else (-1, 0)
            faulting[task] = gfn
            if code & RSVD and now is not None:
                # An MMIO SPTE: emulated before the probe's function, unless it is out of date.
                now.faults.append(Fault(gfn, "EMULATE"))
        elif now is None:
            continue
        elif event == "check_mmio_spte" and text.endswith("valid 0") and now.faults:
            now.faults[-1] = Fault(now.faults[-1].gfn, "INVALID")
        elif event == "pf":
            ret = int(text.rpartition("ret=")[2])
            answer = names[ret] if 0 <= ret < len(names) else str(ret)
            now.faults.append(Fault(faulting.get(task, -1), answer))
        elif event == "kvm_mmu_set_spte" and (found := _SPTE.search(text)):
            now.sets.append(Set(int(found[1], 16), int(found[3]), int(found[2], 16)))
        elif event == "kvm_tdp_mmu_spte_changed" and (found := _CHANGE.search(text)):
            gfns, level, old, new = found.groups()
            change = Change(int(gfns, 16), int(level), int(old, 16), int(new, 16))
            # Of two VMs the last has the TDP MMU, whoever's fault it was.
            seen[-1][number].changes.append(change)
    return bool(_LOST.search(trace))


def _events(trace: str) -> Iterator[tuple[str, str, str]]:
    """(task, event, text) of each line."""
    for line in trace.splitlines():
        found = _LINE.match(line)
        if found:
            yield found[1], found[2], found[3]
