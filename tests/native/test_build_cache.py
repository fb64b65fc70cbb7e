# SPDX-License-Identifier: GPL-2.0-only
"""Where the cache is, and how a file is known to be the same."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from difffuzz.errors import UsageError
from difffuzz.native.cache import Cache, default_cache, locked, short_digest, write_atomic
from difffuzz.native.digests import Digests


@pytest.mark.parametrize(
    ("environment", "root"),
    [
        ({"DIFFFUZZ_CACHE": "/one", "XDG_CACHE_HOME": "/two"}, "/one"),
        ({"XDG_CACHE_HOME": "/two"}, "/two/difffuzz"),
        ({"HOME": "/home/me"}, "/home/me/.cache/difffuzz"),
    ],
)
def test_the_environment_names_it(
    environment: dict[str, str], root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DIFFFUZZ_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert default_cache().root == Path(root)


@pytest.mark.parametrize("name", ["a b", "a:b", "a#b"])
def test_a_name_that_make_does_not_understand(name: str) -> None:
    with pytest.raises(UsageError, match="DIFFFUZZ_CACHE"):
        Cache(Path("/tmp") / name)


def test_a_digest_tells_where_a_part_ends() -> None:
    assert short_digest("ab", "c") != short_digest("a", "bc")


def test_a_file_is_whole_or_not_there(tmp_path: Path) -> None:
    write_atomic(tmp_path / "new/file", b"data")
    assert (tmp_path / "new/file").read_bytes() == b"data"
    assert os.listdir(tmp_path / "new") == ["file"]


def test_content_is_read_again_only_when_its_times_change(tmp_path: Path) -> None:
    file, store = tmp_path / "a.h", tmp_path / "store"
    file.write_text("one")
    first = Digests(store)
    digest = first.of(str(file))
    first.save()
    before = store.stat().st_mtime_ns
    again = Digests(store)
    assert again.of(str(file)) == digest
    again.save()
    assert store.stat().st_mtime_ns == before
    file.write_text("two")
    assert again.of(str(file)) == digest, "within a build the tree does not change"
    assert Digests(store).of(str(file)) != digest


def test_a_file_that_goes_has_another_digest(tmp_path: Path) -> None:
    file = tmp_path / "a.h"
    file.write_text("one")
    digests = Digests(tmp_path / "store")
    digest = digests.of(str(file))
    file.unlink()
    digests.forget()
    assert digests.of(str(file)) != digest


def test_a_store_that_is_broken_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("nonsense")
    (tmp_path / "a.h").write_text("one")
    assert Digests(tmp_path / "store").of(str(tmp_path / "a.h"))


def test_a_cache_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="DIFFFUZZ_CACHE"), locked(tmp_path / "file/cache"):
        pass
