# SPDX-License-Identifier: GPL-2.0-only
"""`difffuzz findings`: the store of what was found, what is thought of it, and its history."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import UsageError
from ..report.explain import explain_lines
from ..report.timeline import timeline_lines
from ..running.runner import Runner
from ..sides.names import parse_name
from ..triage import embargo
from ..triage.baseline import baseline_text
from ..triage.bisect import bisect_commits, bisect_series
from ..triage.mail import mail
from ..triage.on_builds import shows_with
from ..triage.record import CLOSED, Event, Record, State
from ..triage.retest import Retest, mended_by, retest
from ..triage.store import FILE, Store, now
from ..triage.transfer import export_lines, import_lines, public
from .confirming import confirm
from .output import Json, emit, write_text
from .programs import Trust
from .progress import note

app = typer.Typer(no_args_is_help=True, help="The store of findings: triage, re-tests, exchange.")

app.command()(confirm)

Out = Annotated[Path, typer.Option(help="The folder of a run, which holds the store.")]
Id = Annotated[str, typer.Argument(metavar="ID", help="An id, or how it begins.")]
OUT = Path("out")


def open_store(out: Path) -> Store:
    """The store of a folder that is there, with what its runs found.  UsageError: there is none."""
    if not out.is_dir():
        raise UsageError(f"{out}: no folder of a run: see --out")
    store = Store(out)
    store.take_over()
    return store


@app.command("list")
def list_findings(
    out: Out = OUT,
    state: Annotated[list[State] | None, typer.Option(help="Of these states only.")] = None,
    json: Json = False,
) -> None:
    """Show what was found.  Those that are the same bug as an earlier one are below it."""
    with open_store(out) as store:
        records = [one for one in store.all() if not state or one.state in state]
    records.sort(key=lambda one: (one.bug if not one.hidden else one.id, one.id != one.bug))
    emit([public(one) for one in records], "\n".join(map(line_of, records)), json)


@app.command()
def show(finding: Id, out: Out = OUT, json: Json = False) -> None:
    """Show a finding: its program, its sides, and what happened to it."""
    with open_store(out) as store:
        record = store.get(finding)
    emit(public(record), "\n".join(lines_of(record)), json)


@app.command("note")
def add_note(
    finding: Id,
    text: Annotated[str, typer.Argument(help="One line, or a link.")],
    out: Out = OUT,
) -> None:
    """Add a note, or a link, to a finding's history."""
    kind = "link" if text.startswith(("http://", "https://")) else "note"
    with open_store(out) as store:
        record = store.get(finding)
        store.put(record, Event(now(), kind, " ".join(text.split())))
    note(f"{record.id}: {kind} kept")


@app.command("state")
def set_state(finding: Id, state: State, out: Out = OUT) -> None:
    """Say what is thought of a finding.  `embargoed` hides it until it is given another state."""
    with open_store(out) as store:
        record = store.get(finding)
        if record.state is state:
            note(f"{record.id}: is {state} already")
        elif state is State.EMBARGOED:
            kept = embargo.hide(store, record)
            note(f"{record.id}: embargoed, its program is {kept}, which git ignores")
        elif record.hidden:
            embargo.lift(store, record, state)
            note(f"{record.id}: {state}, the embargo is over")
        else:
            event = Event(now(), "state", f"{state}: it was {record.state}")
            record.state = state
            store.put(record, event)
            note(f"{record.id}: {state}")


@app.command("retest")
def run_again(
    findings: Annotated[list[str] | None, typer.Argument(metavar="[ID]...")] = None,
    out: Out = OUT,
    times: Annotated[int, typer.Option(min=1, max=10_000, help="Runs of each.")] = 1,
    trust: Trust = False,
    mended: Annotated[
        Path | None, typer.Option("--mended-by", help="Group those that this patch mends.")
    ] = None,
    json: Json = False,
) -> None:
    """Run findings again, by default all that are not invalid, on what their sides are today.

    What shows no more becomes `fixed`, what shows again `new`. Exit status 1: one shows.
    """
    with open_store(out) as store:
        records = [store.get(one) for one in findings or ()] or [
            one for one in store.all() if one.state not in (State.INVALID, State.EMBARGOED)
        ]
        results = [
            Retest(one, error=why) if (why := untrusted(one, trust)) else retest(store, one, times)
            for one in records
        ]
        if mended is not None:
            group_mended(store, results, mended)
    document = [
        {**public(one.record), "retest": one.word, "shown": one.shown, "error": one.error}
        for one in results
    ]
    emit(document, "\n".join(retest_line(one) for one in results), json)
    if any(one.error for one in results):
        raise typer.Exit(2)
    raise typer.Exit(1 if any(one.shown for one in results) else 0)


def group_mended(store: Store, results: list[Retest], patch: Path) -> None:
    """Those that show, and do not with the patch, are one bug: that of the first of them."""
    mended = [one.record for one in results if one.shown and mended_by(one.record, str(patch))]
    for record in mended[1:]:
        if record.bug != mended[0].bug:
            record.bug = mended[0].bug
            store.put(record, Event(now(), "grouped", f"with {record.bug}: {patch.name} mends it"))


@app.command("bisect")
def bisect_finding(
    finding: Id,
    tree: Annotated[Path, typer.Option(metavar="DIR", help="A git tree; or where patches apply.")],
    good: Annotated[str | None, typer.Option(help="A commit or tag that does not show it.")] = None,
    bad: Annotated[str, typer.Option(help="One that shows it.")] = "HEAD",
    patches: Annotated[
        list[Path] | None, typer.Option("--patch", help="A series, in order, instead of commits.")
    ] = None,
    out: Out = OUT,
    trust: Trust = False,
    json: Json = False,
) -> None:
    """Say which commit, or which patch of a series, brought a finding; print the mail about it.

    Each step is a build; the tree is not touched.
    """
    if (good is None) == (not patches):
        raise UsageError("bisect: --good COMMIT, or --patch for each patch of a series")
    with open_store(out) as store:
        record = store.get(finding)
        if why := untrusted(record, trust):
            raise UsageError(why)
        shows = shows_with(record, note)
        if good is None:
            culprit = bisect_series(tree, patches or [], shows, note)
        else:
            culprit = bisect_commits(tree, good, bad, shows, note)
        store.put(record, Event(now(), "bisected", culprit.fixes))
    text = mail(record, str(tree), culprit, explanation(record))
    document = {"id": record.id, **culprit._asdict(), "fixes": culprit.fixes, "mail": text}
    emit(document, text, json)


def untrusted(record: Record, trust: bool) -> str:
    """Why the finding is not run: a store, like a mail, may name patches, which are code."""
    for name in (record.left, record.right):
        try:
            parts = parse_name(name)
        except UsageError as error:
            return f"{record.id}: {error}"
        if not trust and parts.build is None and parts.foreign:
            return (
                f"{record.id}: its side {name!r} is code that did not come with difffuzz: "
                "give --trust-notes"
            )
    return ""


def explanation(record: Record) -> list[str]:
    """The finding operation by operation, on its own sides; nothing if they are gone."""
    try:
        run = Runner(record.left, record.right, record.mode)
        program = record.parsed()
        verdict = run(program, trace=True)
    except UsageError:
        return []
    if run.is_concurrent(program):
        return list(timeline_lines(verdict, run.left, run.right))
    return list(explain_lines(program, verdict, run.left, run.right))


@app.command("export")
def export_findings(
    findings: Annotated[list[str] | None, typer.Argument(metavar="[ID]...")] = None,
    out: Out = OUT,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Else stdout.")] = None,
    baseline: Annotated[
        bool, typer.Option("--baseline", help="As a baseline: what is not to be told again.")
    ] = False,
) -> None:
    """Write findings as JSON Lines, for git or another store, or as a baseline (TOML)."""
    with open_store(out) as store:
        records = [store.get(one) for one in findings or ()] or store.all()
    if baseline:
        text = baseline_text(one for one in records if one.state not in CLOSED)
    else:
        text = "".join(export_lines(records))
    if output is None:
        emit(None, text, False)
    else:
        write_text(output, text)
        note(f"{output}: {len(records)} findings")


@app.command("import")
def import_findings(
    file: Annotated[Path, typer.Argument(help="JSON Lines of `findings export`; - is stdin.")],
    out: Out = OUT,
) -> None:
    """Take findings of another store into this one, with their states and histories."""
    records, hidden = import_lines(file)
    with Store(out) as store:
        store.take_over()
        new = store.merge(records)
    more = f", {hidden} are embargoed there" if hidden else ""
    note(f"{out / FILE}: {len(records)} findings, {new} of them new{more}")


def line_of(record: Record) -> str:
    """A finding in a line."""
    date = record.first_seen[:10]
    if record.hidden:
        return f"{record.id}  {record.state:9}  {date}  {record.oracle}"
    same = "" if record.bug == record.id else f"  (same bug as {record.bug})"
    rate = f"{record.shown}/{record.runs}"
    return f"{record.id}  {record.state:9}  {date}  {rate:>5}  {record.signature}{same}"


def lines_of(record: Record) -> list[str]:
    """A finding with all that may be shown of it."""
    if record.hidden:
        return [line_of(record)]
    lines = [line_of(record), f"  {record.detail}"]
    lines.append(f"  left {record.left} ({record.left_digest or 'no digest'})")
    lines.append(f"  right {record.right} ({record.right_digest or 'no digest'})")
    lines.append(f"  shows in {record.shown} of {record.runs} runs, last {record.last_seen}")
    if embargo.proposed(record):
        lines.append("  a guest may reach memory that is not its own: if so on a kernel that is")
        lines.append(f"  maintained, 'difffuzz findings state {record.id} embargoed': SECURITY.md")
    lines += [f"  {event.at}  {event.kind}: {event.text}" for event in record.history]
    return [*lines, "", *record.program.rstrip("\n").split("\n")]


def retest_line(result: Retest) -> str:
    """What came of a re-test, in a line."""
    record = result.record
    if result.error:
        return f"{record.id}: not run: {result.error}"
    return f"{record.id}: {result.word}, {result.shown} of {result.runs}, {record.state}"
