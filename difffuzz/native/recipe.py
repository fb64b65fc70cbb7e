# SPDX-License-Identifier: GPL-2.0-only
"""How the tree's own build compiles C, as far as it decides what the C means.

make notes the command of each file that it compiles; the first one is kernel/bounds.c, which it
needs for its generated headers.  The dialect of C and the code generation are taken from there;
where the code lies, how it is hardened, traced and profiled is not: the library has its own.
"""

from __future__ import annotations

import re
import shlex
import subprocess
from functools import lru_cache
from pathlib import Path

from ..errors import UsageError

COMMAND = "kernel/.bounds.s.cmd"

_COMMAND = re.compile(r"^(?:saved)?cmd_kernel/bounds\.s := (.*)$", re.MULTILINE)
_MEANING = re.compile(r"-std=.*|-f.*|-m.*")
_NOT_OURS = re.compile(
    # Where the code lies, and what calls between.
    r"-f(?:no-)?(?:pic|pie|PIC|PIE)|-mcmodel=.*|-mpreferred-stack-boundary=.*|-mstack-alignment=.*"
    # Hardening.
    r"|-fcf-protection.*|-f(?:no-)?stack-.*|-mstack-protector.*|-mindirect-branch.*"
    r"|-mfunction-return.*|-mharden-sls.*|-ftrivial-auto-var-init.*|-fzero-call-used-regs.*"
    r"|-mretpoline.*|-fzero-init-padding-bits.*"
    # Tracing, profiles, checks, plugins.
    r"|-fpatchable-.*|-mfentry|-mrecord-mcount|-mnop-mcount|-fsanitize.*|-fno-sanitize.*"
    r"|-fprofile.*|-fplugin.*|-flto.*|-fno-lto|-fkcfi.*|-fcondition-coverage"
    # What the compiler writes besides.
    r"|-f(?:file|macro|debug)-prefix-map=.*|-fverbose-asm|-fdiagnostics.*|-fmessage.*"
    r"|-femit-.*|-fdebug.*"
)


def tree_flags(shadow: Path) -> list[str]:
    """Those of a prepared shadow.  UsageError: make has left no command."""
    path = shadow / COMMAND
    found = _COMMAND.search(path.read_text()) if path.is_file() else None
    if found is None:
        raise UsageError(f"{path}: make has not noted how it compiles kernel/bounds.c")
    words = shlex.split(found[1])
    return [one for one in words if _MEANING.fullmatch(one) and not _NOT_OURS.fullmatch(one)]


def accepted(compiler: str, identity: str, words: list[str]) -> list[str]:
    """Those of the flags that this compiler knows: the tree's were asked of another one.

    `identity` changes with the compiler.
    """
    return [word for word in words if _accepts(compiler, identity, word)]


@lru_cache(maxsize=1024)
def _accepts(compiler: str, identity: str, word: str) -> bool:
    command = [compiler, "-Werror", word, "-x", "c", "-fsyntax-only", "/dev/null"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
