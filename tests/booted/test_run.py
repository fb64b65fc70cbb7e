# SPDX-License-Identifier: GPL-2.0-only
"""Reproducers on a booted kernel: what counts as one, and the write that Linux 6.1 loses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from msgspec import convert

from difffuzz.booted.kernel import fetched
from difffuzz.booted.qemu import find_qemu
from difffuzz.booted.reproduce import Outcome, binary_of
from difffuzz.cli import main
from difffuzz.errors import MissingTool, UsageError
from difffuzz.manual.documents import KernelReplayed, ReproducerRuns
from difffuzz.native.cache import default_cache

from ..native.needs import missing, needs

LOST = """difffuzz program v1
config manual_protect=on init_set=on
slot 0 as=0 gfn=0x1c1 pages=0x400 area=0 page=0x1c1
vcpu0: write gfn=0x200
vmm: memslot_flags slot=0 as=0 flags=dirty
vmm: dirty_clear slot=0 as=0 first=0x0 n=0x40
vcpu0: write gfn=0x200
vmm: dirty_get slot=0 as=0
"""
REPRODUCERS = Path(__file__).resolve().parents[2] / "harness" / "reproducers"
TRACED = (
    "kvm_page_fault",
    "kvm_mmu_spte_requested",
    "kvm_mmu_set_spte",
    "kvm_mmu_get_page",
    "kvm_unmap_hva_range",
    "pf",
    "begun",
    "ends",
    "vm",
)
KTAP = """TAP version 13
1..2
ok 1 - one
not ok 2 - vmm: dirty_get
# WRITE LOST (in 3 of 9 rounds)
# wrong in 3 of 9 rounds
"""


def test_what_ktap_says() -> None:
    bad = Outcome("tdp", 1, KTAP)
    assert bad.verdict == "not ok"
    assert bad.bad == ["not ok 2 - vmm: dirty_get # WRITE LOST (in 3 of 9 rounds)"]
    assert bad.rounds == (3, 9)
    good = Outcome("tdp", 0, "TAP version 13\n1..1\nok 1 - one\n")
    assert (good.verdict, good.bad, good.rounds) == ("ok", [], (0, 1))
    assert Outcome("tdp", 4, "1..0 # SKIP no /dev/kvm").verdict == "skipped"
    assert Outcome("tdp", 128 + 11, "").verdict == "not ok"


@needs("gcc")
def test_what_is_no_reproducer(tmp_path: Path) -> None:
    broken = tmp_path / "broken.c"
    broken.write_text("int main(void) { return x; }\n")
    with pytest.raises(UsageError, match=r"broken.c: gcc: .*undeclared"):
        binary_of(broken)
    text = tmp_path / "text"
    text.write_text("difffuzz program v1\n")
    with pytest.raises(UsageError, match="neither C"):
        binary_of(text)
    with pytest.raises(UsageError, match="No such file"):
        binary_of(tmp_path / "absent.c")


@needs("gcc")
@pytest.mark.parametrize("path", sorted(REPRODUCERS.glob("*.c")), ids=lambda path: path.stem)
def test_shipped_reproducers_build(path: Path) -> None:
    assert binary_of(path).startswith(b"\x7fELF")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_linux_loses_the_write_on_both_mmus(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        find_qemu()
        fetched(default_cache(), "6.1")
    except (MissingTool, UsageError) as error:
        missing(str(error))
    program, made = tmp_path / "lost.difffuzz", tmp_path / "lost.c"
    program.write_text(LOST)
    assert main(["export", str(program), "--to", "c", "-o", str(made)]) == 0
    capsys.readouterr()
    traces = tmp_path / "traces"
    assert main(["kernel", "run", str(made), "--trace", str(traces), "--json"]) == 1
    found = convert(json.loads(capsys.readouterr().out), ReproducerRuns)
    assert [one.verdict for one in found.runs] == ["not ok", "not ok"]
    for mmu, events in (("legacy", TRACED), ("tdp", (*TRACED, "kvm_tdp_mmu_spte_changed"))):
        text = (traces / f"lost-{mmu}.trace").read_text()
        for event in events:
            assert f" {event}: " in text, (mmu, event)
    assert main(["kernel", "replay", str(program), "--json"]) == 1
    [replayed] = convert(json.loads(capsys.readouterr().out), list[KernelReplayed])
    lost = {f"dirty-log:kernel:{mmu}:dirty_get" for mmu in ("legacy", "tdp")}
    assert {one.signature for one in replayed.divergences} == lost
    assert all("WRITE LOST" in one.bad[0] for one in found.runs)
