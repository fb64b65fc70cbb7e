# SPDX-License-Identifier: GPL-2.0-only
"""Builds kvm.ko from Debian's source with one check removed at a time, for `kernel fuzz` to find.

Needs Debian's headers of the fetched kernel and the fetched source of the same version.  Prints a
table; exit status 1: one was not found.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ..booted.kernel import MODULES, Kernel, fetched
from ..errors import MissingTool, UsageError
from ..native.cache import default_cache
from ..native.fetch import source_path
from ..native.named_change import apply_changes
from ..native.run import Failed, install_command, run
from ..native.tree import KernelTree, open_tree
from ..script import end, note
from ..shipped import AGENT, checkout

SERIES = "6.1"
CHANGES = AGENT / "changes"
HEADERS = Path("/usr/src")
KVM = Path("arch/x86/kvm")
VIRT = Path("virt/kvm")


def prepare(kernel: Kernel, tree: KernelTree, work: Path) -> Path:
    """Copies KVM's source where it can be built as a module of its own; the headers' folder."""
    headers = HEADERS / f"linux-headers-{kernel.release}"
    if not headers.is_dir():
        raise MissingTool(
            f"no headers of {kernel.release}", install_command(f"linux-headers-{kernel.release}")
        )
    if (work / KVM).is_dir():
        return headers
    for folder in (KVM, VIRT):
        shutil.copytree(tree.root / folder, work / folder)
    (work / "include" / "trace").mkdir(parents=True)  # trace headers are named from there
    makefile = work / KVM / "Makefile"
    makefile.write_text(makefile.read_text().replace("$(srctree)", str(work)))
    return headers


def build(headers: Path, work: Path) -> Path:
    """kvm.ko.  UsageError: it does not compile."""
    folder = work / KVM
    include = f"-I{folder} -I{work / 'include' / 'trace'}"
    try:
        run(
            [
                *("make", f"-j{os.cpu_count()}", "-C", str(headers)),
                *(f"M={folder}", f"KCPPFLAGS={include}", "modules"),
            ]
        )
    except Failed as failed:
        lines = [line for line in failed.output.splitlines() if "rror" in line]
        raise UsageError(f"kvm.ko: {lines[0] if lines else failed}") from None
    return folder / "kvm.ko"


def changed(path: Path, tree: KernelTree, work: Path) -> Iterator[tuple[Path, bytes]]:
    """The files that a change makes otherwise, and their content before."""
    files: dict[str, bytes | None] = {}
    apply_changes(path, path.read_text(), tree, files)
    for name, content in files.items():
        assert content is not None
        target = work / name
        before = target.read_bytes()
        target.write_bytes(content)
        yield target, before


def fuzzed(kernel: Kernel, modules: Path, seconds: float, out: Path) -> dict[str, object]:
    """What `kernel fuzz` says of the kernel with these modules, in a process of its own."""
    argv = [
        *(sys.executable, "-m", "difffuzz", "kernel", "fuzz", "--image", str(kernel.image)),
        *("--modules", str(modules), "--time", str(seconds), "--stop-on-finding"),
        *("--out", str(out), "--json"),
    ]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):
        raise UsageError(done.stderr.strip().splitlines()[-1])
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


def main() -> int:
    """The script."""
    parser = argparse.ArgumentParser(prog="kernel-bugs", description=__doc__)
    parser.add_argument("changes", nargs="*", type=Path, help="else all of harness/agent/changes")
    parser.add_argument("--time", type=float, default=300.0, help="seconds for each, at most")
    parser.add_argument("--out", type=Path, default=Path("out/kernel-bugs"))
    parser.add_argument("--work", type=Path, help="a folder to build in, kept for the next time")
    options = parser.parse_args()
    checkout("kernel-bugs")
    kernel = fetched(default_cache(), SERIES)
    tree = open_tree(source_path(default_cache(), SERIES))
    missed = 0
    with tempfile.TemporaryDirectory(prefix="difffuzz-kvm-") as name:
        work = options.work.absolute() if options.work is not None else Path(name)
        headers = prepare(kernel, tree, work)
        note("building kvm.ko as it is")
        build(headers, work)
        print("| change | found | programs | seconds | signature |\n|---|---|---|---|---|")
        for path in options.changes or sorted(CHANGES.glob("*.toml")):
            note(f"{path.stem}: building")
            before = list(changed(path, tree, work))
            module = build(headers, work)
            modules = work / "modules"
            shutil.rmtree(modules, ignore_errors=True)
            shutil.copytree(kernel.image.parent / MODULES, modules)
            shutil.copy(module, modules / "kvm.ko")
            note(f"{path.stem}: fuzzing")
            found = fuzzed(kernel, modules, options.time, options.out / path.stem)
            findings = found["findings"]
            assert isinstance(findings, list)
            missed += not findings
            first = findings[0]["signature"] if findings else ""
            print(
                f"| {path.stem} | {'yes' if findings else 'NO'} | {found['programs']} | "
                f"{found['seconds']} | {first} |",
                flush=True,
            )
            for target, content in before:
                target.write_bytes(content)
    return 1 if missed else 0


if __name__ == "__main__":
    end("kernel-bugs", main)
