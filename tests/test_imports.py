# SPDX-License-Identifier: GPL-2.0-only
"""Imports go one way, those for type checking included; pyproject.toml has the layers."""

from __future__ import annotations

from graphlib import TopologicalSorter

import grimp


def test_no_module_imports_itself_by_a_detour() -> None:
    graph = grimp.build_graph("difffuzz", cache_dir=None)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    assert len(imports) > 200
    # CycleError names the circle.  The contracts find those between siblings; here are also those
    # between a package and what is in it.
    TopologicalSorter(imports).prepare()
