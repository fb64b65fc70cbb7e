# SPDX-License-Identifier: GPL-2.0-only
"""KVM's selftests out of a tree: found by name, built beside it, and refused in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from msgspec import convert

from difffuzz.booted.reproduce import Outcome
from difffuzz.booted.selftests import FOLDER, SUITE, Selftest, built, source_of, split
from difffuzz.booted.session import EVERYTHING, Lane
from difffuzz.cli import main
from difffuzz.commands import kernel_binary, kernel_selftest
from difffuzz.errors import UsageError
from difffuzz.manual.documents import ReproducerRuns
from difffuzz.native.cache import Cache
from difffuzz.native.tree import MMU, NEEDED

from ..native.needs import needs
from .test_judge import fake_qemu
from .test_parts import bzimage

TEST = "int main(void) { return SEVEN; }\n"
MAKE = """\
$(OUTPUT)/%: %.c
\tmkdir -p $(dir $@)
\t$(CC) $(LDFLAGS) -DSEVEN=7 $(EXTRA_CFLAGS) -include $(LINUX_HDR_PATH)made.h $< -o $@
"""
HEADERS = """\
VERSION = 6
PATCHLEVEL = 1
SUBLEVEL = 9
headers:
\tmkdir -p $(O)/usr/include
\techo '#define MADE' >$(O)/usr/include/made.h
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "linux"
    for name in (*NEEDED, MMU):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("")
    (root / "Makefile").write_text(HEADERS)
    tests = root / FOLDER
    for folder in ("include", "x86_64"):
        (tests / folder).mkdir(parents=True)
    (tests / "Makefile").write_text(MAKE)
    (tests / "include/test_util.h").write_text("")
    (tests / "one_test.c").write_text(f"#ifdef TEST_ASSERT_EQ\n{TEST}#endif\n")
    (tests / "x86_64/other_test.c").write_text(TEST)
    (tests / "broken_test.c").write_text("int main(void) { return x; }\n")
    return root


def test_a_name_with_arguments() -> None:
    assert split("dirty_log_test -M 'a b'") == ("dirty_log_test", ("-M", "a b"))
    for bad in ("", "one 'two", "a\0b"):
        with pytest.raises(UsageError, match="selftest"):
            split(bad)
    assert Selftest("a -b 2M", Path("a"), ()).slug == "a--b-2M"
    assert len({split(one) for one in SUITE}) == len(SUITE)


@needs("gcc", "make")
def test_they_are_built_beside_the_tree(tree: Path, tmp_path: Path) -> None:
    before = sorted(tree.rglob("*"))
    said: list[str] = []
    cache = Cache(tmp_path / "cache")
    one, other = built(cache, tree, ["one_test -a", "other_test"], said.append)
    assert (one.arguments, other.arguments) == (("-a",), ())
    assert all(test.binary.read_bytes().startswith(b"\x7fELF") for test in (one, other))
    assert sorted(tree.rglob("*")) == before
    assert len(said) == 2
    built(cache, tree, ["other_test"], said.append)
    assert said[2:] == ["building 1 selftest of linux"]


@needs("gcc", "make")
def test_what_does_not_build_is_one_line(tree: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"does not build: .*undeclared"):
        built(Cache(tmp_path / "cache"), tree, ["broken_test"], print)
    (tree / "Makefile").write_text(HEADERS + "\tfalse\n")
    with pytest.raises(UsageError, match="make headers"):
        built(Cache(tmp_path / "other"), tree, ["one_test"], print)


def test_a_name_that_is_not_there(tree: Path, tmp_path: Path) -> None:
    assert source_of(tree, "other_test") == "x86_64/other_test"
    with pytest.raises(UsageError, match="no KVM selftest othr_test; near are other_test"):
        source_of(tree, "othr_test")
    (tree / FOLDER / "Makefile").unlink()
    with pytest.raises(UsageError, match="it has no tools/testing"):
        built(Cache(tmp_path / "cache"), tree, ["one_test"], print)


def test_the_command_needs_a_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DIFFFUZZ_CACHE", str(tmp_path / "cache"))
    image = tmp_path / "vmlinuz"
    image.write_bytes(bzimage("6.1.0"))
    argv = ["kernel", "selftest", "--image", str(image), "--qemu", str(fake_qemu(tmp_path))]
    assert main(argv) == 2
    assert "run 'difffuzz native fetch 6.1', or name one with --tree" in capsys.readouterr().err


class Booted:
    """A session that is never asked."""

    release = "6.1.0"

    def __init__(self, *_: object, traced: str) -> None:
        assert traced == EVERYTHING

    def __enter__(self) -> Booted:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def test_what_they_came_to_is_told_and_traces_are_kept(
    tree: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    binary, image = tmp_path / "binary", tmp_path / "vmlinuz"
    binary.write_bytes(b"\x7fELF")
    image.write_bytes(bzimage("6.1.0"))
    test = Selftest("one_test -a", binary, ("-a",))

    def run_binary(
        session: object, data: bytes, lane: Lane, seconds: int, arguments: tuple[str, ...]
    ) -> Outcome:
        assert (data, seconds, arguments) == (b"\x7fELF", 9, ("-a",))
        bad = lane.mmu == "tdp"
        return Outcome(lane.mmu, 254 if bad else 0, "1..1\nwhy it failed\n", f"trace of {lane.mmu}")

    monkeypatch.setattr(kernel_selftest, "built", lambda *_: [test])
    monkeypatch.setattr(kernel_selftest, "Session", Booted)
    monkeypatch.setattr(kernel_binary, "run_binary", run_binary)
    argv = ["kernel", "selftest", "one_test -a", "--image", str(image), "--tree", str(tree)]
    argv += ["--qemu", str(fake_qemu(tmp_path)), "--trace", str(tmp_path / "traces")]
    assert main([*argv, "--seconds", "9", "--json"]) == 1
    [found] = convert(json.loads(capsys.readouterr().out), list[ReproducerRuns])
    assert [(one.mmu, one.verdict, one.status) for one in found.runs] == [
        ("legacy", "ok", 0),
        ("tdp", "not ok", 254),
    ]
    for one in found.runs:
        assert isinstance(one.trace, str)
        assert Path(one.trace).read_text() == f"trace of {one.mmu}"
    assert main([*argv, "--seconds", "9"]) == 1
    assert "why it failed" in capsys.readouterr().out
