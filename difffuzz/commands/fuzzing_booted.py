# SPDX-License-Identifier: GPL-2.0-only
"""`fuzz` on sides that are a booted kernel: `kernel fuzz`, with the options of `fuzz`."""

from __future__ import annotations

import random

from ..errors import UsageError
from ..fuzz.options import FuzzOptions
from ..shipped import CORPUS
from ..sides.names import NATIVE
from .baselined import open_baseline
from .booted_sides import pair_of
from .kernel_hunt import Hunt, hunt
from .kernel_options import wish_of

MODES = ("portfolio", "lockstep")
"""Programs run operation by operation; without a schedule, portfolio is the same."""


def fuzz_booted(options: FuzzOptions, baseline: str | None) -> dict[str, object]:
    """The document (manual/documents.py, KernelFuzzed).

    UsageError, MissingTool: such sides cannot be, or the options are not for them.
    """
    if options.mode not in MODES:
        raise UsageError(f"--mode {options.mode}: a booted kernel is fuzzed in lockstep")
    if options.jobs > 1:
        raise UsageError(f"--jobs {options.jobs}: a booted kernel is fuzzed by one")
    if baseline is not None and baseline.startswith(NATIVE):
        raise UsageError(f"--baseline {baseline}: for a booted kernel it is a file")
    pair = pair_of(options.left, options.right)
    return hunt(
        Hunt(
            wish_of(pair.series, None, None, None, "tcg"),
            options.out,
            pair.lanes,
            pair.models,
            options.time or 0.0,
            options.runs or 0,
            random.randrange(1, 1 << 31) if options.seed is None else options.seed,
            options.stop_on_finding,
            options.corpus or CORPUS,
            open_baseline(baseline, options.left, options.right, options.mode),
        )
    )
