# SPDX-License-Identifier: GPL-2.0-only
"""Every request passes here first, every answer last: who asks, by which name, for what.

Pages may load style, scripts and data from here only, run nothing that stands in them, and be
framed nowhere.
"""

from __future__ import annotations

from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .access import Access, Hosts

POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
LOGIN: Final = "/login"
OPEN: Final = "/static/"
"""What the login's page needs; nothing of it is a secret."""


class Guard:
    """Around an application."""

    def __init__(self, app: ASGIApp, access: Access, hosts: Hosts) -> None:
        self._app = app
        self._access = access
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.setdefault("Content-Security-Policy", POLICY)
                headers.setdefault("Cache-Control", "no-store")
                for name, value in HEADERS.items():
                    headers[name] = value
            await send(message)

        refused = self._refused(scope)
        await (refused or self._app)(scope, receive, sending)

    def _refused(self, scope: Scope) -> Response | None:
        """What to answer to whom nothing is shown."""
        headers = Headers(scope=scope)
        path = str(scope["path"])
        if not self._hosts.allows(headers.get("host", "")):
            return PlainTextResponse("this is not a name of this server\n", 421)
        method = scope["method"]
        if method not in ("GET", "HEAD") and not (method == "POST" and path == LOGIN):
            return PlainTextResponse("only reading\n", 405, {"Allow": "GET, HEAD"})
        if method == "POST" and not _from_here(headers):
            return PlainTextResponse("sent from another site\n", 403)
        if path == LOGIN or path.startswith(OPEN):
            return None
        if self._access.allows(headers.get("authorization", ""), headers.get("cookie", "")):
            return None
        if "text/html" in headers.get("accept", ""):
            return RedirectResponse(LOGIN, 303)
        return PlainTextResponse(
            "a token is needed\n", 401, {"WWW-Authenticate": 'Bearer realm="difffuzz"'}
        )


def _from_here(headers: Headers) -> bool:
    origin = headers.get("origin")
    return origin is None or origin.partition("://")[2] == headers.get("host")
