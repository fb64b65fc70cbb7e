# SPDX-License-Identifier: GPL-2.0-only
"""The page of the documents that commands print with --json, as JSON schemas."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from msgspec.inspect import StructType, type_info

from .docstrings import documented
from .documents import DOCUMENTS
from .markdown import HEAD, fenced

INTRO = """\
With `--json` a command prints one document on standard output, and nothing else there. Each is
described by a JSON schema (2020-12). [Metrics](metrics.md) says what the figures of `fuzz` mean.
"""


def page() -> str:
    """All of them."""
    lines = [f"{HEAD}# JSON documents\n", INTRO]
    for command in DOCUMENTS:
        lines += [f"## {command}\n", fenced(json.dumps(schema(command), indent=2), "json")]
    return "\n".join(lines)


def schema(command: str) -> dict[str, Any]:
    """The schema of a command's document, with what the source says of its members."""
    made = msgspec.json.schema(DOCUMENTS[command])
    for structure in structures(type_info(DOCUMENTS[command])):
        members = made["$defs"][structure.__name__]["properties"]
        ours = (kind for kind in structure.__mro__ if kind.__module__.startswith("difffuzz."))
        for kind in reversed(list(ours)):
            for name, text in documented(kind).items():
                if text and name in members:
                    members[name]["description"] = " ".join(text.split())
    made["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    made["title"] = f"difffuzz {command} --json"
    return made


def structures(part: object) -> set[type[Any]]:
    """The structures that a type is made of, as msgspec sees it."""
    if isinstance(part, list | tuple):
        return set().union(*map(structures, part))
    if not isinstance(part, msgspec.inspect.Type | msgspec.inspect.Field):
        return set()
    own = {part.cls} if isinstance(part, StructType) else set()
    return own.union(*(structures(getattr(part, name)) for name in part.__struct_fields__))
