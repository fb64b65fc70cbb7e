# SPDX-License-Identifier: GPL-2.0-only
"""The CPU's address bits in a configuration: with which roots they go, and where memslots end."""

from __future__ import annotations

import pytest

from difffuzz.facts import paging
from difffuzz.facts.paging import MAXPHYADDR
from difffuzz.machine import frames, spt
from difffuzz.native.abi.limits import PAGES
from difffuzz.program import Config, Program, SlotSpec, decode, encode, limits, parse, render
from difffuzz.program.model import CONFIG_CHOICES
from difffuzz.program.normalise import memslots_end, normalise, normalise_config

NPT = "npt"


def test_every_width_can_be_said_and_the_usual_one_is_the_default() -> None:
    widths = CONFIG_CHOICES["maxphyaddr"]
    assert widths[0] == MAXPHYADDR == Config().maxphyaddr
    assert sorted(map(int, widths)) == list(range(limits.LEAST_BITS, limits.MOST_BITS + 1))


def test_programs_and_hardware_agree_on_numbers() -> None:
    assert limits.USUAL_BITS == paging.MAXPHYADDR
    assert limits.MOST_BITS == paging.MOST_MAXPHYADDR
    assert limits.FOUR_LEVEL_BITS == paging.FOUR_LEVEL_BITS
    assert limits.PAGE_BITS == paging.PAGE_SHIFT
    last = max(frames.PFN_LIMIT, spt.PT_PFN_BASE + PAGES) - 1
    assert last.bit_length() + limits.PAGE_BITS == limits.LEAST_BITS


@pytest.mark.parametrize(
    ("config", "bits"),
    [
        (Config(root_level=5), 52),
        (Config(root_level=5, maxphyaddr=48), 52),
        (Config(root_level=5, maxphyaddr=49), 49),
        (Config(root_level=5, layout=NPT), 46),
        (Config(root_level=5, layout=NPT, maxphyaddr=45), 45),
        (Config(root_level=5, paging="nonpaging"), 46),
        (Config(maxphyaddr=49), 48),
        (Config(maxphyaddr=52, layout=NPT), 48),
        (Config(maxphyaddr=44), 46),
        (Config(maxphyaddr=52, guest="paging64"), 46),
    ],
)
def test_five_levels_and_more_than_48_bits_go_together(config: Config, bits: int) -> None:
    fit = normalise_config(config)
    assert fit.maxphyaddr == bits
    assert normalise_config(fit) is fit


@pytest.mark.parametrize("bits", [45, 48, 52])
def test_the_initial_memslots_end_there(bits: int) -> None:
    far = SlotSpec(0, 0, (1 << 40) - 8, 8, 1, 0)
    level = 5 if bits > 48 else 4
    config = normalise_config(Config(root_level=level, maxphyaddr=bits, slots=(far,)))
    assert memslots_end(config) == 1 << bits - 12
    assert config.slots[0].gfn + config.slots[0].npages == memslots_end(config)
    assert normalise_config(Config(paging="nonpaging", slots=(far,))).slots == (far,)


@pytest.mark.parametrize("layout", ["ept", NPT])
@pytest.mark.parametrize("level", [4, 5])
@pytest.mark.parametrize("bits", [45, 46, 48, 49, 52])
@pytest.mark.parametrize("errs", [False, True])
def test_both_forms_keep_it(layout: str, level: int, bits: int, errs: bool) -> None:
    config = Config(layout=layout, root_level=level, maxphyaddr=bits, host_errs=errs)
    program = normalise(Program(config))
    assert decode(encode(program)) == program
    assert parse(render(program)) == program


def test_few_bytes_of_the_header_make_an_unusual_cpu() -> None:
    at = encode(Program(Config(root_level=5, layout=NPT))).index(1, 4)
    header = bytearray(encode(Program(Config(layout=NPT))))
    made = set()
    for byte in range(256):
        header[at] = byte
        config = decode(bytes(header)).config
        made.add((config.root_level, config.maxphyaddr))
        assert byte >= 227 or config.maxphyaddr == MAXPHYADDR
        assert not config.four_levels  # NPT's levels are the host's
    assert made == {(4, bits) for bits in range(45, 49)} | {(5, bits) for bits in range(45, 53)}
