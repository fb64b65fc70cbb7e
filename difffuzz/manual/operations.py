# SPDX-License-Identifier: GPL-2.0-only
"""The page of operations: usage, arguments, what each does in the kernel, when, an example."""

from __future__ import annotations

from collections.abc import Iterator

from ..program import limits
from ..program.ops import GUEST_KINDS, HONEST, NESTED_OPS, OPS, OpSpec
from .answers import answered
from .examples import NESTED, OPERATIONS, Example
from .markdown import HEAD, code, fenced, plain, table
from .value_types import rows, usage

INTRO = """\
An operation is a line `THREAD: OPERATION ARGUMENTS`; arguments with a key may stand in any order.
`[...]` may be left out. Types of values (`GFN`, `PAGE`) are on the [page of the
language](language.md), as are the rules that hold for all operations.

Behind the operations of an example a comment says what came of it, on the legacy MMU and on the
TDP MMU (both, with a bar, where they differ): what the guest got (`ok` and the number that the
page has, `mmio`, `error` and an errno, `sigbus`, `fault`), the `RET_PF_*` of each fault on the
way, and the level and permissions of the leaf that maps the page then; of other operations what
the call returned. A write writes the number of its operation. The page is made by running them.
"""
NESTED_INTRO = """\
With `config guest=ept12` or `npt12` these have other names (the others work as well).
"""


def page() -> str:
    """All operations."""
    return "\n".join([f"{HEAD}# Operations\n", INTRO, *_index(), *_groups(), *_nested()])


def who(spec: OpSpec) -> str:
    """The threads that may run it."""
    return ", ".join(code(limits.THREADS[thread]) for thread in spec.threads)


def _grouped() -> dict[tuple[int, ...], list[OpSpec]]:
    groups: dict[tuple[int, ...], list[OpSpec]] = {}
    for spec in OPS.values():
        groups.setdefault(spec.threads, []).append(spec)
    return groups


def _index() -> Iterator[str]:
    """One line for each kind of thread, with a link to each of its operations."""
    for specs in _grouped().values():
        links = ", ".join(f"[{code(spec.name)}](#{spec.name.replace('_', '-')})" for spec in specs)
        yield f"- {who(specs[0])}: {links}"
    yield ""


def _groups() -> Iterator[str]:
    for kind, spec in OPS.items():
        yield from entry(spec, OPERATIONS[kind])


def _nested() -> Iterator[str]:
    yield "## Where an L1 runs an L2\n"
    yield NESTED_INTRO
    for kind, spec in NESTED_OPS.items():
        yield from entry(spec, NESTED[kind], f"It stands for {code(OPS[kind].name)}.")


def entry(spec: OpSpec, example: Example, note: str = "") -> Iterator[str]:
    """One operation."""
    depth = "###" if note else "##"
    yield f"{depth} {spec.name}\n"
    yield fenced(f"THREAD: {spec.name}{usage(spec.fields)}")
    yield f"{plain(spec.doc[0].upper() + spec.doc[1:])}. {note}".rstrip() + "\n"
    facts = [("Threads", who(spec)), ("In the kernel", plain(example.kernel))]
    facts += [("Limits", " ".join(map(plain, limits_of(spec, example))))]
    yield "".join(f"- {name}: {text}\n" for name, text in facts if text)
    if spec.fields:
        yield table(("key", "type", "values", "default"), rows(spec.fields))
    yield fenced(answered(example))


def limits_of(spec: OpSpec, example: Example) -> Iterator[str]:
    """When it is refused, fails or does nothing, in sentences."""
    for base, count, limit in spec.spans:
        names = spec.fields[base].text_key, spec.fields[count].text_key
        yield f"`{names[0]}` and `{names[1]}` together are at most `{limit:#x}`."
    for position, low, _ in HONEST.get(spec.kind, ()):
        if low:
            yield f"`{spec.fields[position].text_key}=0x0` needs `config host_errs=on`."
    if example.legal:
        yield example.legal
    if spec.kind in GUEST_KINDS and not example.legal:
        yield "Other guests have no L2: it is an error there. Models do not run such programs."
