# SPDX-License-Identifier: GPL-2.0-only
"""A host is made for a test and must be free of leaks when the test is over."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from .recorder import Host


@pytest.fixture
def make_host() -> Iterator[Callable[[str], Host]]:
    """make_host(kind of area) -> Host; destroyed and checked for leaks at the end."""
    hosts: list[Host] = []

    def make(kind: str) -> Host:
        hosts.append(Host(kind))
        return hosts[-1]

    yield make
    for host in hosts:
        host.close()
