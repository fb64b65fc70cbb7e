# SPDX-License-Identifier: GPL-2.0-only
"""`python -m difffuzz` and the installed `difffuzz` run the command line."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line and end with its status."""
    try:
        from .cli import main as run_command_line
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("difffuzz"):
            raise
        print(f"difffuzz: {error.name} is missing: run 'scripts/bootstrap'", file=sys.stderr)
        sys.exit(3)
    sys.exit(run_command_line())


if __name__ == "__main__":
    main()
