# SPDX-License-Identifier: GPL-2.0-only
"""The outcome of a smoke test as SARIF 2.1.0, which code hosts show beside the files.

Rules are oracles, results are findings: one a signature, with the first program that shows it; the
others are related locations.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote

from .. import __version__
from ..oracle import ORACLES
from ..sched.task import HARNESS
from .outcome import Outcome, Shown

VERSION = "2.1.0"
SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
FINGERPRINT = "difffuzz/signature/v1"
MAX_RELATED = 100
RULES = {**ORACLES, HARNESS: "difffuzz itself comes to its end."}
Json = dict[str, object]


def sarif_document(outcome: Outcome) -> Json:
    """What goes into the file as JSON."""
    rules = list(RULES)
    by_signature: dict[str, list[Shown]] = {}
    for known in (False, True):
        for one in outcome.shown(known):
            by_signature.setdefault(one.signature, []).append(one)
    invocation: Json = {"executionSuccessful": outcome.whole and not outcome.interrupted}
    if notifications := [_notification(text) for text in _troubles(outcome)]:
        invocation["toolExecutionNotifications"] = notifications
    driver = {
        "name": "difffuzz",
        "version": __version__,
        "rules": [_rule(name) for name in rules],
    }
    run: Json = {
        "tool": {"driver": driver},
        "automationDetails": {"id": f"difffuzz-smoke/{outcome.left}/{outcome.right}/"},
        "invocations": [invocation],
        "columnKind": "unicodeCodePoints",
        "results": [_result(shown, rules, outcome) for shown in by_signature.values()],
        "properties": {"left": outcome.left, "right": outcome.right, "seed": outcome.seed},
    }
    return {"$schema": SCHEMA, "version": VERSION, "runs": [run]}


def _rule(name: str) -> Json:
    return {
        "id": name,
        "shortDescription": {"text": RULES[name]},
        "help": {"text": f"{RULES[name]} difffuzz found a program after which this does not hold."},
        "defaultConfiguration": {"level": "error"},
        "properties": {"tags": ["kvm", "mmu"]},
    }


def _result(programs: list[Shown], rules: list[str], outcome: Outcome) -> Json:
    first, *others = programs
    result: Json = {
        "ruleId": first.oracle,
        "level": "error",
        "message": {"text": f"{first.signature}: {first.detail}\n{first.replay}"},
        "locations": [_location(first)],
        "partialFingerprints": {FINGERPRINT: first.signature},
        "occurrenceCount": len(programs),
        "properties": {"program": first.text, "replay": first.replay},
    }
    if first.oracle in RULES:
        result["ruleIndex"] = rules.index(first.oracle)
    if others:
        result["relatedLocations"] = [_location(one) for one in others[:MAX_RELATED]]
    if outcome.baseline:
        result["baselineState"] = "unchanged" if first.known else "new"
    if first.known:
        why = "the baseline explains it"
        result["suppressions"] = [{"kind": "external", "justification": why}]
    return result


def _location(shown: Shown) -> Json:
    place: Json = {"artifactLocation": _artifact(Path(shown.program))}
    if shown.line is not None:
        place["region"] = {"startLine": shown.line}
    return {"physicalLocation": place}


def _artifact(path: Path) -> Json:
    """A path as the working folder sees it; hosts look for that in the repository."""
    if path.is_absolute():
        return {"uri": f"file://{quote(bytes(path))}"}
    return {"uri": quote(bytes(path)), "uriBaseId": "%SRCROOT%"}


def _troubles(outcome: Outcome) -> Iterable[str]:
    yield from outcome.errors()
    skipped = [one for one in outcome.cases if one.skipped]
    for reason in dict.fromkeys(one.skipped for one in skipped):
        names = [one.name for one in skipped if one.skipped == reason]
        yield f"{reason}: {names[0]}" + (f" and {len(names) - 1} more" if len(names) > 1 else "")
    if outcome.interrupted:
        yield "interrupted"
    elif not outcome.over:
        yield "the smoke test did not come to its end"


def _notification(text: str) -> Json:
    return {"level": "error", "message": {"text": text}}
