# SPDX-License-Identifier: GPL-2.0-only
"""The page of the lines in front of operations: config, area, slot; and of schedules."""

from __future__ import annotations

from collections.abc import Iterator

from ..program import limits
from ..program.model import AREA_KINDS, CONFIG_CHOICES, DEFAULT_AREAS, Config
from ..program.ops import SLOT_FIELDS
from ..program.text_render import spell_choice
from . import config_rules
from .answers import answered
from .docstrings import documented
from .examples import AREAS, CONFIG, LINES, Example
from .markdown import HEAD, code, fenced, plain, table
from .value_types import rows, usage

CONFIG_INTRO = """\
`config KEY=VALUE ...` is the machine and the VM. There may be several such lines; each key stands
once. What is not said has its default, which stands first below.
"""
TOGETHER = """\
Some settings bring others along, where those are not said:
"""
CLASHES = """\
Two settings of one row do not go together (a third may change that: `root_level=5 maxphyaddr=46`
with `layout=npt`):
"""
SCHEDULE = """\
`schedule STEP:THREAD ...` is for concurrent runs: at that preemption point go on with that thread
([concurrency](../../concurrency.md)). `STEP:THREAD.buffer`: the store that the thread is about to
make is delayed; if one waits already, the oldest becomes visible. Steps
ascend over all such lines. Without a schedule whoever runs the program chooses.
"""


def page() -> str:
    """All of them."""
    return "\n".join(
        [
            f"{HEAD}# Configuration, memory and schedules\n",
            "## config\n",
            CONFIG_INTRO,
            fenced(answered(LINES["config"])),
            table(("key", "values", "what it is"), _keys()),
            "### Settings that go together\n",
            TOGETHER,
            table(("setting", "brings"), _coded(config_rules.brought())),
            "These do not stand alone:\n",
            table(
                ("setting", "stands with, say"), _coded(config_rules.shorter(config_rules.needed()))
            ),
            CLASHES,
            table(("setting", "not with"), _coded(config_rules.clashes())),
            "With a guest that has page tables `mmu_pages` is 0 or at least 64, and slot 0 of "
            "space 0 is at gfn 0 of area 0.\n",
            "### In the kernel, and an example of each\n",
            *_examples(CONFIG),
            "## area\n",
            f"`area NUMBER KIND` is host memory of {limits.AREA_PAGES:#x} pages. Areas are "
            f"{', '.join(code(str(n)) for n in range(limits.N_AREAS))}. Without a line: "
            + ", ".join(code(f"area {n} {kind}") for n, kind in enumerate(DEFAULT_AREAS))
            + ".\n",
            fenced(answered(LINES["area"])),
            table(("kind", "what it is"), ((code(k), plain(AREAS[k].kernel)) for k in AREA_KINDS)),
            "### Examples of areas\n",
            *_examples(AREAS),
            "## slot\n",
            "`slot NUMBER ...` is a memslot that exists when the program starts. At most "
            f"{limits.MAX_SLOTS} exist then. Two of one address space share neither number nor "
            "gfns; none reaches beyond what `maxphyaddr` addresses.\n",
            fenced(f"slot{usage(SLOT_FIELDS)}"),
            table(("key", "type", "values", "default"), rows(SLOT_FIELDS)),
            fenced(answered(LINES["slot"])),
            "## schedule\n",
            SCHEDULE,
            f"At most {limits.MAX_SCHEDULE} switches; a step is below {limits.MAX_STEP:#x}.\n",
            fenced(answered(LINES["schedule"])),
        ]
    )


def _keys() -> Iterator[tuple[str, str, str]]:
    said = documented(Config)
    for key in Config._fields:
        if key in ("areas", "slots"):
            continue
        choices = CONFIG_CHOICES.get(key)
        values = (
            ", ".join(code(spell_choice(key, value)) for value in choices)
            if choices
            else f"`{getattr(Config(), key)}`, up to `{limits.MAX_MMU_PAGES:#x}`"
        )
        yield code(key), values, plain(said[key])


def _coded(pairs: Iterator[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    for left, right in pairs:
        yield code(left), code(right)


def _examples(examples: dict[str, Example]) -> Iterator[str]:
    for name, example in examples.items():
        yield f"{code(name)}: {plain(example.kernel)}".rstrip() + "\n"
        yield fenced(answered(example))
