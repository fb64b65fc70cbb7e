# SPDX-License-Identifier: GPL-2.0-only
"""An answer of the agent, taken apart: trace lines find their operation, numbers their names."""

from __future__ import annotations

import pytest

from difffuzz.booted.observed import Fault, Set, read_log, read_runs
from difffuzz.booted.protocol import RESULTS, STATS, Observation
from difffuzz.booted.ret_pf import ret_pf_names
from difffuzz.booted.wire import Broken

HEAD = "            init-1       [000] ....."
PARKED = "           init-77      [001] ....."


def answer(trace: str, words: int = 0, vms: int = 1) -> bytes:
    ok = RESULTS.index("ok")
    told = [Observation(result=ok, value=5 + n, words=words) for n in range(2 * vms)]
    told[1].stats[STATS.index("pages_2m")] = 3
    bitmap = (2).to_bytes(8, "little") + (0x10).to_bytes(8, "little")
    bodies = [bytes(one) + bitmap * words for one in told]
    parts = [(2).to_bytes(4, "little"), *bodies]
    for text in (trace, "kernel: WARNING: at x\n"):
        parts += [len(text).to_bytes(4, "little"), text.encode()]
    return b"".join(parts)


TRACE = f"""\
{HEAD}     1: tracing_mark_write: op 0 vm 0
{HEAD}     2: kvm_page_fault: vcpu 0 rip 0x1 address 0x0000000000201008 error_code 0x100000006
{PARKED}   3: kvm_page_fault: vcpu 1 rip 0x1 address 0x0000000000300000 error_code 0x100000004
{HEAD}     4: kvm_mmu_set_spte: gfn 201 spte 8000000001000e67 (rw-u) level 1 at 6b30000
{HEAD}     5: pf: (kvm_mmu_page_fault+0x113/0x980 [kvm] <- kvm_tdp_page_fault) ret=4
{HEAD}     6: tracing_mark_write: op 1 vm 0
{PARKED}   7: pf: (kvm_mmu_page_fault+0x113/0x980 [kvm] <- kvm_tdp_page_fault) ret=1
{HEAD}     8: kvm_page_fault: vcpu 0 rip 0x1 address 0x0000000000005000 error_code 0x10000000c
{HEAD}     9: check_mmio_spte: spte 8000000000027 kvm_gen 6 spte-gen 4 valid 0
{HEAD}    10: kvm_tdp_mmu_spte_changed: as id 0 gfn 200 level 2 old_spte 0 new_spte 6b2e827
{HEAD}    11: tracing_mark_write: op -1 vm 0
"""


def test_events_find_their_operation() -> None:
    [run] = read_runs(answer(TRACE, words=1), (6, 1))
    one, other = run.seen
    assert one.faults == [Fault(0x201, "FIXED")]
    assert one.sets == [Set(0x201, 1, 0x8000000001000E67)]
    assert other.faults == [Fault(0x300, "RETRY"), Fault(5, "INVALID")]
    assert other.changes == [(0x200, 2, 0, 0x6B2E827)]
    assert other.bitmap == {2: 0x10}
    assert other.stats["pages_2m"] == 3
    assert run.log == ["kernel: WARNING: at x"]
    assert not run.lost


TOGETHER = f"""\
{HEAD}     1: tracing_mark_write: op 0 vm 0
{HEAD}     2: tracing_mark_write: op 0 vm 1
{HEAD}     3: kvm_page_fault: vcpu 0 rip 0x1 address 0x0000000000201008 error_code 0x100000006
{HEAD}     4: pf: (kvm_mmu_page_fault+0x113/0x980 [kvm] <- kvm_tdp_page_fault) ret=4
{HEAD}     5: tracing_mark_write: op 0 vm 0
{HEAD}     6: kvm_tdp_mmu_spte_changed: as id 0 gfn 200 level 2 old_spte 0 new_spte 6b2e827
{HEAD}     7: tracing_mark_write: op 1 vm 0
  vm1-77  [001] ....     8: kvm_page_fault: vcpu 1 rip 0x1 address 0x5000 error_code 0x4
  vm0-76  [001] ....     9: kvm_page_fault: vcpu 1 rip 0x1 address 0x5000 error_code 0x4
  vm1-77  [001] ....    10: pf: (kvm_mmu_page_fault+0x113 <- kvm_tdp_page_fault) ret=1
  vm0-76  [001] ....    11: pf: (kvm_mmu_page_fault+0x113 <- kvm_tdp_page_fault) ret=4
"""


def test_two_vms_of_one_program() -> None:
    legacy, tdp = read_runs(answer(TOGETHER, vms=2), (6, 1), 2)
    assert [seen.value for seen in legacy.seen] == [5, 7]
    assert [seen.value for seen in tdp.seen] == [6, 8]
    assert (legacy.seen[0].faults, tdp.seen[0].faults) == ([], [Fault(0x201, "FIXED")])
    assert (legacy.seen[0].changes, len(tdp.seen[0].changes)) == ([], 1)
    assert legacy.seen[1].faults == [Fault(5, "FIXED")]
    assert tdp.seen[1].faults == [Fault(5, "RETRY")]


def test_the_same_number_is_another_answer_in_another_version() -> None:
    assert ret_pf_names((6, 1))[4] == "FIXED"
    assert ret_pf_names((6, 11))[4] == "FIXED"
    assert ret_pf_names((6, 12))[4] == "INVALID"
    assert read_runs(answer(TRACE), (7, 2))[0].seen[0].faults == [Fault(0x201, "INVALID")]


def test_the_log_of_a_vms_end() -> None:
    assert read_log((6).to_bytes(4, "little") + b"a: b\nc") == ["a: b", "c"]
    assert read_log(bytes(4)) == []


def test_an_answer_that_is_cut_off() -> None:
    whole = answer(TRACE)
    for size in (3, 40, len(whole) - 1):
        with pytest.raises(Broken, match="too early"):
            read_runs(whole[:size], (6, 1))
