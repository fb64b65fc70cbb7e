# SPDX-License-Identifier: GPL-2.0-only
"""When make runs for a shadow, and what is said when the configuration is not what we need."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from difffuzz.errors import MissingTool, UsageError
from difffuzz.native.configure import prepare
from difffuzz.native.digests import Digests
from difffuzz.native.shadow_tree import ShadowTree
from difffuzz.native.tree import open_tree

from . import fake_tree

Prepare = Callable[[], list[str]]


@pytest.fixture
def shadow(tmp_path: Path) -> Path:
    """Where the shadow will be."""
    return tmp_path / "shadow"


@pytest.fixture
def prepared(tree: Path, shadow: Path, tmp_path: Path) -> Prepare:
    """Prepare as a new process would, and return the targets that make was called for."""

    def run() -> list[str]:
        ShadowTree(tree, shadow).refresh()
        calls = shadow / "make.calls"
        calls.unlink(missing_ok=True)
        prepare(open_tree(tree), shadow, Digests(tmp_path / "digests"), lambda line: None)
        return calls.read_text().split() if calls.exists() else []

    return run


def refusal(prepared: Prepare) -> str:
    with pytest.raises(UsageError) as caught:
        prepared()
    return str(caught.value)


@pytest.mark.usefixtures("tools")
def test_make_runs_once(prepared: Prepare) -> None:
    assert prepared() == ["x86_64_defconfig", "olddefconfig", "prepare0"]
    assert prepared() == []


@pytest.mark.usefixtures("tools")
def test_a_kconfig_file_that_changed_configures_again(prepared: Prepare, tree: Path) -> None:
    prepared()
    fake_tree.write_files(tree, {"arch/x86/Kconfig": "config NEW\n"})
    assert prepared() == ["x86_64_defconfig", "olddefconfig", "prepare0"]


@pytest.mark.usefixtures("tools")
def test_an_input_of_generated_headers_makes_only_these(prepared: Prepare, tree: Path) -> None:
    prepared()
    fake_tree.write_files(tree, {"include/linux/page.h": "#define NEW\n"})
    assert prepared() == ["prepare0"]
    fake_tree.write_files(tree, {"include/linux/kvm_host.h": "#define NEW\n"})
    assert prepared() == []


@pytest.mark.usefixtures("tools")
def test_a_file_that_was_only_touched_changes_nothing(prepared: Prepare, tree: Path) -> None:
    prepared()
    (tree / "arch/x86/Kconfig").touch()
    (tree / "include/linux/page.h").touch()
    assert prepared() == []


def test_an_option_that_stays_on(prepared: Prepare, tools: Path) -> None:
    fake_tree.fake_tools(tools, f"{fake_tree.CONFIG} FTRACE")
    assert refusal(prepared).endswith("Linux 6.1.192 cannot be configured: CONFIG_FTRACE stays on")


def test_an_option_that_stays_off(prepared: Prepare, tools: Path) -> None:
    fake_tree.fake_tools(tools, fake_tree.CONFIG.replace("X86_5LEVEL", ""))
    assert refusal(prepared).endswith("cannot be configured: CONFIG_X86_5LEVEL stays off")


def test_an_option_that_the_tree_does_not_have(prepared: Prepare, tools: Path, tree: Path) -> None:
    """Linux 6.17 has no X86_5LEVEL: it is always on."""
    fake_tree.fake_tools(tools, fake_tree.CONFIG.replace("X86_5LEVEL", ""))
    fake_tree.write_files(tree, {"arch/x86/Kconfig": ""})
    assert "prepare0" in prepared()


@pytest.mark.usefixtures("tools")
@pytest.mark.parametrize(
    ("output", "said"),
    [
        ("arch/x86/Kconfig:7: syntax error", "arch/x86/Kconfig:7: syntax error (make x86_64"),
        ("./include/linux/page.h:3:1: error: expected ';'", "include/linux/page.h:3: expected ';'"),
        ("make: *** No rule to make target 'x'.  Stop.", "No rule to make target 'x'.  Stop. ("),
    ],
)
def test_what_make_says_is_one_line(
    prepared: Prepare, shadow: Path, tree: Path, output: str, said: str
) -> None:
    fake_tree.write_files(tree, {"broken": f"noise\n{output}\nmore\n"})
    message = refusal(prepared)
    assert message.startswith(said)
    assert message.endswith(f"see {shadow}/configure.log)")
    assert output in (shadow / "configure.log").read_text()


def test_missing_tools_come_with_the_command(
    prepared: Prepare, tools: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("bison", "flex"):
        (tools / name).unlink()
    monkeypatch.setenv("PATH", str(tools))
    with pytest.raises(MissingTool, match=r"bison.* not installed: run '.*apt-get install .*flex"):
        prepared()
