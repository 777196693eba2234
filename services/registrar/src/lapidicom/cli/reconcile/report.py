"""The answer of `lapidicom reconcile`: what is missing where, and what was done about it. Pure."""

import os
from collections.abc import Iterator
from typing import Annotated, ClassVar, Final

from pydantic import Field

from lapidicom.cli.answers import NUMBER, Answer, Display
from lapidicom.cli.masking import masked_path
from lapidicom.cli.reconcile.findings import HELP, Fate, Findings, Sample

_IS_IT: Final = "is this CUBE's volume?"


class File(Answer):
    """One file, and why it is listed."""

    path: str
    why: str


class Files(Answer):
    """Files of one kind: how many, and the first of them."""

    count: int
    files: list[File]


class NotOnVolume(Files):
    """What CUBE has. `unnamed`: rows that CUBE cannot list; `in_other_folders`: by PACS."""

    unnamed: int
    in_other_folders: dict[str, int]


class Row(Answer):
    """One kind of what is missing."""

    what: str
    count: Annotated[int, NUMBER]
    remedy: Annotated[str, Display("what to do")]


class Listed(Answer):
    """One file of one kind, as text."""

    kind: str
    file: str
    why: str


class Reconciled(Answer):
    """All that a run has found and done."""

    shown: ClassVar[tuple[str, ...]] = ("rows", "listed")

    run: str
    dry_run: bool
    folders: int
    files: int
    registered: int
    not_in_cube: dict[Fate, Files]
    not_on_volume: NotOnVolume
    in_journal_without_file: Files
    enqueued: int
    registered_meanwhile: int
    left_before: int
    sound: bool
    rows: Annotated[list[Row], Display(""), Field(exclude=True)]
    listed: Annotated[list[Listed], Display("Files"), Field(exclude=True)]

    def headline(self) -> Iterator[str]:
        """How much was looked at, and what came of it."""
        yield f"{self.files} instances in {self.folders} series folders, {self.registered} of them in CUBE"
        if self.registered_meanwhile:
            yield f"{self.registered_meanwhile} were registered meanwhile"
        lost = self.not_in_cube[Fate.LOST].count
        if lost and not self.dry_run:
            yield f"enqueued {self.enqueued} of {lost} lost registrations"
        if not self.rows:
            yield "nothing is missing"


def reconciled(findings: Findings, *, run: str, dry_run: bool, limit: int, show_phi: bool) -> Reconciled:
    """The findings as an answer.

    Args:
        findings: of the run.
        run: its id.
        dry_run: whether nothing was to be done.
        limit: paths of each kind at most; 0: all that were kept.
        show_phi: whether paths are shown in full.
    """

    def files(sample: Sample) -> list[File]:
        return [
            File(path=_shown(path) if show_phi else masked_path(path), why=why)
            for path, why in sample.first[: limit or None]
        ]

    kinds = {fate: Files(count=one.count, files=files(one)) for fate, one in findings.missing.items()}
    only_in_cube, only_in_journal = findings.only_in_cube, findings.only_in_journal
    not_on_volume = NotOnVolume(
        count=only_in_cube.count,
        files=files(only_in_cube),
        unnamed=findings.lost_by_cube,
        in_other_folders=dict(findings.rows_elsewhere),
    )
    in_journal = Files(count=only_in_journal.count, files=files(only_in_journal))
    listed = [*kinds.items(), ("only in CUBE", not_on_volume), ("only in a journal", in_journal)]
    return Reconciled(
        run=run,
        dry_run=dry_run,
        folders=findings.folders,
        files=findings.files,
        registered=findings.registered,
        not_in_cube=kinds,
        not_on_volume=not_on_volume,
        in_journal_without_file=in_journal,
        enqueued=findings.enqueued,
        registered_meanwhile=findings.taken_meanwhile,
        left_before=findings.left_before,
        sound=findings.is_sound,
        rows=[row for row in _rows(findings, dry_run=dry_run) if row.count],
        listed=[Listed(kind=kind, file=one.path, why=one.why) for kind, of in listed for one in of.files],
    )


def _rows(findings: Findings, *, dry_run: bool) -> Iterator[Row]:
    of_lost = "would be enqueued" if dry_run else f"{findings.enqueued} enqueued"
    rows = [
        *(
            (f"on the volume, not in CUBE: {fate}", one.count, HELP[fate])
            for fate, one in findings.missing.items()
        ),
        ("in CUBE, not on the volume", findings.only_in_cube.count, _IS_IT),
        (
            "in CUBE, whose storage lacks the file",
            findings.lost_by_cube,
            "CUBE answers 500 wherever it should list them; put the files back",
        ),
        *(
            (f"in CUBE below {pacs}, in folders that are not on the volume", count, _IS_IT)
            for pacs, count in findings.rows_elsewhere.items()
        ),
        (
            "found by the runs before, in folders that are settled",
            findings.left_before,
            "begin again without --state to see which",
        ),
        (
            "in a journal as stored, no file",
            findings.only_in_journal.count,
            "find out who removed them; send them again from the PACS",
        ),
    ]
    for what, count, remedy in rows:
        yield Row(what=what, count=count, remedy=remedy or of_lost)


def _shown(path: str) -> str:
    """A path as a terminal can show it: what is not UTF-8 is escaped."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
