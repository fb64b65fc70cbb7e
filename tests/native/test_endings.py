# SPDX-License-Identifier: GPL-2.0-only
"""A program that does not end, or ends badly, is a finding, and nothing else: of C code, too."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from difffuzz.cli import main
from difffuzz.errors import MissingTool, UsageError
from difffuzz.native.build import Wish, build
from difffuzz.native.cache import default_cache
from difffuzz.oracle import Verdict
from difffuzz.program import parse
from difffuzz.running.runner import Runner
from difffuzz.sched import KernelSplat
from difffuzz.sides import NativeFactory, open_side

from .needs import missing

PATCH = Path(__file__).with_name("endings.toml")
NAME = "tests-endings"
LEGACY, TDP = f"native:{NAME}:legacy", f"native:{NAME}:tdp"
SECONDS = 0.2
"""Of CPU time until the watchdog rings; nothing here waits for it but what has no end."""

HARMLESS = 0x10
RECURSES = 0x11
LIBC_FAULTS = 0x12
FREED_SP = 0x13
NO_ADDRESS = 0x14
FREED_TABLE = 0x15
CIRCLE = 0x16
LOOPS_IN_THE_PLAYER = 0x17
LOOPS = 0x18
LACKS = 0x19
"""What the zapped gfn breaks (endings.toml); a minimiser tries smaller ones."""


@cache
def built() -> None:
    try:
        wish = Wish(coverage=False, name=NAME, patches=[PATCH])
        build(wish, default_cache(), lambda line: None)
    except (MissingTool, UsageError) as error:
        missing(str(error))


@pytest.fixture(scope="module")
def runner() -> Runner:
    """One for all tests: what one program broke must not reach the next."""
    built()
    runner = Runner(LEGACY, TDP)
    runner.watchdog.seconds = SECONDS
    return runner


def text(gfn: int, *, threads: bool = False) -> str:
    """A program that maps a page, and zaps `gfn`."""
    lines = ["difffuzz program v1", "config vcpus=2 mmu_pages=64"]
    lines += ["slot 0 as=0 gfn=0x0 pages=0x400 area=1 page=0x0", "vcpu0: write gfn=0x1"]
    lines += ["vmm: sync", "vcpu1: read gfn=0x2"] if threads else []
    lines += [f"vmm: zap_gfn_range gfn={gfn:#x} n=0x1", "vcpu0: write gfn=0x1"]
    return "\n".join(lines) + "\n"


def run(runner: Runner, gfn: int, *, threads: bool = False) -> Verdict:
    return runner(parse(text(gfn, threads=threads)))


def signatures(verdict: Verdict) -> list[str]:
    return [one.signature for one in verdict.divergences]


@pytest.fixture(autouse=True)
def _reaches_no_other_program(runner: Runner) -> object:
    yield
    for threads in (False, True):
        assert signatures(run(runner, HARMLESS, threads=threads)) == []


@pytest.mark.parametrize("threads", [False, True])
def test_a_loop_of_the_player_is_a_fault_of_the_harness(runner: Runner, threads: bool) -> None:
    verdict = run(runner, LOOPS_IN_THE_PLAYER, threads=threads)
    assert signatures(verdict) == [f"harness:{LEGACY}/{TDP}:program:hang"]
    assert "break_it()" in verdict.divergences[0].detail


@pytest.mark.parametrize("threads", [False, True])
def test_a_loop_of_the_kernel_is_one_of_that_side(runner: Runner, threads: bool) -> None:
    found = signatures(run(runner, LOOPS, threads=threads))
    assert found[0] == f"progress:{LEGACY}:zap_gfn_range:hang"


@pytest.mark.parametrize("threads", [False, True])
def test_a_function_that_the_harness_lacks_names_itself_and_its_caller(
    runner: Runner, threads: bool
) -> None:
    verdict = run(runner, LACKS, threads=threads)
    assert signatures(verdict)[0] == f"crash:{LEGACY}:zap_gfn_range:nobody_has_this"
    detail = verdict.divergences[0].detail
    assert "the harness has no such function: add it to harness/native/kernel; called at" in detail
    assert detail.endswith("break_it()") or detail.endswith("kvm_zap_gfn_range()")


@pytest.mark.parametrize("gfn", [RECURSES, LIBC_FAULTS])
@pytest.mark.parametrize("threads", [False, True])
def test_a_bad_access_ends_the_program_only(runner: Runner, gfn: int, threads: bool) -> None:
    found = signatures(run(runner, gfn, threads=threads))
    assert found[0].startswith(f"crash:{LEGACY}:zap_gfn_range:")


@pytest.mark.parametrize(
    ("gfn", "oracle"),
    [(FREED_SP, "uaf"), (CIRCLE, "crash"), (NO_ADDRESS, "uaf"), (FREED_TABLE, "uaf")],
)
@pytest.mark.parametrize(
    ("name", "listed"),
    [(LEGACY, "active_mmu_pages"), (TDP, "tdp_mmu_roots")],
    ids=["legacy", "tdp"],
)
def test_a_broken_list_is_told_by_its_name(name: str, listed: str, gfn: int, oracle: str) -> None:
    built()
    program = parse(text(gfn))
    factory = open_side(name)
    assert isinstance(factory, NativeFactory)
    side = factory.start(program.config)
    for number, op in enumerate(program.ops[:2]):
        side.execute(op, number)
    with pytest.raises(KernelSplat) as met:
        list(getattr(side.kvm, listed))
    assert (met.value.oracle, met.value.where) == (oracle, listed)


@pytest.mark.parametrize("gfn", [FREED_SP, NO_ADDRESS, FREED_TABLE])
@pytest.mark.parametrize("threads", [False, True])
@pytest.mark.parametrize("sides", [(LEGACY, TDP), (TDP, LEGACY)], ids=["legacy", "tdp"])
def test_a_program_that_breaks_a_list_is_a_finding(
    sides: tuple[str, str], gfn: int, threads: bool
) -> None:
    built()
    runner = Runner(*sides)
    runner.watchdog.seconds = SECONDS
    assert run(runner, gfn, threads=threads).divergences


@pytest.mark.parametrize("command", ["replay", "explain", "minimize"])
@pytest.mark.parametrize("gfn", [RECURSES, NO_ADDRESS])
def test_commands_outlive_the_side(
    command: str, gfn: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    built()
    path, small = tmp_path / "one.difffuzz", tmp_path / "small.difffuzz"
    path.write_text(text(gfn))
    words = [command, str(path), "--left", LEGACY, "--right", TDP]
    if command == "minimize":
        assert main([*words, "-o", str(small)]) == 0
        assert len(parse(small.read_text()).ops) < len(parse(path.read_text()).ops)
    else:
        assert main(words) == 1
        assert f":native:{NAME}:" in capsys.readouterr().out


def test_no_library_is_loaded_where_its_memory_would_be_the_guest_s(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    built()
    monkeypatch.setattr("difffuzz.native.library.MOST_ADDRESSES_KB", 1)
    with pytest.raises(UsageError, match="too many copies of builds are loaded in this process"):
        open_side(LEGACY)
