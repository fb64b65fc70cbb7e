# SPDX-License-Identifier: GPL-2.0-only
"""`difffuzz serve`: campaigns in a browser."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from .progress import note

PORT = 8080


def serve(
    folders: Annotated[list[Path], typer.Argument(metavar="DIR...", help="Folders of campaigns.")],
    host: Annotated[str, typer.Option(help="The address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free.")] = PORT,
    token_file: Annotated[
        Path | None, typer.Option(help="Nobody looks without the token that is in it.")
    ] = None,
    name: Annotated[
        list[str] | None, typer.Option(help="A name of this machine that browsers may use.")
    ] = None,
) -> None:
    """Show campaigns in a browser, several side by side; nothing of them is changed.

    An address that others reach needs a token: that of --token-file, or one that is made now and
    printed once. Ctrl-C ends it.
    """
    # What serves takes as long to load as all of the rest.
    from ..dashboard.access import Access, is_loopback, new_token, read_token
    from ..dashboard.campaigns import open_campaigns
    from ..dashboard.server import serve as run

    campaigns = open_campaigns(folders)
    made = ""
    if token_file is not None:
        access = Access(read_token(token_file))
    elif is_loopback(host):
        access = Access()
    else:
        made = new_token()
        access = Access(made)

    def ready(address: str) -> None:
        print(address, flush=True)
        if made:
            note(f"token: {made}")
        print("Ctrl-C ends it.", file=sys.stderr, flush=True)

    run(campaigns, host, port, access, name or (), ready)
