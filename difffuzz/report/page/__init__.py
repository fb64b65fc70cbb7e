# SPDX-License-Identifier: GPL-2.0-only
"""A recording as one HTML page that a browser steps through, from disk and without a network.

What a program or an oracle says never becomes markup: the template escapes it, and the script,
which gets the recording as data, makes text nodes of it.  The page's policy lets nothing run and
nothing be loaded but the style and the script that came with difffuzz.
"""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from importlib.resources import files

import msgspec
from jinja2 import DictLoader, Environment, StrictUndefined
from markupsafe import Markup

from difffuzz.report.recording import Recording

ESCAPES = {
    character: f"\\u{ord(character):04x}" for character in ("<", ">", "&", "\u2028", "\u2029")
}
"""Characters of JSON, all inside of its strings, that could end or begin markup."""


def page_of(recording: Recording) -> str:
    """The page."""
    style, script = _own("page.css"), _own("page.js")
    environment = Environment(
        loader=DictLoader({"page": _own("page.html.jinja")}),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page").render(
        policy=policy(),
        style=Markup(style),
        script=Markup(script),
        data=Markup(_data(recording)),
        recording=recording,
    )


def policy() -> str:
    """What a page lets run and be loaded, as a browser is told."""
    return "; ".join(
        (
            "default-src 'none'",
            f"style-src '{_digest(_own('page.css'))}'",
            f"script-src '{_digest(_own('page.js'))}'",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )


def _own(name: str) -> str:
    return files(__name__).joinpath(name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    """As a policy names what it allows."""
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"


def _data(recording: Recording) -> str:
    text = msgspec.json.encode(recording).decode()
    for character, escaped in ESCAPES.items():
        text = text.replace(character, escaped)
    return text
