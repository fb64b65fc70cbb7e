# SPDX-License-Identifier: GPL-2.0-only
"""What a booted kernel showed of a finding is kept in the store."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from msgspec import convert

from difffuzz.booted.doable import Adapted
from difffuzz.booted.session import Lane
from difffuzz.cli import main
from difffuzz.commands import confirming
from difffuzz.engine.kernel_judge import Wrong
from difffuzz.manual.documents import Confirmed
from difffuzz.triage.record import State
from difffuzz.triage.store import Store
from tests.triage.samples import finding_text, record, write

from .test_judge import Dying, fake_qemu
from .test_parts import bzimage


@pytest.mark.parametrize(("shows", "state"), [(True, State.CONFIRMED), (False, State.NEW)])
def test_how_often_it_shows_is_kept(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    shows: bool,
    state: State,
) -> None:
    found, image, turns = tmp_path / "found", tmp_path / "vmlinuz", iter(range(9))
    write(found, "one", finding_text())
    image.write_bytes(bzimage("6.1.0"))

    def judged(session: object, one: Adapted, lanes: Sequence[Lane]) -> list[Wrong]:
        assert one.program.ops
        return [Wrong("dirty-log", "tdp", 0, "dirty_get", "x")] * (shows and next(turns) % 2)

    monkeypatch.setattr(confirming, "Session", Dying)
    monkeypatch.setattr(confirming, "run_and_judge", judged)
    argv = ["findings", "confirm", record().id, "--image", str(image), "--out", str(found)]
    status = main([*argv, "--qemu", str(fake_qemu(tmp_path)), "--times", "4", "--json"])
    told = convert(json.loads(capsys.readouterr().out), Confirmed)
    assert (status, told.shown, told.runs, told.state) == (int(shows), 2 * shows, 4, state)
    with Store(found) as store:
        kept = store.get(record().id)
    assert kept.state is state
    assert f"booted: in {2 * shows} of 4 runs" in " ".join(event.text for event in kept.history)
