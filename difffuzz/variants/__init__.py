# SPDX-License-Identifier: GPL-2.0-only
"""Versions of the modelled KVM as patches against its source, loaded side by side."""

from .changed_lines import ChangedLines
from .engine import load, load_marked
from .unified_diff import PatchError

__all__ = ["ChangedLines", "PatchError", "load", "load_marked"]
