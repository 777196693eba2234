"""The answer of `lapidicom reconcile`: what is missing where, and what follows from it. Pure."""

import os
from collections.abc import Iterator
from typing import Annotated, ClassVar, Final

from pydantic import ConfigDict, Field, computed_field

from lapidicom.cli.answers import NUMBER, Answer, Display
from lapidicom.cli.masking import masked_path
from lapidicom.cli.reconcile.fate import Fate
from lapidicom.cli.third_count import SeriesCounts
from lapidicom.common.c_find import NoCount

MOST_SHOWN: Final = 1000
"""Findings of one kind that are kept with their paths; beyond that they are only counted."""

_HELP: Final = {
    Fate.DEAD_LETTER: "`lapidicom dlq list` tells why, `lapidicom dlq replay` sends them again",
    Fate.NOT_RELAYED: "the relay sends them when RabbitMQ takes them; see `lapidicom status`",
    Fate.WAITING: "come back when the queues are empty, or --even-if-waiting (a second message does no harm)",
    Fate.YOUNG: "come back later, or --older-than",
    Fate.LATE: "CUBE has their series without them: `lapidicom heal SERIES` registers it anew",
    Fate.UNREADABLE: "the file is no DICOM file that could be registered; look at it",
}
"""What to do about those that are not enqueued."""

_TOLD: Final = frozenset({NoCount.NO_ADDRESS, NoCount.NO_SUCH_SERIES})
"""A PACS of which nobody said where it is, or that has given the series away: nothing is amiss."""

_ADDRESS: Final = "see CHRIS_PACS_ADDRESS"


class File(Answer):
    """One file, and why it is listed, without values."""

    path: str
    why: str


class Files(Answer):
    """Files of one kind: all counted, the first ones listed."""

    model_config = ConfigDict(frozen=False)

    count: int = 0
    files: list[File] = []


class NotOnVolume(Files):
    """What CUBE has in the folders that were looked at; `unnamed`: rows whose file CUBE itself lacks."""

    unnamed: int = 0


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


class Findings(Answer):
    """All that a run has found and done.

    `folders`, `files`: series folders that were looked at, and instances in them; `registered`: of these in
    CUBE. `left_before`: what earlier runs, on which this one goes on, found missing and did not enqueue.
    `incomplete`: series of which the PACS has more than came, the first ones in `incomplete_series`;
    `not_told`: those of which it told none, by the reason.
    """

    model_config = ConfigDict(frozen=False)
    shown: ClassVar[tuple[str, ...]] = ("rows", "incomplete_series", "listed")

    run: str = ""
    dry_run: bool = False
    folders: int = 0
    files: int = 0
    registered: int = 0
    not_in_cube: dict[Fate, Files] = Field(default_factory=lambda: {fate: Files() for fate in Fate})
    not_on_volume: NotOnVolume = Field(default_factory=NotOnVolume)
    in_journal_without_file: Files = Field(default_factory=Files)
    enqueued: int = 0
    left_before: int = 0
    incomplete: int = 0
    incomplete_series: Annotated[list[SeriesCounts], Display("Series that never came whole")] = []
    not_told: dict[NoCount, int] = {}
    show_phi: Annotated[bool, Field(exclude=True)] = False
    most: Annotated[int, Field(exclude=True)] = MOST_SHOWN
    rows: Annotated[list[Row], Display(""), Field(exclude=True)] = []
    listed: Annotated[list[Listed], Display("Files"), Field(exclude=True)] = []

    def add(self, files: Files, path: str, why: str = "") -> None:
        """Note a file; a path is masked unless patient data is shown, and what is not UTF-8 is escaped."""
        files.count += 1
        if len(files.files) < self.most:
            text = os.fsencode(path).decode("utf-8", "backslashreplace")
            files.files.append(File(path=text if self.show_phi else masked_path(path), why=why))

    def add_series(self, series: SeriesCounts, answer: int | NoCount) -> None:
        """Note what a PACS has told of a series."""
        if isinstance(answer, NoCount):
            self.not_told[answer] = self.not_told.get(answer, 0) + 1
        elif series.is_incomplete:
            self.incomplete += 1
            if len(self.incomplete_series) < self.most:
                self.incomplete_series.append(series)

    @property
    def unsound(self) -> int:
        """What is missing in the folders that were looked at, by this run and those before it.

        What is enqueued is on its way, and what is too young may be.
        """
        of_volume = sum(one.count for fate, one in self.not_in_cube.items() if fate is not Fate.YOUNG)
        of_cube = self.not_on_volume.count + self.not_on_volume.unnamed
        not_told = sum(count for why, count in self.not_told.items() if why not in _TOLD)
        return self.left_before + of_volume - self.enqueued + of_cube + self.incomplete + not_told

    @computed_field  # type: ignore[prop-decorator]
    @property
    def sound(self) -> bool:
        """Nothing is missing anywhere any more, but for what is on its way by this run."""
        return not (self.unsound or self.in_journal_without_file.count)

    def headline(self) -> Iterator[str]:
        """How much was looked at, and what came of it."""
        yield f"{self.files} instances in {self.folders} series folders, {self.registered} of them in CUBE"
        lost = self.not_in_cube[Fate.LOST].count
        if lost and not self.dry_run:
            yield f"enqueued {self.enqueued} of {lost} lost registrations"
        if not self.rows:
            yield "nothing is missing"

    def make_tables(self) -> None:
        """Put together what is shown as text alone."""
        gone, journal = self.not_on_volume, self.in_journal_without_file
        of_lost = "would be enqueued" if self.dry_run else f"{self.enqueued} enqueued"
        rows = [
            *(
                (f"on the volume, not in CUBE: {fate}", files.count, _HELP.get(fate, of_lost))
                for fate, files in self.not_in_cube.items()
            ),
            ("in CUBE, not on the volume", gone.count, "is this CUBE's volume?"),
            (
                "in CUBE, whose storage lacks the file",
                gone.unnamed,
                "CUBE cannot list them; put the files back",
            ),
            ("found by the runs before", self.left_before, "begin again without --state to see which"),
            (
                "in a journal as stored, no file",
                journal.count,
                "who removed them? Send them again from the PACS",
            ),
            ("series of which the PACS has more than came", self.incomplete, "send them again from the PACS"),
            *(
                (f"series whose number the PACS did not tell: {why}", count, "" if why in _TOLD else _ADDRESS)
                for why, count in self.not_told.items()
            ),
        ]
        self.rows = [Row(what=what, count=count, remedy=remedy) for what, count, remedy in rows if count]
        kinds = [*self.not_in_cube.items(), ("only in CUBE", gone), ("only in a journal", journal)]
        self.listed = [
            Listed(kind=kind, file=one.path, why=one.why) for kind, files in kinds for one in files.files
        ]
