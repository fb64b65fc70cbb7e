# SPDX-License-Identifier: GPL-2.0-only
"""The command line: which commands there are, and how an error becomes one line and a status.

Status 0: nothing found; 1: findings; 2: wrong use or bad input; 3: the environment is not able;
70: a fault of difffuzz itself, with a file to report; 130: interrupted (but what looks for
something ends an interrupted run with what it has, and 0 or 1: `fuzz` and `smoke` once a program
was fuzzed, `explore`, `minimize`, `bugs hunt`, `variant diff`, `native conform`).
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Annotated

import typer
from typer.exceptions import TyperException

from .commands import bugs, campaign, corpus, findings, kernel, native, variant
from .commands.doctor import doctor
from .commands.explore import explore
from .commands.export import export
from .commands.fault import report
from .commands.fuzzing import INTERRUPTED, fuzz
from .commands.judge import judge
from .commands.programs import explain, minimize, replay
from .commands.review import review
from .commands.serve import serve
from .commands.smoke import smoke
from .commands.version import version_text
from .errors import MissingTool, UsageError
from .files.printable import printable
from .program import ProgramError

COMPLETES = "_DIFFFUZZ_COMPLETE"
"""Set by the shell that asks for words; `--show-completion` prints what sets it."""
COMPLETION = frozenset(("--install-completion", "--show-completion"))

app = typer.Typer(
    pretty_exceptions_enable=False,
    help="Differential fuzzing of models of KVM's two x86 MMUs.",
)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(version_text())
        raise typer.Exit


@app.callback()
def difffuzz(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Say which, and the commit."
        ),
    ] = False,
) -> None:
    """Differential fuzzing of models of KVM's two x86 MMUs."""


for command in (
    fuzz,
    smoke,
    replay,
    minimize,
    explain,
    explore,
    export,
    judge,
    review,
    serve,
    doctor,
):
    app.command()(command)
app.add_typer(campaign.app, name="campaign")
app.add_typer(corpus.app, name="corpus")
app.add_typer(findings.app, name="findings")
app.add_typer(bugs.app, name="bugs")
app.add_typer(variant.app, name="variant")
app.add_typer(native.app, name="native")
app.add_typer(kernel.app, name="kernel")


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit status.  Nothing but a status comes out of it."""
    if sys.stdout is None:
        return _fail("standard output is closed", 3)
    try:
        status = app(arguments, prog_name="difffuzz", standalone_mode=False)
        sys.stdout.flush()
        if status == INTERRUPTED:  # what the command line's library makes of Ctrl-C
            return _fail("interrupted", INTERRUPTED)
        if status == 1 and not COMPLETION.isdisjoint(arguments or sys.argv[1:]):
            return 3  # it has said that it does not know the shell
        return status if isinstance(status, int) else 0
    except MissingTool as error:
        return _fail(str(error), 3)
    except (UsageError, ProgramError) as error:
        return _fail(str(error), 2)
    except TyperException as error:
        return _fail(f"{error.format_message().rstrip('.')}: see 'difffuzz --help'", 2)
    except (KeyboardInterrupt, typer.Abort):
        return _fail("interrupted", INTERRUPTED)
    except SystemExit as ended:  # what the command line's library makes of a broken pipe
        if ended.code == 0:  # or of a completion that it has printed
            return 0
        if os.environ.get(COMPLETES):  # or could not print, and said so
            return 2
        _drop_output()
        return _fail("standard output: Broken pipe", 3)
    except OSError as error:
        if isinstance(error, BrokenPipeError) or error.filename is None:
            _drop_output()
        return _fail(f"{error.filename or 'output'}: {error.strerror or error}", 3)
    except MemoryError:
        return _fail("out of memory", 3)
    except Exception as error:
        return _fail(report(error), 70)


def _drop_output() -> None:
    """What stdout still holds cannot be written: the interpreter's end is not to try again."""
    with contextlib.suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)


def _fail(message: str, status: int) -> int:
    with contextlib.suppress(OSError, ValueError):
        print(f"difffuzz: {printable(' '.join(message.split()))}", file=sys.stderr)
    return status
