# SPDX-License-Identifier: GPL-2.0-only
"""Findings to test with: of a bug of the catalogue that a program of three operations shows."""

from __future__ import annotations

from pathlib import Path

from difffuzz.triage.record import Record, from_text

BUG = "ba6e3fe25543"
OPS = """slot 0 as=0 gfn=0x0 pages=0x10 area=1 page=0x0
vcpu0: read gfn=0x0
host0: dontneed area=1 page=0x0 n=0x1
vcpu0: read gfn=0x0
"""
AT = "2026-01-02T03:04:05+00:00"


def finding_text(
    signature: str = "progress:tdp:read:rets-1,1",
    right: str = f"tdp+{BUG}",
    ops: str = OPS,
    config: str = "config seq_bias=1",
) -> str:
    """A program file as the fuzzer writes it."""
    notes = {"signature": signature, "left": "legacy", "right": right, "mode": "lockstep"}
    comments = "".join(f"# {key}: {value}\n" for key, value in notes.items())
    return f"difffuzz program v1\n{comments}{config}\n{ops}"


def record(text: str = "", at: str = AT) -> Record:
    """The record of such a file."""
    found = from_text(text or finding_text(), "sample", at)
    assert found is not None
    return found


def write(out: Path, name: str, text: str) -> Path:
    """Puts a program file where a run has its findings."""
    path = out / "findings" / f"{name}.difffuzz"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path
