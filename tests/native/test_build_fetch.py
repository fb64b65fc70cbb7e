# SPDX-License-Identifier: GPL-2.0-only
"""Fetching a source package: what is there already, what apt is asked, what a user is told."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path

import pytest

from difffuzz.errors import MissingTool, UsageError
from difffuzz.native import fetch as fetching
from difffuzz.native.apt_source import codename, of_suite, with_backports
from difffuzz.native.cache import Cache

from .fake_tree import write_files
from .needs import needs

STANZA = """\
# a comment
Types: deb deb-src
URIs: mirror
Suites: bookworm bookworm-updates
Components: main
Signed-By: /key.gpg

Types: deb
URIs: security
Suites: bookworm-security
Components: main
"""


def quiet(line: str) -> None:
    pass


def test_a_tree_that_is_there_is_only_named(cache: Cache) -> None:
    tree = cache.sources / "linux-source-6.1"
    tree.mkdir(parents=True)
    assert fetching.fetch(cache, "6.1", quiet) == tree


@needs("xz")
def test_an_installed_tarball_is_unpacked(
    cache: Cache, tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "TARBALLS", tmp_path)
    with tarfile.open(tmp_path / "linux-source-6.1.tar.xz", "w:xz") as archive:
        archive.add(tree, "linux-source-6.1")
    fetched = fetching.fetch(cache, "6.1", quiet)
    assert (fetched / "Makefile").read_bytes() == (tree / "Makefile").read_bytes()
    assert {path.name for path in cache.sources.iterdir()} == {".lock", "linux-source-6.1"}


def test_not_root_is_told_the_command(
    cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "TARBALLS", tmp_path)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    write_files(tmp_path / "bin", {"apt-cache": "#!/bin/sh\necho 'Package: linux-source-6.1'\n"})
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    with pytest.raises(MissingTool, match=r"'sudo apt-get install linux-source-6\.1'"):
        fetching.fetch(cache, "6.1", quiet)


@pytest.mark.parametrize("series", ["6", "6.1.2", "x", "../x"])
def test_no_series(cache: Cache, series: str) -> None:
    with pytest.raises(UsageError, match=r"expected one as 6\.1, 6\.12, 7\.2"):
        fetching.fetch(cache, series, quiet)


def test_sources_in_stanzas(tmp_path: Path) -> None:
    write_files(tmp_path, {"sources.list.d/a.sources": STANZA})
    assert with_backports("bookworm", tmp_path) == (
        "Types: deb\nUris: mirror\nSuites: bookworm bookworm-updates bookworm-backports\n"
        "Components: main\nSigned-By: /key.gpg\n\n"
        "Types: deb\nUris: security\nSuites: bookworm-security\nComponents: main\n"
    )


def test_sources_in_lines(tmp_path: Path) -> None:
    write_files(
        tmp_path,
        {
            "sources.list": "# deb mirror bookworm main\n"
            "deb [arch=amd64 signed-by=/key.gpg] mirror bookworm main contrib # a comment\n"
            "deb-src mirror bookworm main\n",
            "sources.list.d/b.list": "deb other stable main\n",
        },
    )
    assert with_backports("bookworm", tmp_path) == (
        "Types: deb\nUris: mirror\nSuites: bookworm bookworm-backports\n"
        "Components: main contrib\nSigned-By: /key.gpg\n"
    )


def test_a_key_inside_a_stanza_is_kept(tmp_path: Path) -> None:
    key = "Signed-By:\n -----BEGIN-----\n .\n abc\n"
    text = f"Types: deb\nURIs: mirror\nSuites: bookworm\nComponents: main\n{key}"
    write_files(tmp_path, {"sources.list.d/a.sources": text})
    assert key.replace(":\n", ": \n") in with_backports("bookworm", tmp_path)


@pytest.mark.parametrize("text", [f"Enabled: no\n{STANZA}", "Types: deb\nSuites: stable\n", ""])
def test_no_source_offers_the_suite(tmp_path: Path, text: str) -> None:
    stanza = text.partition("\n\n")[0]
    write_files(tmp_path, {"sources.list.d/a.sources": stanza})
    with pytest.raises(MissingTool, match="offers bookworm"):
        with_backports("bookworm", tmp_path)


def test_sources_for_another_suite(tmp_path: Path) -> None:
    write_files(tmp_path, {"sources.list.d/a.sources": STANZA})
    assert of_suite("sid", "bookworm", tmp_path) == (
        "Types: deb\nUris: mirror\nSuites: sid\nComponents: main\nSigned-By: /key.gpg\n"
    )
    with pytest.raises(MissingTool, match="offers trixie"):
        of_suite("sid", "trixie", tmp_path)


def test_the_suite_of_this_machine(tmp_path: Path) -> None:
    write_files(tmp_path, {"os-release": 'ID=debian\nVERSION_CODENAME="bookworm"\n'})
    assert codename(tmp_path / "os-release") == "bookworm"
    with pytest.raises(MissingTool, match="no Debian"):
        codename(tmp_path / "absent")
