# SPDX-License-Identifier: GPL-2.0-only
"""The configuration: what `init` writes is read back; what is wrong is one line with its place."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from difffuzz.campaign.config import Config, Lane, read_config, write_config
from difffuzz.cli import main
from difffuzz.errors import UsageError


def test_what_init_writes_says_the_defaults(tmp_path: Path) -> None:
    write_config(tmp_path)
    config = read_config(tmp_path)
    assert config == Config(version=1, lane=config.lane)
    assert [lane.name for lane in config.lane] == ["lockstep", "concurrent", "exploration"]
    assert config.lane[2].searching
    text = (tmp_path / "campaign.toml").read_text()
    for name in (*Config.__struct_fields__, *Lane.__struct_fields__):
        assert f"{name} = " in text or f"[[{name}]]" in text, f"{name} is not told of"


def test_there_is_one_already(tmp_path: Path) -> None:
    write_config(tmp_path)
    (tmp_path / "campaign.toml").write_text("mine")
    with pytest.raises(UsageError, match=r"campaign\.toml: is there already"):
        write_config(tmp_path)
    assert (tmp_path / "campaign.toml").read_text() == "mine"


def test_patches_are_files_as_seen_from_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_config(tmp_path / "c")
    path = tmp_path / "c" / "campaign.toml"
    text = path.read_text().replace('right = "tdp"', 'right = "tdp+1b2dc7360463+my.patch"', 1)
    path.write_text(text)
    (tmp_path / "c" / "my.patch").write_text(
        "--- a/difffuzz/kvm/x86.py\n+++ b/difffuzz/kvm/x86.py\n"
        "@@ -1,1 +1,2 @@\n # SPDX-License-Identifier: GPL-2.0-only\n+# mine\n"
    )
    monkeypatch.chdir("/")
    patch = tmp_path / "c" / "my.patch"
    assert read_config(tmp_path / "c").lane[0].right == f"tdp+1b2dc7360463+{patch}"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("version = 1", "version = 2", "version 2: this difffuzz knows 1"),
        ("version = 1", "", "missing required field `version`"),
        ("jobs = 2", "jobs = 0", "jobs = 0: expected 1 to 256"),
        ("jobs = 2", 'jobs = "two"', "Expected `int`, got `str` - at `$.jobs`"),
        ("jobs = 2", "job = 2", "unknown field `job`"),
        ("jobs = 2", "jobs = ", "line 5"),
        ('mode = "lockstep"', 'mode = "fast"', "lane lockstep: mode 'fast' is not one of"),
        ('name = "lockstep"', 'name = "../x"', "lane '../x': a name of its own"),
        ('name = "lockstep"', 'name = "concurrent"', "lane 'concurrent': a name of its own"),
        ('right = "tdp"', 'right = "tpd"', "lane lockstep: unknown side 'tpd'"),
        ('right = "tdp"', 'right = "spec"', "lane concurrent: legacy against spec"),
        ("least_share = 0.1", "least_share = 0.5", "least_share = 0.5: expected 0 to 0.33"),
        ("turn = 300.0", "turn = nan", "turn: expected seconds"),
        ("memory_mb = 4096", "memory_mb = 1", "memory_mb = 1: a worker takes 256"),
        ("[[lane]]", "[[lanes]]", "unknown field `lanes`"),
    ],
)
def test_what_is_wrong_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, says: str
) -> None:
    path = write_config(tmp_path)
    text = path.read_text()
    assert old in text
    everywhere = says.startswith(("lane concurrent", "unknown field `lanes`"))
    path.write_text(text.replace(old, new) if everywhere else text.replace(old, new, 1))
    assert main(["campaign", "run", str(tmp_path), "--time", "1"]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"difffuzz: {path}: ")
    assert says in said
    assert said.count("\n") == 1
    assert not (tmp_path / "campaign.db").exists()


def test_a_folder_without_a_configuration(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["campaign", "run", str(tmp_path / "none")]) == 2
    assert "'difffuzz campaign init" in capsys.readouterr().err
    assert main(["campaign", "status", str(tmp_path / "none")]) == 2
    assert "no campaign has run" in capsys.readouterr().err


def test_a_build_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["campaign", "init", str(tmp_path), "--native", "no-such-build"]) == 2
    assert "lane native-no-such-build: " in capsys.readouterr().err
    assert not (tmp_path / "campaign.toml").exists()


def test_the_settings_are_strict() -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"version": 1, "lane": [], "more": 1}, Config)
