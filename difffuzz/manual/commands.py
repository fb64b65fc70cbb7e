# SPDX-License-Identifier: GPL-2.0-only
"""The page of commands, which is difffuzz(1) too: every command with all its options."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from typer.main import get_command

from .. import cli
from .markdown import HEAD, code, definitions, paragraphs, plain

STATUSES = (
    ("0", "Nothing was found."),
    ("1", "Findings, and nothing else."),
    ("2", "Wrong use or bad input; one line on standard error says which."),
    ("3", "The environment is not able; the line says what mends it."),
    ("70", "A fault of difffuzz itself; the line names a file to report."),
    ("130", "Interrupted, by what has no partial result."),
)
ENVIRONMENT = (
    (
        "DIFFFUZZ_CACHE",
        "Where kernel sources and builds of the native side stay; else `difffuzz` below "
        "`XDG_CACHE_HOME`, else `~/.cache/difffuzz`.",
    ),
)


def page() -> str:
    """All commands."""
    app: Any = get_command(cli.app)
    context = app.make_context("difffuzz", ["doctor"], resilient_parsing=True)
    lines = [
        f"{HEAD}# Commands\n",
        f"{plain(app.help)}\n",
        "    difffuzz [OPTIONS] COMMAND [ARGS]...\n",
        definitions(_parameters(app, context)),
    ]
    for words, command, below in _walk(app, context, ("difffuzz",)):
        depth = "#" * min(len(words), 3)
        lines.append(f"{depth} {' '.join(words)}\n")
        lines.append(f"{paragraphs(command.help or '')}\n")
        if not getattr(command, "commands", None):
            lines.append(f"    {' '.join([*words, *command.collect_usage_pieces(below)])}\n")
            lines.append(definitions(_parameters(command, below)))
    lines.append("## Exit status\n")
    lines.append(definitions((code(status), plain(text)) for status, text in STATUSES))
    lines.append("## Environment\n")
    lines.append(definitions((code(name), plain(text)) for name, text in ENVIRONMENT))
    return "\n".join(lines)


def _walk(
    group: Any, context: Any, words: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    """Every command below a group with its words, and a context of its own."""
    for name, command in group.commands.items():
        below = type(context)(command, info_name=name, parent=context)
        yield (*words, name), command, below
        if getattr(command, "commands", None):
            yield from _walk(command, below, (*words, name))


def _parameters(command: Any, context: Any) -> Iterator[tuple[str, str]]:
    """Arguments and options as `--help` shows them."""
    for one in command.get_params(context):
        record = one.get_help_record(context)
        if record is not None and one.name != "help":
            yield code(record[0]), plain(record[1] or "") or "."
