# SPDX-License-Identifier: GPL-2.0-only
"""The page of the language of programs: every line, operation, field, default and limit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..program import limits, model, text_form
from ..program.fields import Field, FieldType
from ..program.model import AREA_KINDS, CONFIG_CHOICES, DEFAULT_AREAS, Config
from ..program.ops import NESTED_OPS, OPS, SLOT_FIELDS, OpSpec
from ..program.text_lex import spell
from ..program.text_render import spell_choice
from .docstrings import documented
from .markdown import HEAD, code, fenced, plain, table

RULES = """\
- A vCPU can hold one parked fault. `begin_fault` on a vCPU that holds one, and `end_fault` on a
  vCPU that holds none, do nothing.
- Any other operation of a vCPU that holds a parked fault first ends that fault; a fault still
  parked when the program ends is ended then.
- An operation whose target is missing does what the kernel does: it fails or has no effect, and
  the program goes on.
- A number is decimal, or hexadecimal with `0x`; a gfn and a page count 4 KiB pages.
- A range that would leave its area, or the guest's memory, is cut short.
"""


def page() -> str:
    """The whole language."""
    _, example, after = (text_form.__doc__ or "").split("\n\n")
    return "\n".join(
        [
            f"{HEAD}# The language of programs\n",
            "The text form, version 1: what people write, mail and keep in git.\n",
            fenced("\n".join(line.strip() for line in example.splitlines())),
            f"{plain(after)}\n",
            "## Rules\n",
            RULES,
            "## config\n",
            "`config KEY=VALUE ...`: the machine and the VM.\n",
            table(("key", "values, the default first", "what it is"), _config()),
            "## area\n",
            "`area NUMBER KIND`: host memory, one of "
            f"{', '.join(map(code, AREA_KINDS))}. Without a line: "
            + ", ".join(f"area {number} {kind}" for number, kind in enumerate(DEFAULT_AREAS))
            + ".\n",
            "## slot\n",
            "`slot NUMBER ...`: a memslot that exists when the program starts.\n",
            table(("key", "values", "default"), _fields(SLOT_FIELDS)),
            "## schedule\n",
            "`schedule STEP:THREAD ...`: at that preemption point go on with that thread "
            "([concurrency](../../concurrency.md)).\n",
            "## Operations\n",
            "`THREAD: OPERATION ...`, one a line. Threads: "
            f"{', '.join(map(code, limits.THREADS))}.\n",
            *_operations(),
            "## Limits\n",
            table(("name", "number", "what it limits"), _limits()),
        ]
    )


def _config() -> Iterator[tuple[str, str, str]]:
    said = documented(Config)
    for key in Config._fields:
        if key in ("areas", "slots"):
            continue
        choices = CONFIG_CHOICES.get(key)
        values = (
            ", ".join(code(spell_choice(key, value)) for value in choices)
            if choices
            else f"`{getattr(Config(), key)}`, up to {limits.MAX_MMU_PAGES:#x}"
        )
        yield code(key), values, plain(said[key])


def _fields(fields: Iterable[Field]) -> Iterator[tuple[str, str, str]]:
    for field in fields:
        name = f"(behind {code('slot')})" if field.bare else code(field.text_key)
        default = "must be there" if field.default is None else code(spell_default(field))
        yield name, values(field.type), default


def spell_default(field: Field) -> str:
    """A field's default as the text form writes it."""
    assert field.default is not None
    return spell(field.default, field.type)


def values(type: FieldType) -> str:
    """What an argument of the type may be; Markdown."""
    if type.words:
        return ", ".join(map(code, type.words))
    if type.bits:
        return f"`none`, or any of {', '.join(map(code, type.bits))} with commas"
    return f"{code(spell(type.low, type))} to {code(spell(type.high, type))}"


def _operations() -> Iterator[str]:
    """A table for each kind of thread."""
    groups: dict[tuple[int, ...], list[OpSpec]] = {}
    for spec in OPS.values():
        groups.setdefault(spec.threads, []).append(spec)
    for threads, specs in groups.items():
        yield f"### Of {', '.join(limits.THREADS[thread] for thread in threads)}\n"
        rows = ((code(one.name), _arguments(one), plain(one.doc)) for one in specs)
        yield table(("operation", "arguments", "what it does"), rows)
    yield "### Where an L1 runs an L2\n"
    yield "With `config guest=ept12` or `npt12` these have other names (the others work as well).\n"
    said = (
        (code(one.name), _arguments(one), code(OPS[kind].name), plain(one.doc))
        for kind, one in NESTED_OPS.items()
    )
    yield table(("operation", "arguments", "stands for", "what it does"), said)


def _arguments(spec: OpSpec) -> str:
    """With what each may be."""
    return "<br>".join(
        f"{'' if field.bare else code(field.text_key + '=') + ' '}{values(field.type)}"
        + ("" if field.default is None else f", else {code(spell_default(field))}")
        for field in spec.fields
    )


def _limits() -> Iterator[tuple[str, str, str]]:
    for name, text in documented(limits).items():
        number = getattr(limits, name)
        if isinstance(number, int) and not name.endswith("_THREAD"):
            shown = f"{number:#x}" if number > 1 << 15 else str(number)
            yield code(name), shown, plain(text)


def undocumented() -> list[str]:
    """What the page would have nothing to say about."""
    said = {**documented(Config), **documented(limits)}
    return [
        name
        for name, text in said.items()
        if not text and (name in model.Config._fields or isinstance(getattr(limits, name), int))
        and not name.endswith("_THREAD")
    ]  # fmt: skip
