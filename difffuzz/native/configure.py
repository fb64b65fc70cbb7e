# SPDX-License-Identifier: GPL-2.0-only
"""Configure a shadow tree and have make write its generated headers; once for the same content."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import msgspec

from ..errors import MissingTool, UsageError
from .cache import write_atomic
from .digests import Digests
from .messages import Places, first_error
from .run import PACKAGES, Failed, find, install_command, run
from .tree import KernelTree

BASE = "x86_64_defconfig"

ON = ("KVM", "KVM_INTEL", "EXPERT", "SMP", "X86_5LEVEL", "PREEMPT", "KVM_PROVE_MMU")
"""PREEMPT and SMP make RCU and locks calls; X86_5LEVEL makes the memory map variables; where the
tree has KVM_PROVE_MMU, it turns assertions of the MMU on."""

OFF = (
    "KVM_AMD", "KVM_XEN", "KVM_HYPERV", "RETPOLINE", "RETHUNK", "SLS", "SPECULATION_MITIGATIONS",
    "MITIGATION_RETPOLINE", "MITIGATION_RETHUNK", "CPU_MITIGATIONS", "STACKPROTECTOR", "FTRACE",
    "KPROBES", "JUMP_LABEL", "PARAVIRT", "HYPERVISOR_GUEST", "RANDOMIZE_BASE", "X86_KERNEL_IBT",
    "DEBUG_INFO_BTF", "PREEMPT_DYNAMIC", "MODULES", "NUMA", "CGROUPS", "FORTIFY_SOURCE", "SWAP",
    "SECURITY", "MEMORY_FAILURE", "LOCALVERSION_AUTO", "RUST", "WERROR", "PREEMPT_NONE",
    "PREEMPT_VOLUNTARY", "PREEMPT_LAZY",
)  # fmt: skip

MUST_BE_ON = ("KVM", "KVM_INTEL", "SMP", "X86_5LEVEL", "PREEMPT", "PREEMPT_RCU")
MUST_BE_OFF = (
    "RETPOLINE", "RETHUNK", "MITIGATION_RETPOLINE", "MITIGATION_RETHUNK", "SLS", "STACKPROTECTOR",
    "FTRACE", "JUMP_LABEL", "PARAVIRT", "X86_KERNEL_IBT", "PREEMPT_DYNAMIC", "FORTIFY_SOURCE",
    "NUMA", "CFI_CLANG", "LTO_CLANG",
)  # fmt: skip
"""Without these the harness would not compile, or compile into something else."""

TOOLS = ("make", "gcc", "ld", "flex", "bison", "bc")
LOG = "configure.log"
STATE = ".prepared"

_DEPENDENCY = re.compile(r"^\s+([^\s$()]+) \\$", re.MULTILINE)
_SYMBOL = re.compile(rb"^\s*(?:menu)?config\s+(\w+)", re.MULTILINE)


class _State(msgspec.Struct):
    """What the shadow was prepared for."""

    configured: bytes
    prepared: bytes
    inputs: list[str]
    """Files that went into the generated headers, relative to the shadow."""


def prepare(tree: KernelTree, shadow: Path, digests: Digests, say: Callable[[str], None]) -> bool:
    """Bring the shadow's configuration and generated headers up to date. True: make has run.

    UsageError: the tree is broken, or an option that matters cannot be set. MissingTool.
    """
    configuration = _configuration_digest(shadow, digests)
    state = _load(shadow)
    same = state is not None and state.configured == configuration
    if state and same and state.prepared == _inputs_digest(shadow, state.inputs, digests):
        return False
    require_tools()
    if same:
        say(f"generating headers of Linux {tree.version} again")
    else:
        say(f"configuring Linux {tree.version}")
        (shadow / STATE).unlink(missing_ok=True)
        _configure(tree, shadow)
    _make(tree, shadow, "prepare0")
    digests.forget()
    inputs = sorted(set(_inputs(shadow)))
    done = _State(
        _configuration_digest(shadow, digests), _inputs_digest(shadow, inputs, digests), inputs
    )
    write_atomic(shadow / STATE, msgspec.msgpack.encode(done))
    return True


def stale(shadow: Path, patched: Iterable[str]) -> list[str]:
    """Those of the files that went into the configuration or the generated headers.

    A patch of them changes neither: both are of the shadow, without patches.
    """
    state = _load(shadow)
    used = {*_kconfig_files(shadow), *(state.inputs if state else ())}
    return sorted(used.intersection(patched))


def require_tools() -> None:
    """MissingTool: one that make needs is not installed (the line names all of them)."""
    missing = [tool for tool in TOOLS if find(tool) is None]
    if missing:
        packages = sorted({PACKAGES[tool] for tool in missing})
        raise MissingTool(f"{', '.join(missing)} not installed", install_command(*packages))


def _configure(tree: KernelTree, shadow: Path) -> None:
    _make(tree, shadow, BASE)
    options = [word for name in ON for word in ("-e", name)]
    options += [word for name in OFF for word in ("-d", name)]
    run([str(shadow / "scripts" / "config"), *options], cwd=shadow)
    _make(tree, shadow, "olddefconfig")
    problems = list(_not_taken(shadow))
    if problems:
        raise UsageError(f"{tree.root}: Linux {tree.version} cannot be configured: {problems[0]}")


def _make(tree: KernelTree, shadow: Path, target: str) -> None:
    """Run make for one target in the shadow; its log is kept. UsageError: the tree is broken."""
    log = shadow / LOG
    try:
        run(
            ["make", "-s", "-j2", "ARCH=x86_64", "LOCALVERSION=", "CC=gcc", target],
            cwd=shadow,
            log=log,
        )
    except Failed as failed:
        what = first_error(failed.output, Places((shadow, ""), (tree.root, "")))
        raise UsageError(f"{what} (make {target}, see {log})") from None


def _not_taken(shadow: Path) -> Iterator[str]:
    """Options that matter and are not as they must be. One that the tree does not know is fine."""
    text = (shadow / ".config").read_text()
    on = set(re.findall(r"^CONFIG_(\w+)=y$", text, re.MULTILINE))
    for name in MUST_BE_OFF:
        if name in on:
            yield f"CONFIG_{name} stays on"
    wanted = [name for name in MUST_BE_ON if name not in on]
    if wanted:
        known = _symbols(shadow)
        for name in wanted:
            if name in known:
                yield f"CONFIG_{name} stays off"


def _symbols(shadow: Path) -> set[str]:
    """The names of all options of the tree."""
    found: set[str] = set()
    for path in _kconfig_files(shadow):
        found.update(name.decode() for name in _SYMBOL.findall((shadow / path).read_bytes()))
    return found


def _kconfig_files(shadow: Path) -> list[str]:
    """The Kconfig files that kconfig read the last time, else all there are."""
    listed = shadow / "include" / "config" / "auto.conf.cmd"
    if listed.is_file():
        names = re.findall(r"^\s+([^\s$]*Kconfig\S*) \\$", listed.read_text(), re.MULTILINE)
        if names:
            return sorted(names)
    return sorted(
        os.path.relpath(f"{folder}/{name}", shadow)
        for folder, _, names in os.walk(shadow)
        for name in names
        if name.startswith("Kconfig")
    )


def _configuration_digest(shadow: Path, digests: Digests) -> bytes:
    total = hashlib.blake2b(digest_size=16)
    total.update(repr((BASE, ON, OFF, str(find("gcc")))).encode())
    files = [f"arch/x86/configs/{BASE}", "Makefile", *_kconfig_files(shadow)]
    total.update(digests.of_all((name, f"{shadow}/{name}") for name in files))
    return total.digest()


def _inputs(shadow: Path) -> Iterator[str]:
    """What went into the generated headers: as fixdep noted it, and what lists headers."""
    for command in (
        "kernel/.bounds.s.cmd",
        "arch/x86/kernel/.asm-offsets.s.cmd",
        "kernel/sched/.rq-offsets.s.cmd",
    ):
        if (shadow / command).is_file():
            for name in _DEPENDENCY.findall((shadow / command).read_text()):
                if not name.startswith("/") and "/generated/" not in name:
                    yield name
    for top, pattern in (
        ("arch/x86/entry/syscalls", "*.tbl"),
        ("arch/x86/include", "**/Kbuild"),
        ("include", "**/Kbuild"),
    ):
        for path in (shadow / top).glob(pattern):
            yield str(path.relative_to(shadow))


def _inputs_digest(shadow: Path, inputs: list[str], digests: Digests) -> bytes:
    total = hashlib.blake2b(digest_size=16)
    total.update(digests.of_all((name, f"{shadow}/{name}") for name in inputs))
    for folder in ("arch/x86/include/asm", "arch/x86/include/uapi/asm"):
        total.update("\n".join(sorted(os.listdir(shadow / folder))).encode())
    return total.digest()


def _load(shadow: Path) -> _State | None:
    try:
        state = msgspec.msgpack.decode((shadow / STATE).read_bytes(), type=_State)
    except (OSError, msgspec.DecodeError):
        return None
    if not (shadow / "include/generated/autoconf.h").is_file():
        return None
    return state
