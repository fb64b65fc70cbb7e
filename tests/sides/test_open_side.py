# SPDX-License-Identifier: GPL-2.0-only
"""Sides by name, and what a configuration makes of a VM."""

from __future__ import annotations

from pathlib import Path

import pytest

from difffuzz.errors import UsageError
from difffuzz.program import Config, Kind, parse
from difffuzz.program.ops import GUEST_KINDS, OPS
from difffuzz.sides import open_side
from difffuzz.sides.host_ops import HOST_OPS
from difffuzz.sides.kvm_side import KvmSide
from difffuzz.sides.params import vm_params
from difffuzz.sides.spec import SpecSide
from difffuzz.sides.user_space import VCPU_EVENTS, VM_OPS
from difffuzz.variants import PatchError
from tests.kvm.vm import kvm_of

PATCH = """\
--- a/difffuzz/kvm/vmx.py
+++ b/difffuzz/kvm/vmx.py
@@ -1 +1 @@
-PML_ENTITY_NUM = 512
+PML_ENTITY_NUM = 4
"""
OTHER = """\
--- a/difffuzz/kvm/mmu_zap.py
+++ b/difffuzz/kvm/mmu_zap.py
@@ -1 +1 @@
-BATCH_ZAP_PAGES = 10
+BATCH_ZAP_PAGES = 1
"""


def started(name: str, config: Config | None = None) -> KvmSide:
    side = open_side(name).start(config or Config())
    assert isinstance(side, KvmSide)
    return side


def test_plain_names() -> None:
    assert not started("legacy").kvm.tdp_mmu_enabled
    assert started("tdp").kvm.tdp_mmu_enabled
    assert isinstance(open_side("spec").start(Config()), SpecSide)
    assert [open_side(name).name for name in ("legacy", "tdp", "spec")] == ["legacy", "tdp", "spec"]


def test_patched_names(tmp_path: Path) -> None:
    for file, text in (("small_pml.patch", PATCH), ("batch.patch", OTHER)):
        (tmp_path / file).write_text(text)
    one = f"{tmp_path}/small_pml.patch"
    both = f"{one}+{tmp_path}/batch.patch"
    assert open_side(f"tdp+{one}").name == "tdp+small_pml"
    assert open_side(f"legacy+{both}").name == "legacy+small_pml+batch"
    pml = Config(dirty_mode="pml")
    assert kvm_of(started(f"tdp+{one}", pml)).cpu_dirty_log_size == 4
    assert kvm_of(started(f"tdp+{both}", pml)).cpu_dirty_log_size == 4
    assert kvm_of(started("tdp", pml)).cpu_dirty_log_size == 512


@pytest.mark.parametrize("name", ["", "TDP", "shadow", "tdp@", "spec+x.patch", "+x.patch", "tdp "])
def test_unknown_names_are_wrong_use(name: str) -> None:
    with pytest.raises(UsageError, match="unknown side"):
        open_side(name)


def test_a_patch_that_is_not_there_is_wrong_use(tmp_path: Path) -> None:
    with pytest.raises(PatchError, match="cannot be read"):
        open_side(f"tdp+{tmp_path}/none.patch")


def test_every_host_operation_has_its_call() -> None:
    host0 = 4
    assert set(HOST_OPS) == {kind for kind, spec in OPS.items() if host0 in spec.threads}
    for kind in set(Kind) - set(HOST_OPS):
        accesses = kind <= Kind.END_FAULT or kind == Kind.PREFAULT  # sides/guests.py
        assert accesses or kind in GUEST_KINDS or kind in (VCPU_EVENTS | VM_OPS)


@pytest.mark.parametrize(
    ("config", "field", "value"),
    [
        ("", "tdp_mmu_enabled", True),
        ("root_level=5", "max_tdp_level", 5),
        ("root_level=5", "maxphyaddr", 52),
        ("root_level=5", "tdp_root_level", 0),
        ("layout=npt root_level=5", "tdp_root_level", 5),
        ("maxphyaddr=45", "maxphyaddr", 45),
        ("max_level=2M", "max_huge_page_level", 2),
        ("nx=on", "nx_huge_pages", True),
        ("eager_split=off", "eager_page_split", False),
        ("dirty_mode=pml", "cpu_dirty_log_size", 512),
        ("manual_protect=on", "manual_dirty_log_protect", True),
        ("manual_protect=on init_set=on", "dirty_log_init_set", True),
        ("async_pf=on", "enable_async_pf", True),
        ("range_flush=on", "range_flush", True),
        ("mmu_pages=9", "n_max_mmu_pages", 9),
        ("mmu_pages=0", "n_max_mmu_pages", 64),
        ("seq_bias=0", "mmu_invalidate_seq", 0),
        ("seq_bias=2", "mmu_invalidate_seq", (1 << 31) - 2),
    ],
)
def test_the_configuration_reaches_the_vm(config: str, field: str, value: object) -> None:
    program = parse(f"difffuzz program v1\nconfig {config}\n")
    assert getattr(started("tdp", program.config).kvm, field) == value


def test_the_generation_begins_some_updates_before_it_wraps() -> None:
    """gen_bias counts updates of memslots that are left once the initial slots are there."""
    text = "slot 0 gfn=0x0 pages=0x8 area=1\nslot 1 gfn=0x10 pages=0x8 area=1\n"
    text += "slot 0 as=1 gfn=0x0 pages=0x8 area=1\n"
    for bias in (1, 2, 3):
        program = parse(f"difffuzz program v1\nconfig gen_bias={bias}\n{text}")
        memslots = started("tdp", program.config).kvm.memslots
        assert memslots[0].generation == (1 << 19) - 2 * bias
        assert memslots[1].generation == (1 << 19) - 2 * bias + 1
    assert vm_params(Config(), tdp_mmu=True).before_wrap == (0, 0)


def test_layouts_have_their_masks() -> None:
    ept = started("tdp", Config(layout="ept")).kvm.masks
    npt = started("tdp", Config(layout="npt")).kvm.masks
    assert (ept.shadow_x_mask, ept.shadow_nx_mask) == (4, 0)
    assert (npt.shadow_x_mask, npt.shadow_nx_mask) == (0, 1 << 63)


def test_a_nonpaging_guest_has_pae_roots_in_the_format_of_x86() -> None:
    config = parse("difffuzz program v1\nconfig paging=nonpaging layout=npt\n").config
    kvm = kvm_of(started("legacy", config))
    assert not kvm.tdp_enabled
    assert kvm.vcpus[0].mmu.root_role.level == 3
    assert kvm.vcpus[0].mmu.pae_root
    assert kvm.masks.shadow_nx_mask
    with pytest.raises(UsageError, match="the TDP MMU needs paging"):
        open_side("tdp").start(config)
