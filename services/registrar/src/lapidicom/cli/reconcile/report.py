"""Tells what a run of reconcile has found: as text and tables, or as one JSON document."""

import os
from collections.abc import Callable
from typing import Any

from lapidicom.cli.masking import masked_path
from lapidicom.cli.output import Column, Output
from lapidicom.cli.reconcile.findings import HELP, Fate, Findings, Kept


def document(findings: Findings, *, run: str, dry_run: bool, limit: int, show_phi: bool) -> dict[str, Any]:
    """The findings as JSON.

    Args:
        findings: of the run.
        run: its id.
        dry_run: whether nothing was to be done.
        limit: paths of each kind at most; 0: all that were kept.
        show_phi: whether paths are told in full.
    """
    name = _namer(show_phi=show_phi)

    def paths(kept: Kept) -> list[dict[str, str]]:
        return [{"path": name(path), "why": why} for path, why in kept.first[: limit or None]]

    return {
        "run": run,
        "dry_run": dry_run,
        "folders": findings.folders,
        "files": findings.files,
        "registered": findings.registered,
        "not_in_cube": {
            fate.value: {"count": kept.count, "files": paths(kept)} for fate, kept in findings.missing.items()
        },
        "not_on_volume": {
            "count": findings.only_in_cube.count,
            "files": paths(findings.only_in_cube),
            "unnamed": findings.lost_by_cube,
            "in_other_folders": dict(findings.rows_elsewhere),
        },
        "in_journal_without_file": {
            "count": findings.only_in_journal.count,
            "files": paths(findings.only_in_journal),
        },
        "enqueued": findings.enqueued,
        "registered_meanwhile": findings.taken_meanwhile,
        "left_before": findings.left_before,
        "sound": findings.is_sound,
    }


def tell(output: Output, findings: Findings, *, dry_run: bool, limit: int, show_phi: bool) -> None:
    """Print the findings.

    Args:
        output: where to.
        findings: of the run.
        dry_run: whether nothing was to be done.
        limit: paths of each kind at most; 0: all that were kept.
        show_phi: whether paths are told in full.
    """
    name = _namer(show_phi=show_phi)
    output.text(
        f"{findings.files} instances in {findings.folders} series folders, "
        f"{findings.registered} of them in CUBE"
    )
    rows: list[tuple[object, ...]] = [
        (f"on the volume, not in CUBE: {fate}", kept.count, _help(fate, findings, dry_run=dry_run))
        for fate, kept in findings.missing.items()
        if kept.count
    ]
    if findings.only_in_cube.count:
        rows.append(("in CUBE, not on the volume", findings.only_in_cube.count, "is this CUBE's volume?"))
    if findings.lost_by_cube:
        rows.append(
            (
                "in CUBE, whose storage lacks the file",
                findings.lost_by_cube,
                "CUBE answers 500 wherever it should list them; put the files back",
            )
        )
    rows += [
        (f"in CUBE below {pacs}, in folders that are not on the volume", count, "is this CUBE's volume?")
        for pacs, count in findings.rows_elsewhere.items()
    ]
    if findings.left_before:
        rows.append(
            (
                "found by the runs before, in folders that are settled",
                findings.left_before,
                "begin again without --state to see which",
            )
        )
    if findings.only_in_journal.count:
        rows.append(
            (
                "in a journal as stored, no file",
                findings.only_in_journal.count,
                "find out who removed them; send them again from the PACS",
            )
        )
    if rows:
        output.table(["what", Column("count", right=True), "what to do"], rows)
    for title, kept in _listed(findings):
        if kept.count:
            shown = kept.first[: limit or None]
            output.table(["file", "why"], [(name(path), why) for path, why in shown], title=title)
            if kept.count > len(shown):
                output.text(f"{kept.count - len(shown)} more of these")
    if findings.taken_meanwhile:
        output.text(f"{findings.taken_meanwhile} were registered meanwhile")
    if not dry_run and findings.missing[Fate.LOST].count:
        output.text(f"enqueued {findings.enqueued} of {findings.missing[Fate.LOST].count} lost registrations")
    if not rows:
        output.text("nothing is missing")


def _listed(findings: Findings) -> list[tuple[str, Kept]]:
    kinds = [(f"On the volume, not in CUBE: {fate}", kept) for fate, kept in findings.missing.items()]
    return [
        *kinds,
        ("In CUBE, not on the volume", findings.only_in_cube),
        ("In a journal as stored, no file", findings.only_in_journal),
    ]


def _help(fate: Fate, findings: Findings, *, dry_run: bool) -> str:
    if fate is not Fate.LOST:
        return HELP[fate]
    return "would be enqueued" if dry_run else f"{findings.enqueued} enqueued"


def _namer(*, show_phi: bool) -> Callable[[str], str]:
    return _shown if show_phi else masked_path


def _shown(path: str) -> str:
    """A path as a terminal can show it: what is not UTF-8 is escaped."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
