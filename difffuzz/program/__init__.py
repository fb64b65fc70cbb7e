# SPDX-License-Identifier: GPL-2.0-only
"""The input language: programs as objects, and everything that makes, reads and writes them."""

from __future__ import annotations

from .limits import THREADS
from .model import Config, Op, Program, SlotSpec
from .normalise import normalise
from .ops import OPS, Kind

__all__ = ["OPS", "THREADS", "Config", "Kind", "Op", "Program", "SlotSpec", "normalise"]
