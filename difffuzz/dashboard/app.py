# SPDX-License-Identifier: GPL-2.0-only
"""The application: every view as a page, the same figures as JSON below /api, metrics, events.

A page's template gets the document that the JSON has, and nothing else of the campaign.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final, NamedTuple
from urllib.parse import parse_qs

import anyio.to_thread
from anyio import CapacityLimiter, sleep
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from ..files.printable import json_text
from ..report.page import policy
from .access import COOKIE, Access, Hosts
from .assets import load_assets
from .campaigns import Campaign, NotThere, Unreadable
from .explained import Explained
from .guard import LOGIN, Guard
from .live import MOST_STREAMS, Live
from .metrics import metrics_text
from .render import environment
from .sources import Covers
from .views import VIEWS, Asked, View, overview

MOST_LOGIN: Final = 8192
"""Bytes of a form with a token."""
WRONG_SECONDS: Final = 0.5
"""Before a wrong token is answered."""


class Server(NamedTuple):
    """What the application is made of."""

    campaigns: Sequence[Campaign]
    access: Access
    hosts: Hosts
    over: Callable[[], bool]
    """The process ends: streams do, too."""


def application(server: Server) -> Guard:
    """The ASGI application."""
    pages = _Pages(server)
    routes = [Route("/", pages.overview), Route("/api/campaigns", pages.overview)]
    for view in VIEWS:
        endpoint = pages.endpoint(view)
        if view.template:
            routes.append(Route(f"/c/{{number}}{view.path}", endpoint))
        routes.append(Route(f"/api/c/{{number}}{view.path}", endpoint))
    routes += [
        Route("/c/{number}/findings/{id}/explain", pages.explain),
        Route("/live", pages.live),
        Route("/metrics", pages.metrics),
        Route(LOGIN, pages.login, methods=["GET", "POST"]),
        Route("/static/{name}", pages.static),
    ]
    handlers = {NotThere: pages.not_there, Unreadable: pages.unreadable, HTTPException: pages.http}

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        pages.close()

    app = Starlette(routes=routes, exception_handlers=handlers, lifespan=lifespan)
    return Guard(app, server.access, server.hosts)


class _Pages:
    def __init__(self, server: Server) -> None:
        self._campaigns = server.campaigns
        self._access = server.access
        self._assets = load_assets()
        self._templates = environment(self._assets)
        self._covers = Covers()
        self._explained = Explained()
        self._live = Live(server.campaigns, server.over)
        self._slow = CapacityLimiter(4)

    def endpoint(self, view: View) -> Callable[[Request], Response]:
        """Of one view of one campaign."""

        def show(request: Request) -> Response:
            campaign = self._campaign(request)
            document = view.make(Asked(campaign, self._campaigns, self._covers, request))
            if _is_api(request):
                return _json(document)
            values = {"campaign": campaign, "document": document, "view": view.name}
            return self._page(request, view.template, **values)

        return show

    def overview(self, request: Request) -> Response:
        """All campaigns."""
        document = overview(self._campaigns)
        if _is_api(request):
            return _json(document)
        return self._page(request, "overview", document=document, campaign=None, view="overview")

    def close(self) -> None:
        """The server ends."""
        self._explained.close()

    async def explain(self, request: Request) -> Response:
        """The page that steps through a finding; what runs it may take a while."""
        campaign = self._campaign(request)
        page = await anyio.to_thread.run_sync(
            self._explained.page, campaign, request.path_params["id"], limiter=self._slow
        )
        rules = {"Content-Security-Policy": f"{policy()}; frame-ancestors 'none'"}
        return Response(page, headers=rules, media_type="text/html")

    async def live(self, request: Request) -> Response:
        """Server-sent events."""
        if self._live.streams >= MOST_STREAMS:
            raise HTTPException(503, "too many look")
        return StreamingResponse(self._live.stream(), media_type="text/event-stream")

    def metrics(self, request: Request) -> Response:
        """For Prometheus."""
        content_type = "text/plain; version=0.0.4; charset=utf-8"
        return Response(metrics_text(self._campaigns), headers={"Content-Type": content_type})

    async def login(self, request: Request) -> Response:
        """The form, and what comes of it."""
        wrong = False
        if request.method == "POST":
            if self._access.is_token(await _token_of(request)) and self._access.needed:
                answer = RedirectResponse("/", 303)
                answer.set_cookie(
                    COOKIE, self._access.session, httponly=True, samesite="strict", path="/"
                )
                return answer
            await sleep(WRONG_SECONDS)
            wrong = True
        page = self._page(request, "login", wrong=wrong, campaign=None, view="login")
        page.status_code = 401 if wrong else 200
        return page

    def static(self, request: Request) -> Response:
        """An asset; pages name them with their version."""
        asset = self._assets.get(request.path_params["name"])
        if asset is None:
            raise HTTPException(404)
        kept = {"Cache-Control": "public, max-age=31536000, immutable"}
        return Response(asset.content, headers=kept, media_type=asset.media_type)

    def not_there(self, request: Request, error: Exception) -> Response:
        """No such thing."""
        return self._error(request, 404, str(error))

    def unreadable(self, request: Request, error: Exception) -> Response:
        """A campaign that cannot be read now; it may be in a moment."""
        return self._error(request, 503, str(error))

    def http(self, request: Request, error: Exception) -> Response:
        """What the routes say."""
        assert isinstance(error, HTTPException)
        return self._error(request, error.status_code, error.detail)

    def _error(self, request: Request, status: int, line: str) -> Response:
        if _is_api(request) or request.url.path == "/metrics":
            response = _json({"error": line})
        else:
            number = request.path_params.get("number")
            campaign = next((one for one in self._campaigns if str(one.number) == number), None)
            response = self._page(request, "error", line=line, campaign=campaign, view="error")
        response.status_code = status
        return response

    def _page(self, request: Request, template: str, **values: object) -> Response:
        values |= {"campaigns": self._campaigns, "query": dict(request.query_params)}
        text = self._templates.get_template(f"{template}.html.jinja").render(values)
        return Response(text.encode("utf-8", "replace"), media_type="text/html")

    def _campaign(self, request: Request) -> Campaign:
        for one in self._campaigns:
            if str(one.number) == request.path_params["number"]:
                return one
        raise NotThere("there is no campaign of that number")


async def _token_of(request: Request) -> str:
    """What the form says; nothing if it is larger than a token is."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MOST_LOGIN:
            return ""
    return parse_qs(body.decode("utf-8", "replace")).get("token", [""])[0]


def _is_api(request: Request) -> bool:
    return request.url.path.startswith("/api/")


def _json(document: object) -> Response:
    return Response(json_text(document).encode(), media_type="application/json")
