# SPDX-License-Identifier: GPL-2.0-only
"""What a tree has: found by looking, not by its version; the harness' features.toml is the list."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import msgspec

from ..errors import UsageError

LIST = "features.toml"


class Feature(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """HAS_name is 1 in C if one of the files has the pattern."""

    name: str
    files: tuple[str, ...]
    """Of the tree; one that is not there has nothing."""
    pattern: str
    """A regular expression."""
    what: str
    """What it means, for who reads the list."""


class _File(msgspec.Struct, forbid_unknown_fields=True):
    feature: tuple[Feature, ...]


def read_features(harness: Path) -> tuple[Feature, ...]:
    """The list of the harness.  UsageError: it is none."""
    path = harness / LIST
    try:
        features = msgspec.convert(tomllib.loads(path.read_text()), _File).feature
        for one in features:
            re.compile(one.pattern)
    except FileNotFoundError:
        return ()
    except (tomllib.TOMLDecodeError, msgspec.ValidationError, re.error) as error:
        raise UsageError(f"{path}: {error}") from None
    return features


def feature_flags(features: tuple[Feature, ...], root: Path) -> list[str]:
    """-DHAS_name=0 or 1 for each, as the tree at `root` is."""
    texts: dict[str, str] = {}
    return [f"-DHAS_{one.name}={int(_has(one, root, texts))}" for one in features]


def _has(feature: Feature, root: Path, texts: dict[str, str]) -> bool:
    for name in feature.files:
        if name not in texts:
            path = root / name
            texts[name] = path.read_text(errors="replace") if path.is_file() else ""
        if re.search(feature.pattern, texts[name]):
            return True
    return False
