# SPDX-License-Identifier: GPL-2.0-only
"""The outcome of a smoke test as JUnit XML, in the form that Jenkins, GitLab and others read."""

from __future__ import annotations

import io
import re

from junitparser import Attr, Error, Failure, JUnitXml, Skipped, TestCase, TestSuite
from junitparser.junitparser import FinalResult

from .outcome import FUZZ, Case, Outcome, Shown

SUITE = "difffuzz.smoke"
UNFINISHED = "the smoke test did not come to its end"
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 has no way to write."""


def junit_xml(outcome: Outcome) -> bytes:
    """The document, in UTF-8: a test case a program, its class by the folder, and the fuzzer's."""
    suite = TestSuite(SUITE)
    for name in ("left", "right", "seed"):
        suite.add_property(name, _text(str(getattr(outcome, name))))
    cases = list(outcome.cases)
    if not outcome.over:
        cases.append(Case("smoke", FUZZ, error=UNFINISHED))
    for case in cases:
        suite.add_testcase(_case(case))
    suite.time = round(outcome.seconds, 3)
    document = JUnitXml(SUITE)
    document.add_testsuite(suite)
    document.update_statistics()  # type: ignore[no-untyped-call]
    document.time = suite.time
    file = io.BytesIO()
    document.write(file, pretty=True)
    return file.getvalue()


class _Case(TestCase):
    file = Attr()


def _case(case: Case) -> TestCase:
    one = _Case(_text(case.name), f"difffuzz.{_text(case.group)}", round(case.seconds, 3))
    if case.path:
        one.file = _text(case.path)
    results: list[FinalResult] = []
    if case.error:
        results.append(Error(_text(case.error), "program"))
    for shown in case.shown:
        if not shown.known:
            failure = Failure(_text(f"{shown.signature}: {shown.detail}"), _text(shown.oracle))
            failure.text = _text(told(shown))
            results.append(failure)
    if case.skipped or case.unfit:
        results.append(Skipped(_text(case.skipped or case.unfit)))
    if results:
        one.result = results
    known = [told(shown) for shown in case.shown if shown.known]
    if known:
        one.system_out = _text("known to the baseline:\n\n" + "\n".join(known))
    return one


def told(shown: Shown) -> str:
    """A finding for people: what it is, the program, the line that replays it."""
    return f"{shown.signature}\n{shown.detail}\n\n{shown.text.rstrip()}\n\n{shown.replay}\n"


def _text(text: str) -> str:
    return _NOT_XML.sub(lambda match: ascii(match[0])[1:-1], text)
