# SPDX-License-Identifier: GPL-2.0-only
"""The page of the language of programs: its syntax, on one page."""

from __future__ import annotations

from collections.abc import Iterator

from ..program import limits, model, text_form
from ..program.model import Config
from . import grammar, mistakes
from .docstrings import documented
from .markdown import HEAD, code, fenced, plain, table
from .value_types import type_rows

RULES = """\
- A vCPU can hold one parked fault. `begin_fault` on a vCPU that holds one, and `end_fault` on a
  vCPU that holds none, do nothing.
- Any other operation of a vCPU that holds a parked fault first ends that fault; a fault still
  parked when the program ends is ended then.
- A vCPU runs nothing before it exists: `config vcpus=`, and one more for each `vcpu_create`.
- An operation whose target is missing does what the kernel does: it fails or has no effect, and
  the program goes on.
- An access beyond what the CPU addresses (`maxphyaddr`) is a #PF of the guest: `fault`.
"""
READING = """\
A text is lines of words. What stands behind `#` is a comment. The first line that has words names
the language; the others may come in any order, of which that of operations and that of slots have
a meaning. Capitals count.
"""
MISTAKES = """\
A text that is no program is never mended and never run. A command prints one line with the place
(line and column) and what was expected there, and ends with status 2.
"""
EDITORS = """\
`python -m difffuzz.manual.editors DIR` writes syntax files for Vim and for VS Code (a TextMate
grammar) below DIR, made from the same tables; `scripts/docs` puts them beside the site. They
colour what is right, and show a word that the language does not have, or that stands at the wrong
thread, as an error. Files are told by their name, `*.difffuzz`, or by their first line.

    cp -r DIR/vim/. ~/.vim/
    cp -r DIR/vscode ~/.vscode/extensions/difffuzz
"""


def page() -> str:
    """The syntax, and where the rest is."""
    _, example, after = (text_form.__doc__ or "").split("\n\n")
    return "\n".join(
        [
            f"{HEAD}# The language of programs\n",
            "The text form, version 1: what people write, mail and keep in git. The words of the "
            "language are explained, each with an example, on two pages more: "
            "[operations](operations.md) and "
            "[configuration, memory and schedules](configuration.md).\n",
            fenced("\n".join(line.strip() for line in example.splitlines())),
            f"{plain(after)}\n",
            "## Grammar\n",
            READING,
            fenced(grammar.text()),
            f"{plain(grammar.MARKS)}\n",
            "## Rules\n",
            RULES,
            "## Values\n",
            table(("type", "values", "what it is"), type_rows()),
            "## Mistakes\n",
            MISTAKES,
            fenced("\n\n".join(f"{wrong}\n    {printed}" for wrong, printed in mistakes.said())),
            "## Limits\n",
            table(("name", "number", "what it limits"), _limits()),
            "## Editors\n",
            EDITORS,
        ]
    )


def _limits() -> Iterator[tuple[str, str, str]]:
    for name, text in documented(limits).items():
        number = getattr(limits, name)
        if isinstance(number, int) and not name.endswith("_THREAD"):
            shown = f"{number:#x}" if number > 1 << 15 else str(number)
            yield code(name), shown, plain(text)


def undocumented() -> list[str]:
    """What the pages would have nothing to say about."""
    said = {**documented(Config), **documented(limits)}
    return [
        name
        for name, text in said.items()
        if not text and (name in model.Config._fields or isinstance(getattr(limits, name), int))
        and not name.endswith("_THREAD")
    ]  # fmt: skip
