# SPDX-License-Identifier: GPL-2.0-only
"""The bytes form: total, bounded, and exact for every normalised program."""

from __future__ import annotations

import tracemalloc
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from difffuzz.program import Config, Kind, Op, Program, SlotSpec, decode, encode, normalise
from difffuzz.program.fields import COUNT, GFN, PAGE
from difffuzz.program.limits import (
    AREA_PAGES,
    GFN_LIMIT,
    MAX_BYTES,
    MAX_OPS,
    MAX_SCHEDULE,
    MAX_STEP,
)

from .strategies import PROGRAMS, PROPERTY
from .test_normalise import assert_valid


@PROPERTY
@given(st.binary(max_size=600))
def test_every_byte_string_is_a_valid_program(data: bytes) -> None:
    program = decode(data)
    assert_valid(program)
    assert normalise(program) is program


@PROPERTY
@given(PROGRAMS)
def test_round_trip(program: Program) -> None:
    data = encode(program)
    assert decode(data) == program
    assert len(data) <= MAX_BYTES


@PROPERTY
@given(st.binary(max_size=600))
def test_decoding_and_encoding_settles_at_once(data: bytes) -> None:
    program = decode(data)
    assert decode(encode(program)) == program


def test_nothing_is_the_default_program() -> None:
    assert decode(b"") == Program()
    assert decode(bytes(22)) == Program()


def test_every_single_byte_and_every_cut_of_a_program() -> None:
    data = encode(decode(Random(1).randbytes(300)))
    for size in range(len(data)):
        assert_valid(decode(data[:size]))
    for byte in range(256):
        assert_valid(decode(bytes((byte,)) * 400))


def test_too_many_records_are_left_out() -> None:
    read = encode(Program(ops=(Op(Kind.RELOAD, 0),)))[-1:]
    program = decode(encode(Program()) + read * MAX_BYTES)
    assert program.ops == (Op(Kind.RELOAD, 0),) * MAX_OPS
    assert len(decode(bytes(22) + bytes((1, 0, 0)) * MAX_BYTES).schedule) == MAX_SCHEDULE


def test_the_largest_program_fits() -> None:
    """Every value needs its long encoding, and every limit is reached."""
    slots = tuple(SlotSpec(n, 1, 0x13579 * n + 7, 0x12345, 3, 0x54321 + n, 3) for n in range(8))
    create = Op(Kind.MEMSLOT_CREATE, 6, (7, 1, 0x6789A, 0x3456, 3, 0x65432, 3))
    schedule = tuple((n * (MAX_STEP // MAX_SCHEDULE), 7) for n in range(MAX_SCHEDULE))
    program = Program(Config(mmu_pages=0xABCDE, slots=slots), (create,) * MAX_OPS, schedule)
    assert normalise(program) is program
    assert len(encode(program)) <= MAX_BYTES
    assert decode(encode(program)) == program


def test_extreme_values_survive() -> None:
    ops = (
        Op(Kind.READ, 0, (GFN_LIMIT - 1,)),
        Op(Kind.WRITE, 0, (0xFFFFF,)),
        Op(Kind.WRITE, 0, (0x123456,)),
        Op(Kind.PREFAULT, 0, (GFN_LIMIT - 1, 1)),
        Op(Kind.MEMSLOT_MOVE, 6, (0, 0, 0x2_3456_789A)),
        Op(Kind.ZAP_GFN_RANGE, 6, (0, COUNT.high)),
        Op(Kind.MUNMAP, 4, (3, PAGE.high, 1)),
        Op(Kind.MUNMAP, 5, (0, 0, AREA_PAGES)),
        Op(Kind.EXEC, 0, (0x12345,)),
    )
    program = Program(ops=ops, schedule=((0, 0), (MAX_STEP - 1, 7)))
    assert decode(encode(program)) == program


def test_bytes_of_old_corpora_keep_their_meaning() -> None:
    """Byte 16 named a kernel, by a small number: it still means nothing."""
    config = Config(gen_bias=3, nx=True, mmu_pages=7, areas=("shared", "4k", "thp", "hugetlb2m"))
    program = normalise(Program(config, (Op(Kind.READ, 0, (5,)),)))
    data = bytes((0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 3))
    data += bytes((0, 5, 0, 1, 3, 10, 2, 240, 0, 5))
    assert encode(program) == data
    for kernel in range(8):
        assert decode(data[:16] + bytes((kernel,)) + data[17:]) == program


def test_a_gfn_of_40_bits_begins_with_a_byte_that_nothing_was_written_with() -> None:
    """What a program was written with before has the same bytes: one, or three for 20 bits."""
    for gfn, data in (
        (5, (240, 0, 5)),
        (0x12345, (241, 0x23, 0x45)),
        (0x12345678, (239, 0, 0x12, 0x34, 0x56, 0x78)),
        (GFN_LIMIT - 1, (239, 255, 255, 255, 255, 255)),
    ):
        encoded = encode(Program(ops=(Op(Kind.READ, 0, (gfn,)),)))
        start = len(encode(Program()))
        if gfn != 5:
            assert encoded[start + 1 :] == bytes(data)
        written = encoded[: start + 1] + bytes(data)
        assert decode(written) == decode(encoded)
        assert decode(written).ops == (Op(Kind.READ, 0, (gfn,)),)


def test_that_byte_now_is_two_choices() -> None:
    """The ratio of NX recovery and the quirk of zapping all: each pair has a byte, and no other."""
    pairs = {decode(bytes(16) + bytes((byte,))).config[17:19] for byte in range(256)}
    assert pairs == {(ratio, zap) for ratio in (1, 2, 60) for zap in (True, False)}
    for errs in (False, True):
        config = Config(recovery_ratio=60, slot_zap_all=False, host_errs=errs)
        assert decode(encode(Program(config))).config == config


def test_few_bytes_let_the_host_err() -> None:
    errs = [byte for byte in range(256) if decode(bytes(16) + bytes((byte,))).config.host_errs]
    assert errs == list(range(250, 256))
    op = Op(Kind.DONTNEED, 4, (0, 1, 0))
    assert normalise(Program(Config(), (op,))).ops[0].args == (0, 1, 1)
    erring = Program(Config(host_errs=True), (op, Op(Kind.INVALIDATE, 4, (0, 1, 1, 2))))
    assert normalise(erring) == erring
    assert decode(encode(erring)) == erring
    assert decode(encode(erring)[:16] + bytes(1) + encode(erring)[17:]).ops == (
        Op(Kind.DONTNEED, 4, (0, 1, 1)),
        Op(Kind.INVALIDATE, 4, (0, 1, 1, 0)),
    )


def test_random_bytes_are_about_hot_gfns() -> None:
    """Operations of a random program collide: most gfns it names are among a few."""
    ops = decode(Random(2).randbytes(8000)).ops
    gfns = [op.args[0] for op in ops if op.kind in (Kind.READ, Kind.WRITE, Kind.EXEC)]
    assert len(gfns) > 50
    assert sum(gfn in GFN.hot[:8] for gfn in gfns) > len(gfns) / 2


def test_long_input_costs_no_more_than_the_limit() -> None:
    data = Random(3).randbytes(1 << 20)
    assert decode(data) == decode(data[:MAX_BYTES])
    tracemalloc.start()
    decode(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20
