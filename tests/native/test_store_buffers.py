# SPDX-License-Identifier: GPL-2.0-only
"""Store buffers of the kernel's own code: a barrier taken out of it, which nothing else shows."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from difffuzz.engine import concurrent
from difffuzz.engine.explore import explore
from difffuzz.engine.fast_schedules import FastSchedules
from difffuzz.errors import MissingTool, UsageError
from difffuzz.native.build import Wish, build
from difffuzz.native.cache import default_cache
from difffuzz.native.named_change import read_changes
from difffuzz.program import parse
from difffuzz.program.limits import MAX_SCHEDULE
from difffuzz.running.runner import Runner
from difffuzz.sched.store_buffer import FIRST_BUFFER
from difffuzz.shrink.finding import shrink
from difffuzz.sides import NativeFactory, open_side

from .kernel import NAME, ROOT, built, built_with_stores
from .needs import missing

PATCHES = ROOT / "harness" / "native" / "tso_patches"
PATCH = PATCHES / "reading-without-barrier.toml"
REQUEST = PATCHES / "request-without-barrier.toml"
WALKS = 20_000
STEPS = 60_000
PROGRAM = parse("""\
difffuzz program v1
config ad=off nx=on
slot 0 as=0 gfn=0x0 pages=0x200 area=0 page=0x0
vcpu0: exec gfn=0x0
host0: age area=0 page=0x0 n=0x1 flush=on
vmm: sync
vcpu0: read gfn=0x0
worker: nx_recover
""")
RACE = parse("""\
difffuzz program v1
slot 0 as=0 gfn=0x0 pages=0x1 area=1 page=0x0
vcpu0: read gfn=0x0
vmm: sync
vcpu0: read gfn=0x0
host0: dontneed area=1 page=0x0 n=0x1
""")
HALF_MADE = parse("""\
difffuzz program v1
config vcpus=2 root_level=5 maxphyaddr=52 four_levels=vcpu0
slot 0 as=0 gfn=0x0 pages=0x280 area=0 page=0x0 flags=dirty,readonly
vcpu0: read gfn=0x200
vcpu1: read gfn=0x0
""")


@cache
def broken() -> str:
    """A build without the barrier."""
    built()
    name = f"{NAME}-reading-without-barrier"
    wish = Wish(coverage=False, name=name, patches=[PATCH])
    try:
        build(wish, default_cache(), lambda line: None)
    except (MissingTool, UsageError) as error:
        missing(str(error))
    return name


def legacy(name: str) -> NativeFactory:
    side = open_side(f"native:{name}:legacy")
    assert isinstance(side, NativeFactory)
    return side


@pytest.mark.parametrize("path", sorted(PATCHES.glob("*.toml")), ids=lambda path: path.stem)
def test_a_patch_says_what_it_does(path: Path) -> None:
    patch = read_changes(path, path.read_text())
    assert patch.why
    assert all(change.function for change in patch.change)


def test_walks_with_delays_show_the_barrier_that_is_missing() -> None:
    """And the engine sees it under the same schedule, and the minimiser keeps the delay."""
    side = legacy(broken())
    walks = FastSchedules([side], delays=True)
    suspicion = next(walks.walks(PROGRAM, WALKS, STEPS, set()))
    assert len(suspicion.schedule) <= MAX_SCHEDULE
    program = PROGRAM._replace(schedule=suspicion.schedule)
    (found,) = concurrent.run(program, side, side).divergences
    assert found.oracle == "uaf"
    run = Runner(side.name, side.name, mode="concurrent")
    schedule = shrink(run, program, found.signature, 20.0).program.schedule
    assert any(thread >= FIRST_BUFFER for _, thread in schedule)
    assert len(schedule) < len(suspicion.schedule)


def test_walks_without_do_not() -> None:
    walks = FastSchedules([legacy(broken())])
    assert not list(walks.walks(PROGRAM, WALKS, STEPS, set()))
    assert walks.runs == WALKS


def test_the_kernel_as_it_is_is_quiet() -> None:
    walks = FastSchedules([legacy(built())], delays=True)
    assert not list(walks.walks(PROGRAM, WALKS, STEPS, set()))


@pytest.mark.parametrize("mmu", ["legacy", "tdp"])
def test_every_schedule_with_one_delay_is_quiet(mmu: str) -> None:
    side = open_side(f"native:{built()}:{mmu}")
    plain, delayed = (
        explore(RACE, side, side, 1, reduce=False, sides=(0,), delays=delays)
        for delays in (False, True)
    )
    assert plain.complete
    assert delayed.complete
    assert plain.shown == delayed.shown == []
    assert plain.ends == delayed.ends == [{("ok",)}]
    assert delayed.schedules > plain.schedules


def test_a_run_without_delays_takes_the_steps_that_it_took() -> None:
    """Stores that may wait, and do not, change nothing."""
    side = legacy(built())
    steps = [concurrent.run(PROGRAM, side, side, delays=delays).steps for delays in (False, True)]
    assert steps[0] == steps[1]


def test_fuzz_delays_stores_if_it_is_asked_to() -> None:
    runner = Runner(f"native:{built()}:legacy", f"native:{built()}:tdp", delays=True)
    assert runner.schedules is not None
    assert not runner(RACE).divergences
    assert runner.schedules.runs > 0


@pytest.mark.parametrize("mmu", ["legacy", "tdp"])
def test_a_request_without_a_barrier_shows_in_a_build_with_stores(mmu: str) -> None:
    """Who makes one does so outside of the MMU's files, where other builds delay nothing."""
    side = open_side(f"native:{built_with_stores(REQUEST)}:{mmu}")
    assert isinstance(side, NativeFactory)
    assert not list(FastSchedules([side]).walks(RACE, WALKS, STEPS, set()))
    walks = FastSchedules([side], delays=True)
    suspicion = next(walks.walks(RACE, 8 * WALKS, STEPS, set()))
    verdict = concurrent.run(RACE._replace(schedule=suspicion.schedule), side, side)
    assert verdict.divergences[0].oracle == "stale-access"


def test_a_build_with_stores_is_quiet_without_the_patch() -> None:
    sides = [open_side(f"native:{built_with_stores()}:{mmu}") for mmu in ("legacy", "tdp")]
    walks = FastSchedules([side for side in sides if isinstance(side, NativeFactory)], delays=True)
    assert not list(walks.walks(RACE, WALKS, STEPS, set()))
    assert walks.runs == 2 * WALKS


def test_a_shadow_page_that_is_half_made_is_no_table_yet() -> None:
    """Four of these walks come to one that others see so: it was taken for one of the other MMU."""
    side = open_side(f"native:{built_with_stores()}:tdp")
    assert isinstance(side, NativeFactory)
    walks = FastSchedules([side], delays=True)
    assert not list(walks.walks(HALF_MADE, 2 * WALKS, STEPS, set()))
