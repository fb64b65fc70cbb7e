# SPDX-License-Identifier: GPL-2.0-only
"""What a side is made of, in a few digits: a finding is of that, not of a name."""

from __future__ import annotations

from difffuzz import __version__
from difffuzz.files.notes import digest_key
from difffuzz.native.side import build_digest
from difffuzz.sides.names import parse_name, portable_name
from difffuzz.variants.engine import digest, patched


def identity(name: str) -> str:
    """Twelve hex digits that name the source of a model, or the library of a build.

    UsageError, PatchError as from open_side().
    """
    parts = parse_name(name)
    if parts.build is not None:
        return build_digest(parts.build)
    return digest(patched(parts.patches))


def side_notes(left: str, right: str) -> dict[str, str]:
    """Notes that name the sides and what they are at the moment.  Errors as from identity()."""
    return {
        "left": portable_name(left),
        digest_key("left"): identity(left),
        "right": portable_name(right),
        digest_key("right"): identity(right),
        "difffuzz": __version__,
    }
