# SPDX-License-Identifier: GPL-2.0-only
"""A loaded library with the kernel's MMU: calls into it, and what it says of itself.

Each instance is a copy of its own, with its own variables, so that one process can hold several VMs
of one build.  The other side of everything here is harness/native/user/entry.c.
"""

from __future__ import annotations

import ctypes
import mmap
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from difffuzz.errors import UsageError
from difffuzz.native.abi.calls import EXPORTS, FN, HOST_FN, Control, Export
from difffuzz.native.abi.header import number as abi_number
from difffuzz.native.abi.limits import MAIN_TASK
from difffuzz.native.symbols import OFFSET, function_in
from difffuzz.sched import KernelSplat, Scheduler
from difffuzz.sched.task import HANG

MOST_GUARDS = 1 << 14
Host = Callable[[int, int, int], int]
Exported = Callable[..., int]
"""Takes and returns longs; addresses are longs too."""
STALE = "was built from another version of the harness: run 'difffuzz native build' again"


class Death(NamedTuple):
    """Why a call did not end by itself: as KernelSplat has it."""

    oracle: str
    where: str
    text: str


MOST_ADDRESSES_KB = 110 << 30
"""A library takes a quarter of a terabyte of addresses, and nobody gives them back.  Behind so many
its memory would lie where programs say that the guest's is, and answers would be wrong."""


class Library:
    """One instance.  `host` answers what the kernel's code asks; `sched` is who runs now."""

    def __init__(self, path: Path) -> None:
        """UsageError: it is of another difffuzz, or too many are loaded already."""
        self.path = path
        if _addresses_kb() > MOST_ADDRESSES_KB:
            raise UsageError(f"{path}: too many copies of builds are loaded in this process")
        self._lib = _load_copy(path)
        self._table: Sequence[Host] = ()
        self._raised: BaseException | None = None
        self.sched = Scheduler()
        self.calls = 0
        """Calls into the library so far: what was read before the last one may be out of date."""
        self._died = ctypes.c_long(0)
        self._died_at = ctypes.addressof(self._died)
        self._exports: dict[str, Exported] = {}
        for one in EXPORTS:
            self._exports[one.name] = self._bind(one)
        if self.export("abi")() != abi_number():
            raise UsageError(f"{path} {STALE}")
        self._callback = HOST_FN(self._host)
        self.control = Control.from_address(self.export("start")(self._callback))
        self._run = self.export("run")
        self._reset = self.export("reset")
        self.export("map_memory")()
        self.run("init")
        self.ready = self.export("ready_now")
        self.vm_numbers = self.export("vm_numbers")
        self.vcpu_numbers = self.export("vcpu_numbers")
        self.memslot = self.export("memslot")
        self.tdp_roots = self.export("tdp_roots")
        self.active_pages = self.export("active_pages")
        self.nx_pages = self.export("nx_pages")
        self.mmu_lock = self.export("mmu_lock")
        self.may_wait = self.export("may_wait")
        self._commit = self.export("commit")
        self._take_guards = self.export("take_guards")
        self.buffer = (ctypes.c_long * (1 << 16))()
        """Room for a list that a call returns."""
        self._guards = (ctypes.c_uint32 * MOST_GUARDS)()
        self.free_obsolete_roots = self.export("request_bit")()
        self.export("snapshot")()

    def export(self, name: str) -> Exported:
        """An exported function (EXPORTS), which needs no task.

        One that looks at the kernel's state raises KernelSplat where that is too broken.
        """
        return self._exports[name]

    def _bind(self, one: Export) -> Exported:
        try:
            found = self._lib[f"native_{one.name}"]
        except AttributeError:
            raise UsageError(f"{self.path} {STALE}") from None
        found.argtypes = one.argtypes()
        found.restype = None if one.returns == "void" else ctypes.c_long
        return self._looking(found) if one.looks else found

    def _looking(self, found: Any) -> Exported:
        """By way of `look`, which comes back from a bad access, too."""
        look, died, died_at = self.export("look"), self._died, self._died_at
        at = ctypes.cast(found, ctypes.c_void_p).value

        def looking(a: int = 0, b: int = 0, c: int = 0) -> int:
            r: int = look(at, died_at, a, b, c)
            if died.value:
                self._leave()
            return r

        return looking

    def reset(self, sched: Scheduler, table: Sequence[Host]) -> None:
        """Everything as after loading, for a VM whose host is `table`, by Request."""
        self._reset()
        self._table = table
        self.sched = sched
        self.control.frees_early = sched.frees_early
        self.control.concurrent = sched.frees_early

    def run(self, name: str, *args: int) -> int:
        """Calls a function as the current task; KernelSplat for what ends it early."""
        return self.call(FN[name], *args)

    def call(
        self, fn: int, a: int = 0, b: int = 0, c: int = 0, d: int = 0, e: int = 0, f: int = 0
    ) -> int:
        """run() of a function by number."""
        sched, control = self.sched, self.control
        self.calls += 1
        number = sched.current.number
        control.budget = sched.budget - sched.threshold
        task = MAIN_TASK if number < 0 else number
        r = self._run(task, fn, self._died_at, a, b, c, d, e, f)
        sched.budget = control.budget + sched.threshold
        self.calls += 1  # others may have looked while this one was not over
        if self._died.value:
            self._leave()
        return r

    def commit(self, task: int) -> None:
        """The oldest store of a task that waits becomes visible."""
        self.calls += 1
        self._commit(task)

    def _host(self, what: int, a: int, b: int, c: int) -> int:
        sched, control = self.sched, self.control
        sched.budget = control.budget + sched.threshold
        try:
            r = self._table[what](a, b, c)
        except BaseException as error:  # comes out where Python entered the library
            self._raised = error
            control.failed = 1
            r = 0
        control.budget = sched.budget - sched.threshold
        return r

    def _leave(self) -> NoReturn:
        death = self.death()
        raised, self._raised = self._raised, None
        if death.oracle == "python" and raised is not None:
            raise raised
        raise KernelSplat(*death)

    def death(self) -> Death:
        """What ended the call that was left last."""
        oracle, where, text = (self.control.died or b"").decode(errors="replace").split("\n", 2)
        if where in ("?", HANG) or OFFSET.search(text):
            function = function_in(self.path, text)
            where, text = where.replace("?", function), f"{text}, {function}()"
        return Death(oracle, where, text)

    def take_guards(self) -> list[int]:
        """The places of the kernel's code, by number, that were passed since the last call."""
        n = self._take_guards(ctypes.addressof(self._guards), MOST_GUARDS)
        return self._guards[:n]

    def take_passed(self) -> list[int]:
        """Offsets in the library of the places that were passed since the last call.

        None but in a build that is traced (Wish.traced).
        """
        n = self.export("take_passed")(ctypes.addressof(self._guards), MOST_GUARDS)
        return self._guards[:n]

    def splats(self) -> list[tuple[str, str]]:
        """The WARN()s since the last reset, as (place, text)."""
        text = (self.control.splats or b"").decode()
        return [(where, what) for where, _, what in (x.partition("\t") for x in text.splitlines())]


def _addresses_kb() -> int:
    """How much of its address space the process uses."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * (mmap.PAGESIZE >> 10)


def _load_copy(path: Path) -> ctypes.PyDLL:
    """Loads a copy that nobody else has: the loader knows libraries by name and by inode."""
    with tempfile.TemporaryDirectory(prefix="difffuzz-native-") as folder:
        copy = Path(folder) / path.name
        try:
            shutil.copyfile(path, copy)
        except OSError as error:
            raise UsageError(f"{path}: {error.strerror}") from None
        try:
            return ctypes.PyDLL(str(copy))
        except OSError as error:  # of the loader: the folder forbids to execute, say
            raise UsageError(f"{path} cannot be loaded: {error}") from None
