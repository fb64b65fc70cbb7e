# SPDX-License-Identifier: GPL-2.0-only
"""Functions and text in C source."""

from __future__ import annotations

import pytest

from difffuzz.native.c_text import bodies, occurrences

SOURCE = """\
static int zap(struct kvm *kvm);
#define zap_all(x) do { zap(x); } while (0)
static int zap(struct kvm *kvm)
\t__must_hold(&kvm->mmu_lock)
{
\t/* a brace } that does not count, and a quote " too */
\tchar brace = '}', *text = "}\\"}";
\tif (kvm) {
\t\treturn 1; // }
\t}
\treturn zap_one(kvm);
}
int after(void) { return zap(0); }
"""


def body(source: str, function: str) -> list[str]:
    return [source[first:last] for first, last in bodies(source, function)]


def test_a_body_goes_to_its_own_brace() -> None:
    [found] = body(SOURCE, "zap")
    assert found.startswith("{\n\t/* a brace")
    assert found.endswith("return zap_one(kvm);\n}")


def test_calls_and_declarations_have_no_body() -> None:
    assert body(SOURCE, "zap_one") == []
    assert body(SOURCE, "after") == ["{ return zap(0); }"]


def test_the_preprocessor_may_choose_between_two() -> None:
    source = "#ifdef A\nint f(void)\n{\n\treturn 1;\n}\n#else\nint f(void) { return 2; }\n#endif\n"
    assert body(source, "f") == ["{\n\treturn 1;\n}", "{ return 2; }"]


@pytest.mark.parametrize(
    ("wanted", "count"),
    [
        ("return zap_one(kvm)", 1),
        ("return\n zap_one ( kvm ) ;", 1),
        ("returnzap_one(kvm)", 0),
        ("zap(", 4),
        ("za", 0),
        ("brace", 1),
        ("", 0),
    ],
)
def test_text_is_found_by_its_tokens(wanted: str, count: int) -> None:
    assert len(list(occurrences(SOURCE, wanted))) == count
