# SPDX-License-Identifier: GPL-2.0-only
"""Programs on a booted kernel, boot after boot: what the machine fails at is not the kernel's."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from difffuzz.errors import UsageError
from difffuzz.native.cache import Cache
from difffuzz.program import Config
from difffuzz.program.limits import N_AREAS
from difffuzz.program.ops import IS_HOST

from . import protocol
from .boot import Boot, Refused, Wish
from .doable import Adapted
from .observed import Run, read_log, read_runs, tag_of
from .wire import Broken

MOST_BOOTS_FAILED: Final = 3
"""Boots in a row that may fail before the machine is not able."""
INFRASTRUCTURE: Final = ("int3", "killed by signal", "does not come up")
"""Signs of a crash that is QEMU's or the host's: it is never a finding."""
INTERESTING: Final = ("WARNING:", "BUG:", "Oops", "KASAN", "possible recursive", "rcu: INFO")
"""Lines of the kernel's log that say that something is wrong with it."""


OBSERVED: Final = "t"
"""Traced: what observations of programs are made of."""
EVERYTHING: Final = "f"
"""Traced: what `corpus import --trace` reads."""
NOTHING: Final = "-"
"""Not traced."""


class Died(Exception):
    """The kernel crashed or hung under a program, twice, on boots of their own; one line."""


class Lane(NamedTuple):
    """Which of the MMUs, as in names of sides."""

    mmu: str

    @property
    def tdp(self) -> bool:
        """The TDP MMU."""
        return self.mmu == "tdp"


BOTH: Final = (Lane("legacy"), Lane("tdp"))


class Session:
    """Boots when it has to.  `boots` and `failures` count; `say` takes a line for people."""

    def __init__(
        self,
        wish: Wish,
        cache: Cache,
        say: Callable[[str], None],
        traced: str = OBSERVED,
        together: bool = False,
    ) -> None:
        """`together`: a program has a VM with each MMU, in one process, on the same memory.

        UsageError: this kernel cannot.
        """
        if together and not wish.kernel.both_at_once:
            raise UsageError(
                f"kernel {wish.kernel.name}: both MMUs together need one before 6.3, which reads "
                "tdp_mmu whenever it makes a VM"
            )
        self.wish = wish
        self.together = together
        self.boots = 0
        self.failures: list[str] = []
        self.release = ""
        self._cache = cache
        self._say = say
        self._traced = traced
        self._boot: Boot | None = None
        self._loaded: bool | None = None

    # Boots

    def boot(self) -> Boot:
        """The boot, made if there is none.  UsageError: it fails again and again."""
        failed = 0
        while self._boot is None:
            try:
                self._boot = Boot(self.wish, self._cache)
            except Broken as error:
                failed += 1
                self.failures.append(str(error))
                self._say(f"the boot failed: {error}")
                if failed == MOST_BOOTS_FAILED:
                    raise UsageError(
                        f"kernel {self.wish.kernel.name} does not boot: {error}"
                    ) from None
                continue
            self.boots += 1
            self.release = self._boot.release
        return self._boot

    def drop(self) -> None:
        """Ends the boot; the next program gets another."""
        if self._boot is not None:
            self._boot.kill()
        self._boot, self._loaded = None, None

    def load(self, lane: Lane, *, alone: bool = False) -> None:
        """Loads kvm so that a VM of that MMU can be made, if it is not; `alone`: of no other."""
        boot = self.boot()
        both = self._both and not alone
        if self._loaded is not None and (both or self._loaded == lane.tdp):
            return
        parameters = "" if both else f"tdp_mmu={'Y' if lane.tdp else 'N'}"
        try:
            boot.ask(protocol.LOAD, f"{self._traced}{parameters}".encode())
        except Refused as error:
            raise UsageError(f"kernel {self.wish.kernel.name}: {error}") from None
        self._loaded = lane.tdp

    @property
    def _both(self) -> bool:
        return self.wish.kernel.both_at_once

    # Programs

    def run(self, one: Adapted, lane: Lane) -> Run:
        """Runs it on a VM of its own.

        A crash counts when it has come again on a fresh boot: Died.  UsageError: the agent refuses
        the program, in one line.
        """
        [run] = self._survived(one, (lane,))
        return run

    def runs(self, one: Adapted, lanes: Sequence[Lane]) -> dict[Lane, Run | Died]:
        """Runs it with each MMU, with both at once if they are together.  UsageError as `run`."""
        found: dict[Lane, Run | Died] = {}
        if self.together:
            try:
                return dict(zip(BOTH, self._survived(one, BOTH), strict=True))
            except Died as death:
                return dict.fromkeys(BOTH, death)
        for lane in lanes:
            try:
                found[lane] = self.run(one, lane)
            except Died as death:
                found[lane] = death
        return found

    def _survived(self, one: Adapted, lanes: Sequence[Lane]) -> list[Run]:
        told = ""
        for _ in range(1 + MOST_BOOTS_FAILED):
            try:
                return self._run(one, lanes)
            except Broken as error:
                now = self._reason(error)
                self._say(f"{self.wish.kernel.name}: {now}")
                self.drop()
                if any(sign in now for sign in INFRASTRUCTURE):
                    self.failures.append(now)
                    continue
                if told:
                    raise Died(now) from None
                told = now
        if told:
            self.failures.append(told)
        raise UsageError(f"kernel {self.wish.kernel.name} cannot be kept running: {now}")

    def _reason(self, error: Broken) -> str:
        """What the console says of it, if that says more; an int3 goes by its own name."""
        console = self._boot.console if self._boot is not None else []
        if any("int3" in line for line in console):
            return "Oops: int3, QEMU's fault in code that was being patched"
        return str(error)

    def _run(self, one: Adapted, lanes: Sequence[Lane]) -> list[Run]:
        """Of all lanes at once; two of them are in the order in which the agent has them, BOTH."""
        self.load(lanes[0])
        boot = self.boot()
        ops = b"".join(bytes(_operation(one, index)) for index in range(len(one.program.ops)))
        try:
            boot.ask(protocol.BEGIN, bytes(vm_config(one, lanes, not self._both)))
            answer = boot.ask(protocol.OPS_FRAME, ops)
            ended = boot.ask(protocol.END)
        except Refused as error:
            raise UsageError(f"the agent: {error}") from None
        runs = read_runs(answer, self.wish.kernel.number, len(lanes))
        for run in runs:
            run.log.extend(read_log(ended))
        return runs

    def close(self) -> None:
        """Ends what runs."""
        self.drop()

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def splats(run: Run) -> list[str]:
    """Lines of the log that say that something is wrong with the kernel."""
    return [line for line in run.log if any(sign in line for sign in INTERESTING)]


def vm_config(one: Adapted, lanes: Sequence[Lane], by_load: bool) -> protocol.VmConfig:
    """BEGIN of a program."""
    config: Config = one.program.config
    made = protocol.VmConfig(
        tdp_mmu=lanes[0].tdp,
        together=len(lanes) > 1,
        tdp_by_load=by_load,
        vcpus=config.vcpus,
        nx=config.nx,
        eager_split=config.eager_split,
        manual_protect=config.manual_protect,
        init_set=config.init_set,
        slot_zap_all=config.slot_zap_all,
        mmu_pages=config.mmu_pages,
        smm=any(slot.as_id for slot in config.slots) or _uses_smm(one),
        nr_slots=len(config.slots),
        code_gfn=one.code_gfn,
    )
    for area in range(N_AREAS):
        made.areas[area] = protocol.AREAS.index(config.areas[area])
    for index, slot in enumerate(config.slots):
        made.slots[index] = protocol.ConfigSlot(
            slot.slot, slot.as_id, slot.flags, slot.area, slot.gfn, slot.npages, slot.page
        )
    return made


def _uses_smm(one: Adapted) -> bool:
    return any(op.kind.name == "SMM" for op in one.program.ops)


def _operation(one: Adapted, index: int) -> protocol.Operation:
    op = one.program.ops[index]
    made = protocol.Operation(
        number=index,
        kind=int(op.kind),
        thread=op.thread,
        tag=tag_of(index + 1),
        host=IS_HOST[op.kind],
        skip=index in one.skipped,
    )
    made.args[: len(op.args)] = op.args
    assert len(op.args) <= ctypes.sizeof(made.args) // 8
    return made
