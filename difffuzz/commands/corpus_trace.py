# SPDX-License-Identifier: GPL-2.0-only
"""`difffuzz corpus import --trace`: programs made of a trace, and how far sides do the same."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from ..engine.trace_agreement import Difference, agreement
from ..errors import UsageError
from ..files.notes import text_of
from ..sides import KERNELS, KvmFactory, open_side
from ..trace.placed import place
from ..trace.reading import NEWER, Trace
from ..trace.rebuild import Rebuild, rebuild
from ..trace.slots import parse_slots
from ..trace.vmm import slots_told
from .output import emit, prepare_directory, write_text
from .progress import note
from .trace_options import read_and_tell, read_document, version_of

SHOWN = 10
"""Differences of a side that the text names."""


class _Replayed(NamedTuple):
    """All programs on one side."""

    side: str
    compared: int
    agreed: int
    differences: list[tuple[str, Difference]]

    @property
    def figure(self) -> float | None:
        """Of 1; None: nothing could be compared."""
        return round(self.agreed / self.compared, 4) if self.compared else None


def import_trace(
    path: Path,
    output: Path,
    slot: list[str] | None,
    kernel: str | None,
    sides: list[str] | None,
    json: bool,
) -> None:
    """Writes the programs, replays them on the sides, tells the agreement."""
    given = parse_slots(slot or [])
    trace = read_and_tell(path, kernel)
    factories = [_opened(name) for name in sides or [_side_of(trace, kernel)]]
    placement = place(trace, given, slots_told(trace.events))
    for text in placement.notes:
        note(f"guessed: {text}" if text.startswith("a slot") else text)
    made = rebuild(trace, placement)
    if not made.programs:
        raise UsageError(f"{path}: no fault of it is in a slot, so that there is no program")
    for text in made.notes:
        note(text)
    for reason, count in made.left_out.items():
        note(f"left out: {count} {reason}")
    if len(made.programs) > 1:
        note(f"cut into {len(made.programs)} programs, each with a VM of its own")
    prepare_directory(output)
    names = _write(made, path, output, [*trace.guesses, *placement.notes, *made.notes])
    replayed = [_replay(made, names, factory) for factory in factories]
    document = {
        "programs": len(made.programs),
        "new": len(made.programs),
        "traced": {
            **read_document(trace),
            "files": names,
            "operations": sum(len(one.program.ops) for one in made.programs),
            "slots": [one.traced.text for one in placement.slots],
            "notes": [*placement.notes, *made.notes],
            "left_out": dict(made.left_out),
            "replayed": [_document(one) for one in replayed],
        },
    }
    emit(document, _text(made, output, replayed), json)


def _side_of(trace: Trace, kernel: str | None) -> str:
    """The model of that kernel and of the MMU that was traced."""
    mmu = "tdp" if trace.tdp else "legacy"
    told = version_of(kernel)
    series = "{}.{}".format(*told) if told is not None else "6.12"
    if told is None and trace.kernel < NEWER:
        return mmu
    if (KERNELS / f"v{series}.patch").is_file():
        return f"{mmu}@v{series}"
    note(f"warning: there is no model for Linux {series}, the base is asked")
    return mmu


def _opened(name: str) -> KvmFactory:
    side = open_side(name)
    if not isinstance(side, KvmFactory):
        raise UsageError(f"--side {name}: has no faults to compare")
    return side


def _write(made: Rebuild, path: Path, output: Path, notes: list[str]) -> list[str]:
    stem = "trace" if str(path) == "-" else path.stem
    names = []
    for number, one in enumerate(made.programs, 1):
        said = {"trace": f"lines {one.lines[0]} to {one.lines[1]} of {path.name}"}
        said |= {f"guess-{at}": text for at, text in enumerate(notes, 1)}
        name = str(output / f"{stem}-{number:03}.difffuzz")
        write_text(Path(name), text_of(one.program, said))
        names.append(name)
    return names


def _replay(made: Rebuild, names: list[str], factory: KvmFactory) -> _Replayed:
    compared = agreed = 0
    differences: list[tuple[str, Difference]] = []
    for name, one in zip(names, made.programs, strict=True):
        result = agreement(one, factory)
        compared += result.compared
        agreed += result.agreed
        differences += [(name, difference) for difference in result.differences]
    return _Replayed(factory.name, compared, agreed, differences)


def _document(one: _Replayed) -> dict[str, object]:
    return {
        "side": one.side,
        "compared": one.compared,
        "agreed": one.agreed,
        "agreement": one.figure,
        "differences": [
            {"program": name, **difference._asdict()} for name, difference in one.differences
        ],
    }


def _text(made: Rebuild, output: Path, replayed: list[_Replayed]) -> str:
    operations = sum(len(one.program.ops) for one in made.programs)
    programs = len(made.programs)
    lines = [f"{output}: {programs} program{'s' * (programs > 1)}, {operations} operations"]
    for one in replayed:
        if one.figure is None:
            lines.append(f"{one.side}: the trace shows of no access how it ended")
            continue
        lines.append(
            f"{one.side}: {one.agreed} of {one.compared} accesses end as in the trace "
            f"({100 * one.figure:.1f} %)"
        )
        lines += [f"  {name}: {it.text}" for name, it in one.differences[:SHOWN]]
        if len(one.differences) > SHOWN:
            lines.append(f"  and {len(one.differences) - SHOWN} more")
    return "\n".join(lines)
