# SPDX-License-Identifier: GPL-2.0-only
"""Who may look: the token, and the cookie that stands for it after a login.

Neither is ever part of an address, of a page or of a log.
"""

from __future__ import annotations

import hmac
import ipaddress
import secrets
import socket
from collections.abc import Iterable
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from typing import Final

from ..errors import UsageError
from ..files.read import read_text

COOKIE: Final = "difffuzz"
LEAST_TOKEN: Final = 16
MOST_TOKEN: Final = 4096


class Access:
    """The token of a server; without one everybody may look who reaches it."""

    def __init__(self, token: str = "") -> None:
        self._token = token.encode()
        self.session: Final = secrets.token_urlsafe(32)
        """The value of the cookie; of this process only."""

    @property
    def needed(self) -> bool:
        """Nobody may look without the token."""
        return bool(self._token)

    def is_token(self, given: str) -> bool:
        """In a time that does not tell how much of it is right."""
        return hmac.compare_digest(given.encode("utf-8", "replace"), self._token)

    def allows(self, authorization: str, cookies: str) -> bool:
        """By the two headers of a request."""
        if not self.needed:
            return True
        scheme, _, given = authorization.partition(" ")
        if scheme.lower() == "bearer" and self.is_token(given.strip()):
            return True
        return hmac.compare_digest(
            _cookie(cookies).encode("utf-8", "replace"), self.session.encode()
        )


def new_token() -> str:
    """256 random bits."""
    return secrets.token_urlsafe(32)


def read_token(path: Path) -> str:
    """The token of a file.  UsageError: there is none, or too short a one."""
    token = read_text(path, MOST_TOKEN).strip()
    if len(token) < LEAST_TOKEN or not token.isascii() or not token.isprintable() or " " in token:
        raise UsageError(
            f"{path}: expected a token: {LEAST_TOKEN} or more letters, digits and signs in a line"
        )
    return token


def is_loopback(host: str) -> bool:
    """Only this machine reaches that address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Hosts:
    """Which names a browser may have used to come here.

    A page elsewhere that has its own name lead to this machine is not one of them: a name is
    allowed if it is known, an address always, for nobody can have it lead elsewhere.
    """

    def __init__(self, bound: str, more: Iterable[str] = ()) -> None:
        """`bound`: the address that is listened at."""
        self._loopback = is_loopback(bound)
        self._names = {"localhost", *(one.lower() for one in more)}
        if not self._loopback:
            self._names |= {bound.lower(), socket.gethostname().lower()}

    def allows(self, host: str) -> bool:
        """By the header."""
        name = _without_port(host.lower())
        if name in self._names:
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return False
        return address.is_loopback or not self._loopback


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def _cookie(header: str) -> str:
    try:
        found = SimpleCookie(header).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found else ""
