# SPDX-License-Identifier: GPL-2.0-only
"""Versions of the modelled KVM as patches against its source, loaded side by side."""

from .engine import load
from .unified_diff import PatchError

__all__ = ["PatchError", "load"]
