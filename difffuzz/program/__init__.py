# SPDX-License-Identifier: GPL-2.0-only
"""The input language: programs as objects, and everything that makes, reads and writes them."""

from __future__ import annotations

from . import mutate
from .bytes_form import decode, encode
from .generate import generate, generate_config, is_concurrent
from .limits import THREADS
from .model import Config, Op, Program, SlotSpec
from .normalise import normalise
from .ops import BY_NAME, OPS, Kind, OpSpec
from .text_form import ProgramError, parse
from .text_render import render, render_op

__all__ = [
    "BY_NAME",
    "OPS",
    "THREADS",
    "Config",
    "Kind",
    "Op",
    "OpSpec",
    "Program",
    "ProgramError",
    "SlotSpec",
    "decode",
    "encode",
    "generate",
    "generate_config",
    "is_concurrent",
    "mutate",
    "normalise",
    "parse",
    "render",
    "render_op",
]
