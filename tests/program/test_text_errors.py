# SPDX-License-Identifier: GPL-2.0-only
"""Whatever is wrong with a text, the error is a ProgramError that names the place."""

from __future__ import annotations

import pickle
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from difffuzz.program import OPS, THREADS, Program, ProgramError, parse, render
from difffuzz.program.limits import MAX_LINE, MAX_OPS, MAX_SCHEDULE, MAX_TEXT
from difffuzz.program.model import CONFIG_CHOICES

from .strategies import PROGRAMS, PROPERTY
from .test_normalise import assert_valid
from .test_text_form import EXAMPLE

HEADER = "difffuzz program v1\n"


def failure(text: str | bytes) -> ProgramError:
    """The error of a wrong text."""
    with pytest.raises(ProgramError) as caught:
        parse(text, "wrong.prog")
    return caught.value


# The text behind the header, the column of the error in its last line, and a part of the message.
WRONG = [
    ("bogus", 1, "config, area, slot, schedule or a thread"),
    ("config colour=red", 8, "a key of vcpus, paging"),
    ("config kernel=v6.1", 8, "a key of vcpus, paging"),
    ("config nx", 8, "nx=value"),
    ("config nx=maybe", 11, "off or on"),
    ("config nx=on nx=on", 14, "nx only once"),
    ("config max_level=3M", 18, "1G or 2M or 4K"),
    ("config mmu_pages=-1", 18, "a number in 0.."),
    ("config layout=npt ad=off", 22, "ad=on, to go with the rest"),
    ("config paging=nonpaging layout=ept", 32, "layout=npt"),
    ("area 4 thp", 6, "a number in 0..3"),
    ("area 0", 7, "area NUMBER KIND"),
    ("area 0 floppy", 8, "thp or 4k"),
    ("area 0 thp thp", 12, "the end of the line"),
    ("area 0 thp\narea 0 4k", 6, "only once"),
    ("slot", 5, "slot"),
    ("slot 8 gfn=0 pages=1 area=0", 6, "a number in 0..7"),
    ("slot 0 gfn=0 pages=0 area=0", 20, "a number in 0x1.."),
    ("slot 0 gfn=0 area=0", 20, "pages="),
    ("slot 0 gfn=0xffffffffff pages=2 area=0", 31, "at most 0x1 pages"),
    ("slot 0 gfn=0x3ffffffff pages=2 area=0", 1, "below 0x400000000 (config maxphyaddr=46)"),
    ("config maxphyaddr=44", 19, "46 or 45 or 47"),
    ("config maxphyaddr=49", 19, "maxphyaddr=48, to go with the rest of config"),
    ("config root_level=5 maxphyaddr=48", 32, "maxphyaddr=52, to go with the rest of config"),
    ("slot 0 gfn=0 pages=1 area=0 slot=0", 29, "gfn="),
    ("slot 0 1 gfn=0 pages=1 area=0", 8, "gfn="),
    ("slot 0 gfn=0 pages=1 area=0\nslot 0 gfn=9 pages=1 area=0", 6, "shares neither id nor"),
    ("slot 0 gfn=0 pages=2 area=0\nslot 1 gfn=1 pages=1 area=0", 6, "slot 0 of its space"),
    ("slot 0 gfn=0 pages=1 area=0 flags=dirty,dirty", 35, "none or a list of"),
    ("slot 0 gfn=0 pages=1 area=0 flags=", 35, "none or a list of"),
    ("vcpu4: read gfn=0", 1, "a thread: vcpu0"),
    ("vcpu0:", 7, "an operation of vcpu0: read"),
    ("vcpu0: jump gfn=0", 8, "an operation of vcpu0: read"),
    ("vcpu0: munmap area=0 page=0 n=1", 8, "an operation of vcpu0: read"),
    ("host0: read gfn=0", 8, "an operation of host0: munmap"),
    ("vcpu1: reload", 1, "one of the 1 vCPUs"),
    ("vcpu0: reload now", 15, "the end of the line"),
    ("vcpu0: read", 12, "gfn="),
    ("vcpu0: read gfn", 13, "gfn=value"),
    ("vcpu0: read gfn=", 17, "a number in 0x0..0xffffffffff"),
    ("vcpu0: read gfn=0x10000000000", 17, "a number in 0x0..0xffffffffff"),
    ("vmm: track_add as=0 gfn=0x10000000000", 25, "a number in 0x0..0xffffffffff"),
    ("vcpu0: read gfn=1_0", 17, "a number in"),
    ("vcpu0: read gfn=\u0663", 17, "a number in"),
    ("vcpu0: read gfn=" + "9" * 5000, 17, "a number in"),
    ("vcpu0: read gfn=0 gfn=0", 19, "gfn only once"),
    ("vcpu0: read gfn=0 page=0", 19, "gfn="),
    ("vcpu0: begin_fault gfn=0 access=sniff", 33, "read or write or exec"),
    ("vcpu0: smm", 11, "off or on"),
    ("vcpu0: smm on=on", 12, "off or on"),
    ("vcpu0: smm on off", 15, "off or on"),
    ("host0: munmap area=0 page=0x7ffff n=2", 37, "at most 0x1 pages from page=0x7ffff"),
    ("schedule 5", 10, "STEP:THREAD"),
    ("schedule 5:cpu", 10, "STEP:THREAD"),
    ("schedule x:vcpu0", 10, "a number in 0.."),
    ("schedule 5:vcpu0 5:host0", 18, "a step after 5"),
    ("schedule 1048576:vcpu0", 10, "a number in 0..1048575"),
]


@pytest.mark.parametrize(("text", "column", "expected"), WRONG)
def test_error_names_the_place(text: str, column: int, expected: str) -> None:
    error = failure(HEADER + text)
    assert (error.name, error.line, error.column) == ("wrong.prog", 2 + text.count("\n"), column)
    assert expected in error.expected


@pytest.mark.parametrize("text", ["", "# nothing\n", "difffuzz program v2\n", "vcpu0: reload\n"])
def test_the_first_line_must_stand_first(text: str) -> None:
    assert failure(text).expected == "the line 'difffuzz program v1'"


def test_the_message_is_one_short_line_of_ascii() -> None:
    message = str(failure(HEADER + "vcpu0: read gfn=\x07\u202e\ud800" + "x" * 9999))
    assert message.startswith("wrong.prog:2:17: expected a number in 0x0..0xffffffffff, found '")
    assert message.isascii()
    assert message.isprintable()
    assert len(message) < 200


def test_bytes_that_are_no_text() -> None:
    error = failure(HEADER.encode() + b"\n# ok\nab\xff")
    assert (error.line, error.column, error.expected) == (4, 3, "text in UTF-8")
    assert failure(bytes(range(256))).expected == "text in UTF-8"
    assert failure(b"\0" * 100).line == 1


def test_limits() -> None:
    assert "operations" in failure(HEADER + "vcpu0: reload\n" * (MAX_OPS + 1)).expected
    assert "characters" in failure(HEADER + "#\n" * MAX_TEXT).expected
    assert "a line" in failure(HEADER + "#" * (MAX_LINE + 1)).expected
    switches = " ".join(f"{step}:vmm" for step in range(MAX_SCHEDULE + 1))
    assert "switches" in failure(HEADER + "schedule " + switches).expected
    slots = [f"slot {n} as={a} gfn={n} pages=1 area=0\n" for a in range(2) for n in range(5)]
    assert "slots" in failure(HEADER + "".join(slots)).expected


def test_an_error_survives_pickling() -> None:
    error = failure(HEADER + "bogus")
    copy = pickle.loads(pickle.dumps(error))
    assert (copy.name, copy.line, copy.column, copy.expected) == (
        error.name,
        error.line,
        error.column,
        error.expected,
    )


def parse_or_error(text: str | bytes) -> None:
    """Anything but a valid program and a ProgramError is a failure."""
    try:
        program = parse(text)
    except ProgramError:
        return
    assert_valid(program)
    assert parse(render(program)) == program


@PROPERTY
@given(st.text(max_size=200) | st.binary(max_size=200))
def test_any_text_behind_the_header(text: str | bytes) -> None:
    parse_or_error(HEADER + text if isinstance(text, str) else HEADER.encode() + text)


_KEYS = sorted({field.text_key for spec in OPS.values() for field in spec.fields})
_OTHERS = ["config", "slot", "area", "schedule", "pages", "on", "off", "none", "dirty", "4K"]
_SPELLED = st.sampled_from(
    [*THREADS, *(spec.name for spec in OPS.values()), *_KEYS, *CONFIG_CHOICES, *_OTHERS]
)
_PIECES = (
    _SPELLED | st.integers(-1, 1 << 21).map(str) | st.sampled_from([" ", "\n", "=", ": ", "#"])
)


@PROPERTY
@given(st.lists(_PIECES, max_size=40).map("".join))
def test_any_words_of_the_language(text: str) -> None:
    parse_or_error(HEADER + text)


@PROPERTY
@given(PROGRAMS, st.integers(0, 1 << 30))
def test_a_damaged_program(program: Program, seed: int) -> None:
    rng = Random(seed)
    text = list(render(program))
    for _ in range(rng.randrange(1, 4)):
        at = rng.randrange(len(text))
        text[at] = rng.choice(["", " ", "\n", "=", "0", "f", "\0", text[at] * 2, "vcpu3: "])
    parse_or_error("".join(text))


def test_a_damaged_example() -> None:
    for at in range(len(EXAMPLE)):
        parse_or_error(EXAMPLE[:at])
        parse_or_error(EXAMPLE[:at] + EXAMPLE[at + 1 :])
