# SPDX-License-Identifier: GPL-2.0-only
"""A pytest file: fails as long as the two sides show the bug, and passes when they no longer do.

It needs an installed difffuzz and nothing else.  Sides that came with difffuzz are named; a patch
of the user's is named by its path, with the digest of what it makes of the model.
"""

from __future__ import annotations

import json
from pathlib import Path

from ..sides.identity import identity
from ..sides.names import parse_name
from .reproducer import Reproducer
from .text import as_text

_FILE = '''\
# SPDX-License-Identifier: GPL-2.0-only
"""{title}

Fails as long as the two sides below show it; other sides: DIFFFUZZ_LEFT, DIFFFUZZ_RIGHT.
"""

import os

from difffuzz.program import parse
from difffuzz.running.runner import Runner
{digest_import}
LEFT = os.environ.get("DIFFFUZZ_LEFT", {left})
RIGHT = os.environ.get("DIFFFUZZ_RIGHT", {right})
MODE = {mode}
{digests}PROGRAM = """\\
{program}"""


def test_{name}() -> None:
{check}    verdict = Runner(LEFT, RIGHT, MODE)(parse(PROGRAM))
    shown = [f"{{one.signature}}: {{one.detail}}" for one in verdict.divergences]
    assert not shown, "\\n".join(shown)
'''
_CHECK = """\
    for side, digest in DIGESTS.items():
        if side in (LEFT, RIGHT):
            assert identity(side) == digest, f"{side} is not what it was: export again"
"""


def as_pytest(one: Reproducer) -> str:
    """The file.  UsageError, PatchError: a patch of the user's is not there, or does not apply."""
    left, right = _portable(one.left), _portable(one.right)
    digests = {side: identity(side) for side in (left, right) if _is_patched(side)}
    lines = [f"    {json.dumps(side)}: {json.dumps(digest)},\n" for side, digest in digests.items()]
    return _FILE.format(
        title=_prose(one.title),
        digest_import="from difffuzz.sides.identity import identity\n" if digests else "",
        left=json.dumps(left),
        right=json.dumps(right),
        mode=json.dumps(one.mode),
        digests=f"DIGESTS = {{\n{''.join(lines)}}}\n" if digests else "",
        program=_quoted(as_text(one._replace(left=left, right=right))),
        name=one.name,
        check=_CHECK if digests else "",
    )


def _is_patched(side: str) -> bool:
    """True if a part of the name is a patch that did not come with difffuzz."""
    name = parse_name(side)
    return name.build is None and bool(name.foreign)


def _portable(side: str) -> str:
    """The name with absolute paths: the test may be run anywhere."""
    foreign = parse_name(side).foreign if _is_patched(side) else ()
    return "+".join(
        str(Path(part).resolve()) if part in foreign else part for part in side.split("+")
    )


def _quoted(text: str) -> str:
    """As it stands between triple quotes."""
    return text.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')


def _prose(text: str) -> str:
    """As it stands at the start of a docstring that goes on."""
    return _quoted(" ".join(text.split()))
