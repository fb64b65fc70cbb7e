# SPDX-License-Identifier: GPL-2.0-only
"""A run in text: operation by operation, what each side did and mapped, and where they part."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from difffuzz.engine.lockstep import Step
from difffuzz.facts.kvm import answer_name
from difffuzz.machine.age import HOST_YOUNG, KVM_YOUNG, PAGE_YOUNG
from difffuzz.oracle import ORACLES, Divergence, Verdict
from difffuzz.oracle.allowed import ALLOWED
from difffuzz.oracle.answers import AGING
from difffuzz.oracle.verdict import broken_alike
from difffuzz.program import Program, render_op
from difffuzz.sides import short_name
from difffuzz.sides.base import Leaf, Outcome

LEVEL = ("", "4K", "2M", "1G")


def explain_lines(program: Program, verdict: Verdict, left: str, right: str) -> Iterator[str]:
    """The lines of the explanation; the verdict must have its trace."""
    names = left, right = short_name(left), short_name(right)
    width = max(len(left), len(right))
    steps: list[Step] = [step for step in verdict.trace if isinstance(step, Step)]
    marked = False
    for step in steps:
        implied = step.op != program.ops[step.op_index]
        note = "    (comes first: the next operation waits for it)" if implied else ""
        yield f"{step.op_index:4}  {render_op(step.op, program.config.guest)}{note}"
        for number, (name, outcome) in enumerate(((left, step.left), (right, step.right))):
            leaves = step.maps[number] if number < len(step.maps) else ()
            told = young_text(outcome) if step.op.kind in AGING else ""
            yield f"        {name:{width}}  {told or outcome_text(outcome, leaves)}"
            for line in step.walks[number] if number < len(step.walks) else ():
                yield f"        {'':{width}}    {line}"
        if step.divergences and not marked:
            marked = True
            yield headline(step.divergences, *names)
            yield from divergence_lines(step.divergences)
    at_end = [found for found in verdict.divergences if found.op_index is None]
    if at_end:
        yield " end  parked faults end, counters are checked, the VMs are destroyed"
        yield headline(at_end, *names)
        yield from divergence_lines(at_end)
    yield from allowed_lines(verdict)


def allowed_lines(verdict: Verdict) -> Iterator[str]:
    """The rules that excused a difference, how often, and why."""
    for rule, count in sorted(verdict.allowed.items()):
        if count:
            yield f"      allowed, no finding: {rule} ({count}): {ALLOWED[rule].reason}"


def headline(divergences: Iterable[Divergence], left: str, right: str) -> str:
    """What the oracles object to: a difference, or a property that both sides break alike."""
    if broken_alike(divergences, left, right):
        return "    >>> both sides break this alike: no difference between them"
    return "    >>> the first difference"


def divergence_lines(divergences: Iterable[Divergence]) -> Iterator[str]:
    """What the oracles said, and the property that each of them states."""
    for found in divergences:
        yield f"        {found.oracle}: {found.detail}"
        yield f"            property: {' '.join(ORACLES.get(found.oracle, '').split())}"
        yield f"            signature: {found.signature}"


def outcome_text(outcome: Outcome | None, leaves: Iterable[Leaf]) -> str:
    """One side's outcome in a line."""
    if outcome is None:
        return "crashed"
    parts = [outcome.result]
    if outcome.rets:
        parts.append(" ".join(answer_name(ret) for ret in outcome.rets))
    if outcome.parked and outcome.parked_ret < 0:
        parts.append("parked with its pfn faulted in")
    if outcome.pfn >= 0:
        parts.append(f"used pfn {outcome.pfn:#x}")
    if outcome.value:
        parts.append(f"value {outcome.value}")
    if outcome.bitmap is not None:
        pages = sum(mask.bit_count() for mask in outcome.bitmap.values())
        parts.append(f"{pages} dirty pages")
    parts += [f"maps {leaf_text(leaf)}" for leaf in leaves]
    return ", ".join(parts)


def young_text(outcome: Outcome | None) -> str:
    """What aging, or a look at the age, was told: by the host's own entries, KVM and the page."""
    if outcome is None:
        return ""
    names = (
        (HOST_YOUNG, "the host's own entry"),
        (KVM_YOUNG, "KVM"),
        (PAGE_YOUNG, "the page, marked accessed"),
    )
    told = " and ".join(name for bit, name in names if outcome.value & bit)
    return f"{outcome.result}, young: {told}" if told else f"{outcome.result}, not young"


def leaf_text(leaf: Leaf) -> str:
    """Level, pfn and permissions of a leaf."""
    permissions = f"r{'w' if leaf.writable else '-'}{'x' if leaf.executable else '-'}"
    return f"{LEVEL[leaf.level]} pfn {leaf.pfn:#x} {permissions}"
