# SPDX-License-Identifier: GPL-2.0-only
"""The process that serves: listens, ends with SIGTERM or Ctrl-C, and logs no request."""

from __future__ import annotations

import errno
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import uvicorn

from ..errors import MissingTool, UsageError
from .access import Access, Hosts
from .app import Server, application
from .campaigns import Campaign

END_SECONDS: Final = 3
"""What is asked for then is not waited for any longer."""
MOST_AT_ONCE: Final = 200
"""Connections."""


def serve(
    campaigns: Sequence[Campaign],
    host: str,
    port: int,
    access: Access,
    names: Sequence[str],
    ready: Callable[[str], None],
) -> None:
    """Until SIGTERM or Ctrl-C.  `names`: by which a browser may come besides the address;
    `ready` is told the address when it can be asked.

    UsageError: no such address; MissingTool: it cannot be listened at.
    """
    sock = listen(host, port)
    with sock:
        shown = f"[{host}]" if ":" in host else host
        ready(f"http://{shown}:{sock.getsockname()[1]}/")
        server = _Uvicorn(_config())
        served = Server(campaigns, access, Hosts(host, names), lambda: server.should_exit)
        server.config.app = application(served)
        server.run(sockets=[sock])


def listen(host: str, port: int) -> socket.socket:
    """Errors as from serve()."""
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family)
    except UnicodeError as error:
        raise UsageError(f"--host {host}: is no name of a machine") from error
    except socket.gaierror as error:
        raise UsageError(f"--host {host}: {error.strerror}") from error
    except OSError as error:
        if error.errno == errno.EADDRNOTAVAIL:
            raise UsageError(f"--host {host}: is no address of this machine") from error
        text = error.strerror or str(error)
        raise MissingTool(f"{host}:{port}: {text}", "difffuzz serve --port 0 DIR") from error


def _config() -> uvicorn.Config:
    return uvicorn.Config(
        _nobody,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="on",
        limit_concurrency=MOST_AT_ONCE,
        timeout_graceful_shutdown=END_SECONDS,
        ws="none",
    )


async def _nobody(*_: object) -> None:
    """Stands for the application, which is made with the server."""


class _Uvicorn(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """A signal ends the server, and is no error."""
        before = {
            number: signal.signal(number, self.handle_exit)
            for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
