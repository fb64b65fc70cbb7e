# SPDX-License-Identifier: GPL-2.0-only
"""`python -m difffuzz` and the installed `difffuzz` run the command line."""

from __future__ import annotations

import os
import sys

from .shipped import to_install


def main() -> None:
    """Run the command line and end with its status."""
    _take_streams()
    try:
        from .cli import main as run_command_line
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("difffuzz"):
            raise
        command = to_install(str(error.name))
        print(f"difffuzz: {error.name} is missing: run '{command}'", file=sys.stderr)
        sys.exit(3)
    sys.exit(run_command_line())


def _take_streams() -> None:
    """A file that is opened never takes the place of a standard stream that is closed."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


if __name__ == "__main__":
    main()
