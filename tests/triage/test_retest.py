# SPDX-License-Identifier: GPL-2.0-only
"""A finding is run again on what its sides are today: closed when it is gone, reopened when not."""

from __future__ import annotations

from pathlib import Path

import pytest

from difffuzz.errors import UsageError
from difffuzz.files.notes import text_of
from difffuzz.program import parse
from difffuzz.running.runner import Runner
from difffuzz.triage.record import State
from difffuzz.triage.retest import mended_by, retest
from difffuzz.triage.store import Store
from difffuzz.variants.catalogue import find
from tests.fuzz.planted import plant_at_fault
from tests.triage.samples import BUG, finding_text, record


def test_what_shows_every_time_is_counted(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store.take(record())
        one = store.all()[0]
        assert retest(store, one, 3).word == "shows"
        assert retest(store, one, 2).word == "shows"
        again = store.all()[0]
    assert (again.shown, again.runs) == (5, 5)
    assert again.left_digest
    assert [event.kind for event in again.history] == ["found", "shown", "shown"]


def test_what_is_mended_is_closed_and_opened_again(tmp_path: Path) -> None:
    patch = plant_at_fault(tmp_path, "kvm.no_such_field += fault.write")
    broken, mended = patch.read_text(), patch.read_text().replace("kvm.no_such_field +=", "_ =")
    ops = "slot 0 as=0 gfn=0x0 pages=0x1 area=0 page=0x0\nvcpu0: write gfn=0x0\n"
    right = f"tdp+{patch}"
    program = finding_text("", right, ops, "config vcpus=1")
    [divergence, *_] = Runner("legacy", right, "lockstep")(parse(program)).divergences
    seen = []
    with Store(tmp_path) as store:
        store.take(record(program.replace("signature: ", f"signature: {divergence.signature}")))
        [one] = store.all()
        for text in (broken, mended, mended, broken):
            patch.write_text(text)
            word = retest(store, one).word
            [one] = store.all()
            seen.append((word, one.state))
    assert seen == [
        ("shows", State.NEW),
        ("gone", State.FIXED),
        ("gone", State.FIXED),
        ("shows", State.NEW),
    ]
    texts = [event.text for event in one.history if event.kind == "state"]
    assert texts == ["fixed: it was new, and shows no more", "new: it was fixed, and shows again"]


def test_what_is_invalid_stays_so(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store.take(record(finding_text("leak:tdp:end:pages")))
        [one] = store.all()
        one.state = State.INVALID
        assert retest(store, one).word == "gone"
        assert store.all()[0].state is State.INVALID


def test_sides_that_are_gone_are_an_error_and_no_answer(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store.take(record(finding_text(right=f"tdp+{tmp_path / 'gone.patch'}")))
        [one] = store.all()
        result = retest(store, one)
        assert result.word == "error"
        assert "gone.patch" in result.error
        assert store.all()[0].state is State.NEW


def test_a_patch_that_mends_it_is_told_from_one_that_does_not(tmp_path: Path) -> None:
    bug = find(BUG)
    assert bug.patch is not None
    mend = tmp_path / "mend.patch"
    mend.write_text(reverse(bug.patch.read_text()))
    assert mended_by(record(), str(mend))
    other = plant_at_fault(tmp_path, "fault.write")
    assert not mended_by(record(), str(other))
    with pytest.raises(UsageError, match="cannot be read"):
        mended_by(record(), str(tmp_path / "none.patch"))


def reverse(patch: str) -> str:
    """The patch that takes a patch back."""
    swapped = {"-": "+", "+": "-"}
    lines = []
    for line in patch.splitlines(keepends=True):
        if line.startswith("@@"):
            _, old, new, rest = line.split(" ", 3)
            line = f"@@ -{new[1:]} +{old[1:]} {rest}"
        elif not line.startswith(("---", "+++")) and line[0] in swapped:
            line = swapped[line[0]] + line[1:]
        lines.append(line)
    return "".join(lines)


@pytest.mark.parametrize("mended", [False, True])
def test_a_race_that_both_sides_break_is_told_of_the_right_one_too(
    tmp_path: Path, mended: bool
) -> None:
    """It ends at the left side; whether the right one breaks alike is asked of that alone."""
    bug = find("own-notifier-skips-smm")
    right = "tdp" if mended else f"tdp+{bug.id}"
    notes = {
        "signature": "translation:tdp:meeting:level1",
        "left": f"legacy+{bug.id}",
        "right": right,
        "mode": "concurrent",
    }
    with Store(tmp_path) as store:
        store.take(record(text_of(parse(bug.program), notes)))
        assert retest(store, store.all()[0]).word == ("gone" if mended else "shows")


def test_sides_are_opened_once_for_all_their_findings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    patch = plant_at_fault(tmp_path, "pass")  # sides that no other test has opened

    class Counted(Runner):
        def __init__(self, left: str, right: str, mode: str) -> None:
            opened.append(right)
            super().__init__(left, right, mode)

    monkeypatch.setattr("difffuzz.triage.retest.Runner", Counted)
    with Store(tmp_path) as store:
        for value in ("rets-1,1", "other", "third"):
            text = finding_text(f"progress:tdp:read:{value}", right=f"tdp+{BUG}+{patch}")
            store.take(record(text))
        for one in store.all():
            retest(store, one)
            retest(store, one)
    assert len(opened) == 1
