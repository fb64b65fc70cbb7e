# SPDX-License-Identifier: GPL-2.0-only
"""`findings bisect`: the patch of a series that brings a bug of the kernel's own code is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from difffuzz.cli import main
from tests.docs.valid import valid
from tests.triage.samples import finding_text, write

from .kernel import NAME, source

OPS = "slot 0 as=0 gfn=0x0 pages=0x10 area=1 page=0x0\nvcpu0: write gfn=0x0\n"
STALE = "return fault->slot &&\n mmu_invalidate_retry_hva(vcpu->kvm, fault->mmu_seq, fault->hva);"
CHANGES = {
    "0001-first": ("is_page_fault_stale", STALE, STALE.replace("return", "return true &&")),
    "0002-second": ("is_page_fault_stale", "return true &&", "return true ||"),
    "0003-third": ("is_page_fault_stale", "return true ||", "return 1 ||"),
}
"""The second one makes every fault stale."""


def series(folder: Path) -> list[str]:
    """Options that name three patches."""
    options = []
    for name, (function, find, replace) in CHANGES.items():
        path = folder / f"{name}.toml"
        path.write_text(
            f"subject = '{name}'\n[[change]]\nfile = 'arch/x86/kvm/mmu/mmu.c'\n"
            f"function = '{function}'\nfind = '''{find}'''\nreplace = '''{replace}'''\n"
        )
        options += ["--patch", str(path)]
    return options


def test_the_patch_that_brings_a_bug_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tree = source()
    sides = f"native:{NAME}:legacy", f"native:{NAME}:tdp"
    text = finding_text("progress:native:legacy:write:rets-1,1", sides[1], OPS, "config vcpus=1")
    write(tmp_path, "one", text.replace("# left: legacy", f"# left: {sides[0]}"))
    assert main(["findings", "list", "--out", str(tmp_path), "--json"]) == 0
    [found] = json.loads(capsys.readouterr().out)
    command = ["findings", "bisect", found["id"], "--tree", str(tree), *series(tmp_path)]
    assert main([*command, "--out", str(tmp_path), "--json"]) == 0
    document = valid("findings bisect", json.loads(capsys.readouterr().out))
    assert document["subject"] == "0002-second.toml"
    assert document["mail"].startswith("Subject: [BUG] KVM: x86/mmu: progress")
    assert "vcpu0: write gfn=0x0" in document["mail"]
    assert main([*command[:5], *series(tmp_path)[:2], "--out", str(tmp_path)]) == 2
    assert "does not show" in capsys.readouterr().err
