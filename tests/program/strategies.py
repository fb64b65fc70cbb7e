# SPDX-License-Identifier: GPL-2.0-only
"""Hypothesis strategies for programs: legal ones, and ones with anything in every place."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st

from difffuzz.program import OPS, Config, Kind, Op, Program, SlotSpec, normalise
from difffuzz.program.fields import FieldType
from difffuzz.program.limits import MAX_STEP, N_AREAS, SCHEDULED
from difffuzz.program.model import AREA_KINDS, CONFIG_CHOICES
from difffuzz.program.ops import SLOT_FIELDS

PROPERTY = settings(max_examples=150)

_WILD = st.integers(-3, 1 << 33)


def values(kind: FieldType) -> st.SearchStrategy[int]:
    """Any value of the type, hot ones more often."""
    whole = st.integers(kind.low, kind.high)
    return st.sampled_from(kind.hot) | whole if kind.hot else whole


@st.composite
def legal_ops(draw: st.DrawFn) -> Op:
    """An operation with each argument in its range (counts may still be too long)."""
    spec = OPS[draw(st.sampled_from(list(Kind)))]
    thread = draw(st.sampled_from(spec.threads))
    return Op(spec.kind, thread, tuple(draw(values(field.type)) for field in spec.fields))


WILD_OPS = st.builds(
    Op, st.sampled_from(list(Kind)), st.integers(0, 9), st.lists(_WILD, max_size=8).map(tuple)
)
SLOTS = st.builds(SlotSpec, *(values(field.type) for field in SLOT_FIELDS))
WILD_SLOTS = st.builds(SlotSpec, *(_WILD for _ in SLOT_FIELDS))
SWITCHES = st.tuples(st.integers(0, 2 * MAX_STEP), st.integers(0, len(SCHEDULED)))


@st.composite
def configs(draw: st.DrawFn, slots: st.SearchStrategy[SlotSpec] = SLOTS) -> Config:
    """A configuration whose fields are legal one by one."""
    chosen = {key: draw(st.sampled_from(choices)) for key, choices in CONFIG_CHOICES.items()}
    return Config()._replace(
        **chosen,  # type: ignore[arg-type]
        mmu_pages=draw(st.integers(0, 1 << 20)),
        areas=draw(st.tuples(*[st.sampled_from(AREA_KINDS)] * N_AREAS)),
        slots=tuple(draw(st.lists(slots, max_size=9))),
    )


WILD_PROGRAMS = st.builds(
    Program,
    configs(WILD_SLOTS),
    st.lists(WILD_OPS, max_size=20).map(tuple),
    st.lists(SWITCHES, max_size=10).map(tuple),
)
PROGRAMS = st.builds(
    Program,
    configs(),
    st.lists(legal_ops(), max_size=25).map(tuple),
    st.lists(SWITCHES, max_size=10).map(tuple),
).map(normalise)
