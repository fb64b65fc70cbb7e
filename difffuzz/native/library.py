# SPDX-License-Identifier: GPL-2.0-only
"""A loaded library with the kernel's MMU: calls into it, and what it says of itself.

Each instance is a copy of its own, with its own variables, so that one process can hold several VMs
of one build.  The other side of everything here is harness/native/user/entry.c.
"""

from __future__ import annotations

import ctypes
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from difffuzz.errors import UsageError
from difffuzz.native.symbols import function_in
from difffuzz.sched import KernelSplat, Scheduler

FUNCTIONS = [
    "init",
    "create_vm",
    "create_vcpu",
    "destroy_vm",
    "enter_guest",
    "leave_guest",
    "vcpu_srcu_lock",
    "vcpu_srcu_unlock",
    "page_fault",
    "emulated_hva",
    "mark_dirty",
    "smm",
    "guest_mode",
    "reset_context",
    "set_memory_region",
    "get_dirty_log",
    "clear_dirty_log",
    "set_nr_mmu_pages",
    "page_track",
    "set_nx",
    "recover_nx",
    "zap_gfn_range",
    "invalidate_range_start",
    "invalidate_range_end",
    "change_pte",
    "clear_flush_young",
    "clear_young",
    "test_young",
    "release",
    "end_operation",
]
"""In the order of native_api[] in harness/native/kernel/api.c."""
FN = {name: number for number, name in enumerate(FUNCTIONS)}
MOST_GUARDS = 1 << 14
MAIN_TASK = 8
"""The task that runs what no thread of a program does."""

Host = Callable[[int, int, int], int]


class Control(ctypes.Structure):
    """struct native_control."""

    _fields_ = (
        ("budget", ctypes.c_long),
        ("concurrent", ctypes.c_long),
        ("frees_early", ctypes.c_long),
        ("answer", ctypes.c_long * 4),
        ("failed", ctypes.c_long),
        ("nr_splats", ctypes.c_long),
        ("splats", ctypes.c_char_p),
        ("died", ctypes.c_char_p),
    )


class Library:
    """One instance.  `host` answers what the kernel's code asks; `sched` is who runs now."""

    retries_by_gfn = False
    """See Kvm.retries_by_gfn of the model."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lib = _load_copy(path)
        self._table: Sequence[Host] = ()
        self._raised: BaseException | None = None
        self.sched = Scheduler()
        self.calls = 0
        """Calls into the library so far: what was read before the last one may be out of date."""
        self._callback = ctypes.PYFUNCTYPE(ctypes.c_long, *[ctypes.c_long] * 4)(self._host)
        self._lib.native_start.restype = ctypes.POINTER(Control)
        self.control: Control = self._lib.native_start(self._callback).contents
        self._died = ctypes.c_long(0)
        self._died_at = ctypes.addressof(self._died)
        self._run = self._lib.native_run
        self._run.argtypes = [ctypes.c_long] * 9
        self._run.restype = ctypes.c_long
        self._lib.native_map_memory()
        self.run("init")
        long, pointer = ctypes.c_long, ctypes.c_void_p
        self.ready = self.function("native_ready_now", long, long)
        self.vm_numbers = self.function("native_vm_numbers", pointer)
        self.vcpu_numbers = self.function("native_vcpu_numbers", long, pointer)
        self.masks = self.function("native_masks", pointer)
        self.memslot = self.function("native_memslot", long, long, pointer)
        self.tdp_roots = self.function("native_tdp_roots", pointer, long)
        self.active_pages = self.function("native_active_pages", pointer, long)
        self.nx_pages = self.function("native_nx_pages", pointer, long)
        self.mmu_lock = self.function("native_mmu_lock")
        self.leaks = self.function("native_leaks", pointer)
        self._take_guards = self.function("native_take_guards", pointer, long)
        self.buffer = (ctypes.c_long * (1 << 16))()
        """Room for a list that a call returns."""
        self._guards = (ctypes.c_uint32 * MOST_GUARDS)()
        self.free_obsolete_roots: int = self.function("native_request_bit")()
        self._lib.native_snapshot()

    def function(self, name: str, *argtypes: Any) -> Any:
        """An exported function that needs no task: it only looks."""
        try:
            found = getattr(self._lib, name)
        except AttributeError:
            text = (
                "was built from another version of the harness: run 'difffuzz native build' again"
            )
            raise UsageError(f"{self.path} {text}") from None
        found.argtypes = argtypes
        found.restype = ctypes.c_long
        return found

    def reset(self, sched: Scheduler, table: Sequence[Host]) -> None:
        """Everything as after loading, for a VM whose host is `table`, by enum native_request."""
        self._lib.native_reset()
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
        r: int = self._run(task, fn, self._died_at, a, b, c, d, e, f)
        sched.budget = control.budget + sched.threshold
        self.calls += 1  # others may have looked while this one was not over
        if self._died.value:
            self._leave()
        return r

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
        oracle, where, text = (self.control.died or b"").decode().split("\n", 2)
        raised, self._raised = self._raised, None
        if oracle == "python" and raised is not None:
            raise raised
        if where == "?":
            where = function_in(self.path, text)
        raise KernelSplat(oracle, where, text)

    def take_guards(self) -> list[int]:
        """The places of the kernel's code, by number, that were passed since the last call."""
        n = self._take_guards(ctypes.addressof(self._guards), MOST_GUARDS)
        return self._guards[:n]

    def splats(self) -> list[tuple[str, str]]:
        """The WARN()s since the last reset, as (place, text)."""
        text = (self.control.splats or b"").decode()
        return [(where, what) for where, _, what in (x.partition("\t") for x in text.splitlines())]


def _load_copy(path: Path) -> ctypes.PyDLL:
    """Loads a copy that nobody else has: the loader knows libraries by name and by inode."""
    with tempfile.TemporaryDirectory(prefix="difffuzz-native-") as folder:
        copy = Path(folder) / path.name
        try:
            shutil.copyfile(path, copy)
        except OSError as error:
            raise UsageError(f"{path}: {error.strerror}") from None
        return ctypes.PyDLL(str(copy))
