# SPDX-License-Identifier: GPL-2.0-only
"""The operation table: complete, and as its readers expect it."""

from __future__ import annotations

from difffuzz.program import BY_NAME, OPS, THREADS, Kind
from difffuzz.program.fields import Field, FieldType
from difffuzz.program.limits import (
    GFN_LIMIT,
    HOST_THREADS,
    VCPU_THREADS,
    VMM_THREAD,
    WORKER_THREAD,
)
from difffuzz.program.ops import SLOT_FIELDS


def _fields() -> list[Field]:
    return [*SLOT_FIELDS, *(field for spec in OPS.values() for field in spec.fields)]


def test_every_kind_has_a_line_in_the_table() -> None:
    assert list(OPS) == list(Kind)
    assert all(spec.kind is kind for kind, spec in OPS.items())
    assert BY_NAME["begin_fault"].kind is Kind.BEGIN_FAULT


def test_threads_of_a_kind_are_of_one_class() -> None:
    assert {spec.threads for spec in OPS.values()} == {
        VCPU_THREADS,
        HOST_THREADS,
        (VMM_THREAD,),
        (WORKER_THREAD,),
        (VMM_THREAD, WORKER_THREAD),
    }
    both = {one for one in THREADS if THREADS.index(one) in (VMM_THREAD, WORKER_THREAD)}
    assert len(VCPU_THREADS) + len(HOST_THREADS) + len(both) == len(THREADS)


def test_fields_are_named_once_in_an_operation() -> None:
    for spec in OPS.values():
        keys = [field.text_key for field in spec.fields]
        assert len(set(keys)) == len(keys)
        assert sum(field.bare for field in spec.fields) <= 1


def test_hot_values_are_in_range() -> None:
    types: set[FieldType] = {field.type for field in _fields()}
    for kind in types:
        assert all(kind.low <= value <= kind.high for value in kind.hot), kind.name


def test_position_of_an_argument() -> None:
    assert OPS[Kind.MEMSLOT_MOVE].position("gfn") == 2


def test_spans_join_each_start_with_its_count() -> None:
    create = OPS[Kind.MEMSLOT_CREATE]
    assert (create.position("gfn"), create.position("n"), GFN_LIMIT) in create.spans
    assert len(create.spans) == 2
    assert OPS[Kind.READ].spans == ()
