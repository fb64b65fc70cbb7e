# SPDX-License-Identifier: GPL-2.0-only
"""The reference of the language has every word, and its examples are programs that run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from random import Random

import pytest

from difffuzz.engine import guest_lockstep
from difffuzz.engine.lockstep import Step
from difffuzz.errors import UsageError
from difffuzz.manual import config_rules, configuration, grammar, language, mistakes, operations
from difffuzz.manual.answers import answered, verdict_of
from difffuzz.manual.docstrings import documented
from difffuzz.manual.examples import AREAS, CONFIG, LINES, NESTED, OPERATIONS, Example
from difffuzz.manual.value_types import spelled_default, types
from difffuzz.program import Kind, ProgramError, fields, generate, parse, render, render_op
from difffuzz.program.model import AREA_KINDS, CONFIG_CHOICES, GUESTS, Config
from difffuzz.program.model import NESTED as L1S
from difffuzz.program.ops import GUEST_KINDS, NESTED_OPS, OPS, SLOT_FIELDS, OpSpec
from difffuzz.program.text_render import HEADER, spell_choice
from difffuzz.sides import open_side
from difffuzz.sides.base import OK
from tests.native.kernel import built

CORPUS = Path(__file__).resolve().parents[2] / "corpus"
EXAMPLES: dict[str, Example] = {
    **{OPS[kind].name: example for kind, example in OPERATIONS.items()},
    **{NESTED_OPS[kind].name: example for kind, example in NESTED.items()},
    **{f"config {key}": example for key, example in CONFIG.items()},
    **{f"area {kind}": example for kind, example in AREAS.items()},
    **LINES,
}
each_example = pytest.mark.parametrize("name", EXAMPLES)


# Every word has an example.


@pytest.fixture(scope="module")
def sections() -> dict[str, str]:
    """The page of operations by its headings."""
    parts = re.split(r"^##+ (.*)\n", operations.page(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_every_word_has_an_example() -> None:
    assert set(OPERATIONS) == set(Kind)
    assert set(NESTED) == set(NESTED_OPS)
    assert set(CONFIG) == set(Config._fields) - {"areas", "slots"}
    assert set(AREAS) == set(AREA_KINDS)
    assert set(LINES) == {"config", "area", "slot", "schedule"}


@pytest.mark.parametrize("spec", [*OPS.values(), *NESTED_OPS.values()], ids=lambda spec: spec.name)
def test_an_operation_is_in_its_example_and_on_its_page(
    spec: OpSpec, sections: dict[str, str]
) -> None:
    program = parse(EXAMPLES[spec.name].text)
    assert spec.kind in {op.kind for op in program.ops}
    assert f": {spec.name}" in EXAMPLES[spec.name].lines
    text = sections[spec.name]
    assert answered(EXAMPLES[spec.name]) in text
    assert f"THREAD: {spec.name}" in text
    for field in spec.fields:
        key = "(alone)" if field.bare else f"`{field.text_key}=`"
        (row,) = (line for line in text.splitlines() if line.startswith(f"| {key} |"))
        default = "must be there" if field.default is None else f"`{spelled_default(field)}`"
        assert row.endswith(f"| {default} |")


def test_a_setting_is_in_its_example_with_a_value_that_is_not_the_default() -> None:
    text = configuration.page()
    for key, example in CONFIG.items():
        assert getattr(parse(example.text).config, key) != getattr(Config(), key)
        assert f"{key}=" in example.lines
        assert f"\n`{key}`: " in text
        assert example.kernel
        assert answered(example) in text
        assert f"\n| `{key}` |" in text
    for kind, example in AREAS.items():
        assert re.search(rf"^area \d {kind}$", example.lines, re.MULTILINE)
        assert f"\n| `{kind}` |" in text
    for field in SLOT_FIELDS:
        assert field.bare or f"\n| `{field.text_key}=` |" in text


def test_every_type_of_value_says_what_it_is() -> None:
    said = documented(fields)
    assert len(types()) > 20
    assert [name for name in types() if not said[name]] == []
    assert all(f"\n| `{name}` |" in language.page() for name in types())


# The examples are programs, and they run.


@each_example
def test_an_example_goes_there_and_back(name: str) -> None:
    text = EXAMPLES[name].text
    program = parse(text)
    assert parse(render(program)) == program
    operations_of = [line for line in text.splitlines() if re.match(r"\w+: ", line)]
    guest = program.config.guest
    assert len(operations_of) == len(program.ops)
    for line, op in zip(operations_of, program.ops, strict=True):
        errs = "on" if guest == "none" else "off"
        config = f"vcpus=4 guest={guest} host_errs={errs}"
        assert parse(f"{HEADER}\nconfig {config}\n{line}\n").ops == (op,)
        assert set(line.split()) <= set(render_op(op, guest).split())


@each_example
def test_an_example_runs_on_the_models(name: str) -> None:
    example = EXAMPLES[name]
    program = parse(example.text)
    if program.config.guest != "none":
        assert example.sides == ()
        with pytest.raises(UsageError, match="guest="):
            open_side("legacy").start(program.config)
        return
    verdict = verdict_of(example)
    assert verdict.divergences == []
    assert verdict.operations == len(program.ops)
    assert parse(answered(example)) == program


@pytest.mark.parametrize("name", [name for name, one in EXAMPLES.items() if not one.sides])
def test_an_example_of_a_guest_runs_on_the_kernels_own_code(name: str) -> None:
    library = built()
    program = parse(EXAMPLES[name].text)
    sides = open_side(f"native:{library}:legacy"), open_side(f"native:{library}:tdp")
    verdict = guest_lockstep.run(program, *sides, trace=True)
    assert verdict.divergences == []
    last = verdict.trace[-1]
    assert isinstance(last, Step)
    assert last.left is not None
    assert last.left.result == OK


@pytest.mark.parametrize("name", [OPS[kind].name for kind in Kind if kind not in GUEST_KINDS])
def test_an_example_shows_an_effect(name: str) -> None:
    """Without the operation the others would answer something else, or it answers itself."""
    example = EXAMPLES[name]
    lines = example.lines.splitlines()
    at = next(n for n, line in enumerate(lines) if f": {name}" in line)
    said = answered(example).splitlines()[1:]
    if "#" in said[at]:
        return
    # Another operation in its place: those behind it keep their numbers.
    same = [*lines[:at], "vmm: sync", *lines[at + 1 :]]
    if name == "vcpu_create":
        with pytest.raises(ProgramError, match="vCPUs that exist"):
            parse("\n".join([HEADER, *same]))
        return
    without = answered(example._replace(lines="\n".join(same) + "\n")).splitlines()[1:]
    assert (_answers(without) == _answers(said)) == (name in NO_TRACE)


NO_TRACE = {"sync", "reload"}
"""Accesses behind them answer as they would without."""


def _answers(lines: list[str]) -> list[str]:
    return [line.partition("#")[2] for line in lines]


# The grammar, as an expression, accepts what the reader does.


def expression(rules: Mapping[str, str], name: str, between: str, known: dict[str, str]) -> str:
    """The rule as a regular expression; `known`: names that are no rules."""
    parts: list[str] = []
    for token in re.findall(r'"[^"]*"|[][{}()|]|\w+', rules[name]):
        if token in "|":
            parts.append("|")
        elif token in "[{(":
            parts.append("(?:")
        elif token in "]})":
            parts.append({"]": ")?", "}": ")*", ")": ")"}[token])
        elif token.startswith('"'):
            parts.append(re.escape(token[1:-1]) + between)
        elif token in rules:
            parts.append(expression(rules, token, between, known))
        else:
            parts.append(known[token] + between)
    return f"(?:{''.join(parts)})"


WORDS_OF = {
    "key": "[a-z_]+",
    "value": r"[\w.]+",
    "digit": "[0-9]",
    "hex": "[0-9a-fA-F]",
}


def line_expression() -> re.Pattern[str]:
    """One line that is no first line, its words each followed by one blank."""
    known = {name: expression(grammar.WORDS, name, "", WORDS_OF) for name in grammar.WORDS}
    return re.compile(expression(grammar.LINES, "line", " ", known))


def accepted(text: str) -> bool:
    """Does the grammar take the text for a program?"""
    lines = [" ".join(line.partition("#")[0].split()) for line in text.splitlines()]
    first, *rest = [line for line in lines if line]
    one = line_expression()
    return first == HEADER and all(one.fullmatch(f"{line} ") for line in rest)


@each_example
def test_the_grammar_has_the_examples(name: str) -> None:
    assert accepted(EXAMPLES[name].text)


def test_the_grammar_has_all_of_the_corpus() -> None:
    one = line_expression()
    paths = sorted(CORPUS.rglob("*.difffuzz"))
    assert len(paths) > 100
    for path in paths:
        lines = [line.partition("#")[0].split() for line in path.read_text().splitlines()]
        first, *rest = [words for words in lines if words]
        assert first == HEADER.split()
        for words in rest:
            assert one.fullmatch(" ".join(words) + " "), (path.name, words)


def test_the_grammar_has_what_is_generated() -> None:
    rng = Random(5)
    for _ in range(50):
        assert accepted(render(generate(rng)))


@pytest.mark.parametrize(
    "line",
    ["bogus", "vcpu4: reload", "vcpu0:", "vcpu0: jump", "config nx=maybe", "config nx",
     "area 0 floppy", "area 0", "schedule 5", "schedule 5:cpu", "schedule x:vcpu0", "slot 0 gfn=",
     "config mmu_pages=-1"],
)  # fmt: skip
def test_the_grammar_refuses_what_the_reader_refuses(line: str) -> None:
    assert not accepted(f"{HEADER}\n{line}\n")
    with pytest.raises(ProgramError):
        parse(f"{HEADER}\n{line}\n")


# Mistakes and settings.


def test_mistakes_print_what_the_page_says() -> None:
    text = language.page()
    assert len(mistakes.said()) == len(mistakes.MISTAKES) + 1
    for wrong, printed in mistakes.said():
        assert printed.startswith("my.difffuzz:")
        assert f"{wrong}\n    {printed}\n" in text
    with pytest.raises(ValueError, match="a program"):
        mistakes.message(f"{HEADER}\n")


def alone(settings: str) -> bool:
    """Does the reader take these settings?"""
    try:
        parse(f"{HEADER}\nconfig {settings}\n")
    except ProgramError:
        return False
    return True


def test_settings_go_together_as_the_page_says() -> None:
    brought = dict(config_rules.brought())
    assert brought["root_level=5"] == "maxphyaddr=52"
    assert brought["init_set=on"] == "manual_protect=on"
    for setting, others in brought.items():
        given = parse(f"{HEADER}\nconfig {setting}\n")
        assert given == parse(f"{HEADER}\nconfig {setting} {others}\n")
    needed = dict(config_rules.needed())
    sets = [spell_choice("four_levels", vcpus) for vcpus in CONFIG_CHOICES["four_levels"][1:]]
    assert set(needed) == {
        *(f"maxphyaddr={bits}" for bits in (49, 50, 51, 52)),
        *(f"four_levels={vcpus}" for vcpus in sets),
    }
    shorter = dict(config_rules.shorter(needed.items()))
    assert shorter.pop("four_levels, all but none") == "root_level=5"
    assert shorter.items() == {
        row for row in needed.items() if not row[0].startswith("four_levels")
    }
    for setting, with_it in needed.items():
        assert not alone(setting)
        assert alone(f"{setting} {with_it}")


def test_settings_clash_as_the_page_says() -> None:
    said = {
        frozenset((one, f"{key}={value}"))
        for one, others in config_rules.clashes()
        for key, _, values in [others.partition("=")]
        for value in values.split("|")
    }
    assert frozenset(("layout=npt", "ad=off")) in said
    assert frozenset(("guest=ept12", "layout=ept")) not in said
    spelled = [
        (key, f"{key}={spell_choice(key, value)}")
        for key, values in CONFIG_CHOICES.items()
        for value in values
    ]
    assert len(spelled) >= 60
    for key, one in spelled:
        for other, another in spelled:
            if key < other and alone(one) and alone(another):
                assert alone(f"{one} {another}") == (frozenset((one, another)) not in said)


def test_guests_that_models_do_not_run() -> None:
    assert {parse(EXAMPLES[OPS[kind].name].text).config.guest for kind in GUEST_KINDS} <= set(
        GUESTS
    )
    for kind in NESTED_OPS:
        assert parse(NESTED[kind].text).config.guest in L1S
