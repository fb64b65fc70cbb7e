# SPDX-License-Identifier: GPL-2.0-only
"""How a script ends, `python -m difffuzz.hunts.bench` and its like: one line and a status."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable

from .errors import MissingTool, UsageError
from .shipped import to_add


def end(name: str, main: Callable[[], int]) -> None:
    """Ends the process with what `main` returns, or with one line on stderr that begins with the
    script's name: 2 for wrong use or bad input, 3 where the environment is not able, 130 if it was
    interrupted."""
    try:
        status = main()
    except UsageError as error:
        status = _fail(name, str(error), 2)
    except MissingTool as error:
        status = _fail(name, str(error), 3)
    except OSError as error:
        status = _fail(name, f"{error.filename or 'output'}: {error.strerror or error}", 2)
    except KeyboardInterrupt:
        status = _fail(name, "interrupted", 130)
    sys.exit(status)


def need(package: str, so: str = "") -> None:
    """MissingTool if an optional package is not installed; `so`: what comes of that."""
    if importlib.util.find_spec(package) is None:
        raise MissingTool(
            ", ".join(filter(None, (f"{package} is not installed", so))), to_add(package)
        )


def note(line: str) -> None:
    """Progress goes to stderr."""
    print(line, file=sys.stderr, flush=True)


def _fail(name: str, message: str, status: int) -> int:
    note(f"{name}: {message}")
    return status
