# SPDX-License-Identifier: GPL-2.0-only
"""Reports keep to their schemas, whatever is in a program and its name."""

from __future__ import annotations

from typing import Any

import pytest

from difffuzz.ci.junit import UNFINISHED, junit_xml
from difffuzz.ci.outcome import FUZZ, Case, Outcome, Shown
from difffuzz.ci.sarif import FINGERPRINT, MAX_RELATED, sarif_document
from difffuzz.files.printable import json_text
from difffuzz.oracle import ORACLES

from .valid import junit_of, sarif_of

HOSTILE = (
    "".join(map(chr, range(0x20)))
    + "]]><x>&amp;\"'\x7f\x85\u202e\ud800\udcff\ufffe\uffff\U0001f600"
)
NAME = HOSTILE.translate({0: None, ord("/"): None, 0xD800: None})
"""A file may have this one."""
SHOWN = Shown(
    signature="level:tdp:read:1-not-2",
    oracle="level",
    detail="tdp: gfn 0x1 is mapped at 4K",
    program="corpus/seeds/one.difffuzz",
    text="difffuzz program v1\nvcpu0: read gfn=0x1\n",
    left="legacy",
    right="tdp",
    mode="portfolio",
    line=2,
)


def outcome(*cases: Case, over: bool = True, baseline: bool = False) -> Outcome:
    return Outcome("legacy", "tdp", 1, baseline, list(cases), over)


def case(*shown: Shown, **more: str) -> Case:
    return Case("one.difffuzz", "seeds", "corpus/seeds/one.difffuzz", shown=list(shown), **more)  # type: ignore[arg-type]


def hostile() -> Shown:
    return SHOWN._replace(
        signature=HOSTILE, oracle="warn", detail=HOSTILE, program=f"/a b/{NAME}", text=HOSTILE
    )


def sarif(of: Outcome) -> dict[str, Any]:
    return sarif_of(json_text(sarif_document(of)))


def test_nothing_was_found() -> None:
    of = outcome(case(), Case(FUZZ, FUZZ))
    document = junit_of(junit_xml(of))
    assert (document.tests, document.failures, document.errors, document.skipped) == (2, 0, 0, 0)
    run = sarif(of)
    assert run["results"] == []
    assert run["invocations"] == [{"executionSuccessful": True}]


def test_the_rules_are_the_oracles_with_their_properties() -> None:
    rules = sarif(outcome())["tool"]["driver"]["rules"]
    named = {rule["id"]: rule["shortDescription"]["text"] for rule in rules}
    assert ORACLES.items() <= named.items()
    assert all(
        text in rule["help"]["text"] for rule, text in zip(rules, named.values(), strict=True)
    )


def test_a_finding_has_its_program_its_place_and_the_line_that_replays_it() -> None:
    of = outcome(case(SHOWN))
    (suite,) = junit_of(junit_xml(of))
    (one,) = suite
    (failure,) = one.result
    assert one.classname == "difffuzz.seeds"
    assert failure.message == f"{SHOWN.signature}: {SHOWN.detail}"
    assert SHOWN.text in failure.text
    assert SHOWN.replay in failure.text
    assert SHOWN.replay.startswith("difffuzz replay corpus/seeds/one.difffuzz --left legacy")
    (result,) = sarif(of)["results"]
    place = result["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == SHOWN.program
    assert place["region"] == {"startLine": 2}
    assert result["partialFingerprints"] == {FINGERPRINT: SHOWN.signature}
    assert (result["ruleId"], result["level"]) == ("level", "error")
    assert "baselineState" not in result


def test_what_shows_the_same_is_one_result() -> None:
    of = outcome(*(case(SHOWN._replace(program=f"{n}.difffuzz")) for n in range(MAX_RELATED + 5)))
    (result,) = sarif(of)["results"]
    assert result["occurrenceCount"] == MAX_RELATED + 5
    assert len(result["relatedLocations"]) == MAX_RELATED


def test_what_is_known_is_no_failure_and_suppressed() -> None:
    new = SHOWN._replace(signature="leak:tdp:end:page", oracle="leak", line=None)
    of = outcome(case(SHOWN._replace(known=True)), case(new), baseline=True)
    document = junit_of(junit_xml(of))
    assert document.failures == 1
    known = next(iter(next(iter(document))))
    assert known.is_passed
    assert SHOWN.signature in known.system_out
    results = {one["ruleId"]: one for one in sarif(of)["results"]}
    assert results["level"]["baselineState"] == "unchanged"
    assert results["level"]["suppressions"]
    assert results["leak"]["baselineState"] == "new"
    assert "suppressions" not in results["leak"]


@pytest.mark.parametrize("what", ["error", "skipped", "unfit"])
def test_what_was_not_tried_is_said(what: str) -> None:
    of = outcome(case(**{what: "because"}))
    document = junit_of(junit_xml(of))
    assert (document.errors, document.skipped) == ((1, 0) if what == "error" else (0, 1))
    (invocation,) = sarif(of)["invocations"]
    assert invocation["executionSuccessful"] == (what == "unfit")
    if what != "unfit":
        assert "because" in invocation["toolExecutionNotifications"][0]["message"]["text"]


def test_a_test_that_did_not_end_is_no_success() -> None:
    of = outcome(case(), over=False)
    assert junit_of(junit_xml(of)).errors == 1
    assert UNFINISHED.encode() in junit_xml(of)
    (invocation,) = sarif(of)["invocations"]
    assert not invocation["executionSuccessful"]


def test_text_of_programs_is_never_markup() -> None:
    of = outcome(
        Case(NAME, NAME, NAME, shown=[hostile(), hostile()._replace(known=True)]),
        case(error=HOSTILE),
        case(skipped=HOSTILE),
        baseline=True,
    )
    of.left = HOSTILE
    document = junit_of(junit_xml(of))
    assert (document.tests, document.failures, document.errors, document.skipped) == (3, 1, 1, 1)
    text = next(iter(next(iter(document)))).result[0].text
    assert "]]><x>&amp;" in text
    assert "\\x00" in text
    assert len(sarif(of)["results"]) == 1
