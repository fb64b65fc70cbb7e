# SPDX-License-Identifier: GPL-2.0-only
"""Measures how fast programs run, and how cost and memory grow.  Prints one JSON document.

Every figure that matters is a ratio of two measurements of the same run: times alone say more about
the machine than about the code.
"""

from __future__ import annotations

import argparse
import json
import platform

from ...script import end, need
from .concurrent import concurrent_figures
from .costs import mapped_cost, memory_growth, operation_cost
from .native import native_figures
from .rates import fuzz_rate, lockstep_rate
from .shuttle import events_per_second


def main() -> int:
    """Runs everything; a tenth of the time with --quick."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the time")
    scale = 0.1 if parser.parse_args().quick else 1.0
    need("hypothesis")
    from .state_machine import hypothesis_rate

    result: dict[str, object] = {"python": platform.python_version(), "scale": scale}
    seconds = 20 * scale
    result["lockstep"] = plain = lockstep_rate(seconds)
    result["lockstep_fuzz"] = fuzz = fuzz_rate(max(seconds, 5))
    result["hypothesis"] = state_machine = hypothesis_rate(seconds)
    result["fuzz_to_hypothesis"] = {key: fuzz[key] / state_machine[key] for key in plain}
    result["lockstep_to_hypothesis"] = {key: plain[key] / state_machine[key] for key in plain}
    result["fuzz_to_lockstep"] = {key: fuzz[key] / plain[key] for key in plain}
    short, long = operation_cost(16, int(400 * scale)), operation_cost(256, int(25 * scale) or 2)
    result["operation_us"] = {"16": short, "256": long, "ratio": long / short}
    one, many = mapped_cost(1, int(4000 * scale)), mapped_cost(40_000, int(4000 * scale))
    result["mapped_pages_us"] = {"1": one, "40000": many, "ratio": many / one}
    result["concurrent"] = concurrent_figures(max(seconds / 2, 2), int(1_000_000 * scale))
    result["shuttle_events_per_second"] = events_per_second(max(seconds / 20, 0.1))
    result["native"] = native_figures(max(seconds / 2, 2))
    result["memory"] = memory_growth(int(100_000 * scale))
    print(json.dumps(result, indent=2))
    return 0


if __name__ == "__main__":
    end("bench", main)
