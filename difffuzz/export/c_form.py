# SPDX-License-Identifier: GPL-2.0-only
"""One C file that does what a program does, by the system's headers alone, and judges by KTAP."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator

from ..program import THREADS, Kind, Program
from ..program.ops import OPS
from ..program.room import code_gfn
from .cannot import remarks
from .fragments import below
from .reproducer import Reproducer
from .story import Step, last_calls, mmu_pages, slot_flags, steps
from .text import as_text

RAW = "raw.c"
UTIL = "kvm_util.c"
ROUNDS = 200
"""Rounds of a program whose threads race."""
_KINDS = {
    "thp": "THP",
    "4k": "SMALL",
    "hugetlb2m": "HUGETLB_2M",
    "hugetlb1g": "HUGETLB_1G",
    "shared": "SHARED",
    "pfnmap": "SMALL",
    "pfnmap_tails": "SMALL",
    "shmem_thp": "SHARED",
    "file": "ON_DISK",
}
_HUGE = {"hugetlb2m": 2048, "hugetlb1g": 1048576}
"""kB of a huge page of such an area."""
_ALWAYS = ("guest", "slots", "area", "log", "step", "param", "audit_pages", "audit_logs", "pin")
_WIDTH = 90


def as_c(one: Reproducer, layer: str = RAW) -> str:
    """The file.  UsageError: the program leaves no gfn free for the guest's code."""
    return _Writer(one, layer).text()


class _Writer:
    """Writes the file of one program."""

    def __init__(self, one: Reproducer, layer: str) -> None:
        self._one = one
        self._layer = layer
        self._program = one.program
        self._steps = list(steps(one.program, one.concurrent))
        self._last = last_calls(one.program, one.concurrent)
        self._pieces = self._needed()

    def text(self) -> str:
        """The whole file."""
        parts = [
            [below(self._layer, ["headers"])],
            self._defines(),
            [below(self._layer, ["limits", *self._pieces])],
            self._story(),
            self._round(),
            self._main(),
        ]
        head = ["// SPDX-License-Identifier: GPL-2.0-only", *self._head()]
        return "\n\n".join("\n".join(part) for part in [head, *parts]) + "\n"

    def _needed(self) -> list[str]:
        """Names of the pieces of C that the file calls."""
        config = self._program.config
        return [
            *(["cpuid"] if config.four_levels else []),
            *_ALWAYS,
            *(piece for step in self._steps for piece in step.pieces),
            *(["threads"] if self._one.concurrent else []),
            *(["set_mmu_pages"] if config.mmu_pages else []),
            *(["park"] if self._last else []),
            *(["huge_pages"] if self._huge() else []),
        ]

    def _huge(self) -> list[int]:
        """Sizes in kB of huge pages that have to be there."""
        kinds = {self._program.config.areas[area] for area in _areas(self._program)}
        return [size for kind, size in _HUGE.items() if kind in kinds]

    def _head(self) -> Iterator[str]:
        """The comment at the file's start: what it shows, the program, what is not as there."""
        one = self._one
        yield "/*"
        yield from _wrapped(one.title)
        yield " *"
        yield from _wrapped("A guest and its host do the steps of this program (story() below):")
        yield " *"
        yield from (f" *   {_commented(line)}" for line in as_text(one).strip().split("\n"))
        said = remarks(one)
        if said:
            yield " *"
            yield " * What is not as there:"
            for line in said:
                yield from _wrapped(f"- {line}", "  ")
        yield " *"
        if self._layer == RAW:
            yield f" * gcc -O1 -pthread -o {one.name} {one.name}.c && sudo ./{one.name} [ROUNDS]"
            yield " * KTAP on stdout; exit status 0: as it should be, 1: not, 4: no /dev/kvm."
        else:
            yield " * An argument is the number of rounds."
        yield " */"

    def _defines(self) -> Iterator[str]:
        config = self._program.config
        points = len(self._steps) + 3
        gfn = code_gfn(self._program)
        yield f"#define NR_POINTS {points}\t/* steps, and what is judged at the end */"
        yield f"#define ROUNDS {ROUNDS if self._one.concurrent else 1}"
        yield f"#define CODE_GPA {gfn << 12:#x}ul\t/* no memslot of the program is ever here */"
        yield f"#define MANUAL_PROTECT {int(config.manual_protect)}"
        if config.four_levels:
            vcpus = f"{config.four_levels:#x}"
            yield f"#define FOUR_LEVELS {vcpus}\t/* vCPUs, by bits, with 48 address bits */"

    def _story(self) -> Iterator[str]:
        if self._one.concurrent:
            yield "\n\n".join("\n".join(self._thread(one)) for one in self._threads())
            return
        yield "static void story(void)"
        yield "{"
        for step in self._steps:
            yield from _lines(step)
        for call in self._last:
            yield f"\t{call};"
        yield "}"

    def _thread(self, thread: int) -> Iterator[str]:
        """The function of one of the threads that race."""
        yield f"static void *thread_{THREADS[thread]}(void *arg)"
        yield "{"
        yield f"\tjitter_state = (unsigned long)arg * 31 + {thread};"
        yield f"\tpin({thread});"
        yield "\tmeet();"
        for step in self._steps:
            if step.thread == thread:
                yield from _lines(step)
            if step.meets:
                yield "\tmeet();"
        yield "\treturn NULL;"
        yield "}"

    def _threads(self) -> list[int]:
        return sorted({step.thread for step in self._steps})

    def _round(self) -> Iterator[str]:
        """Makes the VM, has the story, judges what is at the end."""
        program, config = self._program, self._program.config
        gfns = _touched(program)
        yield "static void one_round(unsigned long round)"
        yield "{"
        yield f"\tstatic const unsigned long gfns[] = {{ {', '.join(map(hex, gfns))} }};"
        if self._one.concurrent:
            yield f"\tpthread_t threads[{len(self._threads())}];"
        if config.manual_protect:
            words = ["KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE"]
            words += ["KVM_DIRTY_LOG_INITIALLY_SET"] if config.init_set else []
            yield "\tstruct kvm_enable_cap cap = {"
            yield "\t\t.cap = KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2,"
            yield f"\t\t.args = {{ {' | '.join(words)} }},"
            yield "\t};"
        yield ""
        yield "\tmake_vm();"
        if config.manual_protect:
            yield "\tif (vm_call(KVM_ENABLE_CAP, &cap))"
            yield '\t\tgive_up("KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2");'
        if config.mmu_pages:
            yield f"\tset_mmu_pages({mmu_pages(config.mmu_pages)});"
        for area in _areas(program):
            yield f"\tmake_area({area}, {_KINDS[config.areas[area]]});"
        yield f"\tmake_guest({config.vcpus});"
        for slot in config.slots:
            told = [f"{slot.slot}, {slot.as_id}, {slot.gfn:#x}, {slot.npages:#x}"]
            told += [f"{slot.area}, {slot.page:#x}, {slot_flags(slot.flags)}"]
            yield f"\tif (memslot_create({', '.join(told)}))"
            yield '\t\tgive_up("KVM_SET_USER_MEMORY_REGION");'
        yield ""
        yield from self._run()
        points = len(self._steps)
        yield ""
        yield f"\taudit_logs({points + 1});"
        yield f"\taudit_pages({points + 2}, gfns, {len(gfns)});"
        if "host_fork" in self._pieces:
            yield "\tdrop_child();"
        yield "\tdrop_vm();"
        yield "\tmunmap(code_page, 2 * PG);"
        yield "\tdrop_slots();"
        yield "\tdrop_areas();"
        yield "}"

    def _run(self) -> Iterator[str]:
        if not self._one.concurrent:
            yield "\t(void)round;"
            yield "\tpin(0);"
            yield "\tstory();"
            return
        names = [f"thread_{THREADS[thread]}" for thread in self._threads()]
        yield "\tracing = 1;"
        yield f"\tpthread_barrier_init(&meeting, NULL, {len(names)});"
        for i, name in enumerate(names):
            yield f"\tif (pthread_create(&threads[{i}], NULL, {name}, (void *)round))"
            yield '\t\tgive_up("pthread_create");'
        yield f"\tfor (int i = 0; i < {len(names)}; i++)"
        yield "\t\tpthread_join(threads[i], NULL);"
        yield "\tpthread_barrier_destroy(&meeting);"
        yield "\tracing = 0;"

    def _main(self) -> Iterator[str]:
        yield "int main(int argc, char **argv)"
        yield "{"
        yield "\tint rounds = argc > 1 ? atoi(argv[1]) : ROUNDS, bad = 0;"
        yield "\tchar line[64];"
        yield ""
        yield "\tneed_kvm();"
        yield from (f"\tneed_huge_pages({size});" for size in self._huge())
        yield "\ttap_begin(NR_POINTS);"
        yield "\tsignal(SIGALRM, on_alarm);"
        yield "\tsignal(SIGBUS, on_sigbus);"
        yield "\tlog_begin();"
        yield "\tquiet = rounds > 1;"
        for name, value in _params(self._program).items():
            yield f'\tset_param("{name}", "{value}");'
        yield "\tfor (int round = 0; round < rounds; round++) {"
        yield "\t\tround_is_bad = 0;"
        yield "\t\talarm(120);"
        yield "\t\tone_round(round);"
        yield "\t\tbad += round_is_bad;"
        yield "\t}"
        yield "\talarm(0);"
        yield "\tlog_check(NR_POINTS);"
        yield "\trestore_params();"
        yield '\tsnprintf(line, sizeof(line), "wrong in %d of %d rounds", bad, rounds);'
        yield "\ttap_note(line);"
        yield "\ttell_all(rounds);"
        yield "\treturn tap_end();"
        yield "}"


def _lines(step: Step) -> Iterator[str]:
    """A step in the function of its thread."""
    yield f"\t/* {_commented(step.comment)} */"
    yield f'\tstep({step.number}, "{step.text}");'
    yield from (f"\t{call};" for call in step.calls)


def _params(program: Program) -> dict[str, str]:
    """Parameters of kvm that can be set while it is loaded."""
    config = program.config
    kinds = {op.kind for op in program.ops}
    params = {"eager_page_split": "Y" if config.eager_split else "N"}
    if config.nx or kinds & {Kind.NX, Kind.NX_RECOVER}:
        params["nx_huge_pages"] = "force" if config.nx else "off"
        params["nx_huge_pages_recovery_ratio"] = "0"
    return params


def _touched(program: Program) -> list[int]:
    """gfns that are looked at in the end: those of accesses, and where memslots begin."""
    gfns = {op.args[0] for op in program.ops if op.kind <= Kind.BEGIN_FAULT}
    gfns |= {slot.gfn for slot in program.config.slots}
    return sorted(gfns) or [0]


def _areas(program: Program) -> list[int]:
    """Areas that a memslot or an operation names."""
    named = {slot.area for slot in program.config.slots}
    for op in program.ops:
        fields = [field.name for field in OPS[op.kind].fields]
        if "area" in fields:
            named.add(op.args[fields.index("area")])
    return sorted(named) or [0]


def _wrapped(text: str, indent: str = "") -> Iterator[str]:
    lines = textwrap.wrap(_commented(text), _WIDTH, subsequent_indent=indent)
    yield from (f" * {line}" for line in lines)


def _commented(text: str) -> str:
    """As it stands in a comment, which it does not end."""
    text = re.sub(r"\?(?=\?)", "? ", text.replace("\\", "/"))
    return text.replace("*/", "* /").replace("/*", "/ *")
