"""Asks all who may know of a UID or accession number: journals, dead letters, queues, CUBE and volume.

Whoever cannot be asked is not visible; the answer says so.
"""

import errno
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import aclosing
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Annotated, ClassVar, Final

from aio_pika.abc import AbstractConnection
from pydantic import Field

from lapidicom.cli.answers import NUMBER, Answer, Display, NotVisible
from lapidicom.cli.causes import cause_of, remedy
from lapidicom.cli.cube import Catalogue, catalogue
from lapidicom.cli.dead_letters import look
from lapidicom.cli.errors import OperatorError
from lapidicom.cli.in_thread import Pulse, of_volume
from lapidicom.cli.letter import DeadLetter, short_id
from lapidicom.cli.masking import masked_path
from lapidicom.cli.queues import Waiting, waiting
from lapidicom.cli.shell import Shell
from lapidicom.cli.times import moment
from lapidicom.cli.trace.journals import Found, Subject, search
from lapidicom.cli.trace.story import (
    MEANINGS,
    AssociationEnd,
    InCube,
    Instance,
    Letter,
    State,
    counts,
    worst,
)
from lapidicom.common.broker import BrokerError
from lapidicom.common.instance.path import PACS_ROOT
from lapidicom.common.journal.survey import Survey
from lapidicom.common.messages import SeriesReceived

_FILE: Final = re.compile(r"[^/]*?-([0-9.]{1,64})\.dcm", re.ASCII)
_MOST_BY_NAME: Final = 20
"""Files in CUBE that are named after one SOPInstanceUID: one for each PACS that sent it."""

_REQUESTS_A_SECOND: Final = 20.0
_EXPLAINED: Final = (State.UNKNOWN, State.STORED, State.SET_ASIDE, State.NOT_RELAYED)


class Series(Answer):
    """A series of a study."""

    SeriesInstanceUID: Annotated[str, Display("series")]
    state: State
    instances: Annotated[int, NUMBER]
    counts: Annotated[dict[State, int], Display("states")]


class Trace(Answer):
    """The answer: of a series or a study with its instances."""

    shown: ClassVar[tuple[str, ...]] = (
        *("counts", "associations", "dead_letters_of_series", "series", "instances"),
    )

    uid: str
    subject: Annotated[Subject, Field(serialization_alias="is")]
    state: State
    counts: dict[State, int]
    series: Annotated[list[Series], Display("Its series (`lapidicom trace SERIES` lists the instances)")]
    instances: Annotated[list[Instance], Display("Instances")]
    instances_not_shown: int
    associations: Annotated[list[AssociationEnd], Display("Associations that brought it")]
    dead_letters_of_series: Annotated[list[Letter], Display("Dead letters about the series as a whole")]
    journals_since: datetime | None
    journal_segments_with_bad_lines: int
    waiting: Waiting | None
    not_visible: dict[str, str]

    def headline(self) -> Iterator[str]:
        """What it is, its state, and what an operator should know."""
        name = "unknown" if self.subject is Subject.UNKNOWN else self.subject.name.title()
        yield f"{name} {self.uid}: {self.state}"
        for state in self.counts or [self.state]:
            if state in _EXPLAINED:
                yield f"{state}: {MEANINGS[state]}"
        yield from self.surroundings()

    def surroundings(self) -> Iterator[str]:
        """What waits, how far the journals reach, and who could not be asked."""
        if State.WAITING in self.counts:
            yield _waits(self.waiting)
        yield from (f"{who}: {NotVisible(why)}" for who, why in self.not_visible.items())
        if "journals" not in self.not_visible:
            since = self.journals_since
            yield f"The journals {'are empty' if since is None else f'reach back to {moment(since)}'}."
        if self.journal_segments_with_bad_lines:
            bad = self.journal_segments_with_bad_lines
            yield f"{bad} journal segments have bad lines: what stood there is not known."


def _waits(waiting: Waiting | None) -> str:
    if waiting is None:
        return "It waits; how many messages wait is not visible from here."
    if waiting.total == 0:
        return (
            "No message waits in RabbitMQ: unless a registrar has it in its hands just now, its message is "
            "lost, and `lapidicom reconcile` enqueues it again."
        )
    return (
        f"It waits: {waiting.work} messages are in the work queue, {waiting.delayed} are delayed "
        "(retried or parked)."
    )


class Gathering:
    """All that becomes known of a UID or accession number.

    Args:
        shell: settings, and the way to RabbitMQ.
        wanted: which.
        show_phi: whether paths are shown, and an accession number is looked for.
    """

    def __init__(self, shell: Shell, wanted: str, *, show_phi: bool) -> None:
        self._shell = shell
        self._settings = shell.settings
        self._show_phi = show_phi
        self._found = Found(wanted, by_accession=show_phi)
        self._instances: list[Instance] = []
        self._by_path: dict[str, Instance] = {}
        self._letters: list[Letter] = []
        self._waiting: Waiting | None = None
        self._not_visible: dict[str, str] = {}

    async def trace(self, limit: int) -> Trace:
        """Ask everybody.

        Args:
            limit: of the instances that are shown; 0: all.
        """
        await self._read_journals()
        await self._ask_rabbitmq()
        await self._ask_cube()
        await self._look_at_volume()
        found = self._found
        for one in self._instances:
            one.judge(sees_cube="CUBE" not in self._not_visible)
            if not self._show_phi and one.path:
                one.path = masked_path(one.path)
        self._instances.sort(key=lambda one: (one.pacs_name, one.path, one.SOPInstanceUID))
        is_several = found.subject in {Subject.STUDY, Subject.ACCESSION}
        shown = self._instances[: limit or None]
        return Trace(
            uid=found.wanted,
            subject=found.subject,
            state=State.DEAD_LETTER if self._letters else worst(one.state for one in self._instances),
            counts=dict(counts(self._instances)),
            series=list(_series(self._instances)) if is_several else [],
            instances=shown,
            instances_not_shown=len(self._instances) - len(shown),
            associations=found.associations,
            dead_letters_of_series=self._letters,
            journals_since=found.since,
            journal_segments_with_bad_lines=found.unreadable,
            waiting=self._waiting,
            not_visible=self._not_visible,
        )

    def _at(self, path: str, series_uid: str) -> Instance:
        """The instance of a file; a new one if nobody has named it yet."""
        if path not in self._by_path:
            folders = path.split("/")
            name = _FILE.fullmatch(folders[-1])
            one = Instance(
                SOPInstanceUID=name[1] if name else "",
                SeriesInstanceUID=series_uid,
                pacs_name=folders[2] if len(folders) > 3 else "",
                path=path,
            )
            self._instances.append(one)
            self._by_path[path] = one
        return self._by_path[path]

    async def _read_journals(self) -> None:
        spool = self._settings.spool
        if spool is None:
            self._not_visible["journals"] = "set CHRIS_FILES_ROOT or CHRIS_SPOOL_DIR"
            return
        pulse = Pulse()
        try:
            if not await of_volume(spool.is_dir):
                raise FileNotFoundError(errno.ENOENT, "there is no folder", str(spool))
            total = await of_volume(Survey(spool).size)
            with self._shell.output.progress("reading journals", total) as advance:
                survey = Survey(spool, pulse.beating(advance))
                await of_volume(partial(search, survey, self._found), pulse)
        except OSError as error:
            self._not_visible["journals"] = f"{error.strerror or 'unreadable'}: {error.filename or spool}"
            return
        self._instances = self._found.merged()
        self._by_path = {one.path: one for one in self._instances if one.path}

    async def _ask_rabbitmq(self) -> None:
        settings = self._settings
        try:
            async with self._shell.connection() as link:
                self._waiting = await waiting(link, (*settings.retry_delays, settings.park_delay))
                await self._read_letters(link)
        except (BrokerError, OperatorError) as error:
            self._not_visible["dead letters"] = str(error)
            if self._waiting is None:
                self._not_visible["queues"] = str(error)

    async def _read_letters(self, link: AbstractConnection) -> None:
        async with aclosing(look(link)) as letters:
            async for letter, _ in letters:
                if not self._found.is_about(letter.fields):
                    continue
                if letter.type == SeriesReceived.TYPE or not letter.path:
                    self._letters.append(_letter(letter))
                else:
                    one = self._at(letter.path, letter.uid("SeriesInstanceUID"))
                    one.dead_letters.append(_letter(letter))

    async def _ask_cube(self) -> None:
        if self._settings.cube is None:
            self._not_visible["CUBE"] = "set CHRIS_URL, CHRIS_USERNAME and CHRIS_PASSWORD"
            return
        try:
            async with catalogue(self._settings.cube, _REQUESTS_A_SECOND) as cube:
                await cube.check_generation()
                await self._search(cube)
        except OperatorError as error:
            self._not_visible["CUBE"] = error.what

    async def _search(self, cube: Catalogue) -> None:
        found, filed = self._found, list(self._by_path.values())
        if found.subject is Subject.INSTANCE and filed:
            for one in filed:
                await self._take(cube, {one.path}, {"fname_exact": one.path})
            return
        if found.subject in {Subject.INSTANCE, Subject.UNKNOWN}:
            if await self._take(cube, (), {"fname_icontains": f"-{found.wanted}.dcm"}, _MOST_BY_NAME):
                found.subject = Subject.INSTANCE
            if found.subject is Subject.INSTANCE:
                return
        kinds = [Subject.SERIES, Subject.STUDY, *([Subject.ACCESSION] if found.by_accession else [])]
        for kind in kinds if found.subject is Subject.UNKNOWN else [found.subject]:
            if await self._take(cube, self._by_path, {kind.value: found.wanted}):
                found.subject = kind
                return

    async def _take(
        self, cube: Catalogue, known: Iterable[str], search: dict[str, str], most: int | None = None
    ) -> bool:
        """Note what CUBE has; whether it has anything. It cannot list a row whose file it does not find."""
        listing = await cube.list(most, **search)
        for row in listing.files.values():
            self._at(row.path, row.series_uid).cube = InCube(url=row.url, registered_at=row.registered_at)
        if listing.unlistable:
            for path in known:
                one = self._by_path[path]
                if one.cube is None and await cube.is_registered(path):
                    one.cube = InCube()
        return bool(listing.files or listing.unlistable)

    async def _look_at_volume(self) -> None:
        root, pulse = self._settings.files_root, Pulse()
        if root is None:
            self._not_visible["volume"] = "set CHRIS_FILES_ROOT"
            return
        try:
            if not await of_volume((root / PACS_ROOT).is_dir):
                self._not_visible["volume"] = f"there is no {PACS_ROOT} below CHRIS_FILES_ROOT={root}"
                return
            await of_volume(partial(self._look_at_files, root, pulse), pulse)
        except OSError as error:
            self._not_visible["volume"] = error.strerror or "the volume does not answer"

    def _look_at_files(self, root: Path, pulse: Pulse) -> None:
        if self._found.subject is Subject.SERIES:
            for folder in sorted({path.rpartition("/")[0] for path in self._by_path}):
                for path in _files(root, folder):
                    self._at(path, self._found.wanted)
        for path, one in self._by_path.items():
            one.file_size = _size(root / path)
            pulse.beat()


def _letter(letter: DeadLetter) -> Letter:
    return Letter(
        id=letter.id,
        died_at=letter.died_at,
        reason=letter.reason,
        http_status=letter.http_status,
        attempts=letter.attempts,
        meaning=cause_of(letter.reason).meaning,
        remedy=remedy(letter.reason, short_id(letter.id)),
    )


def _series(instances: Iterable[Instance]) -> Iterator[Series]:
    by_series: dict[str, list[Instance]] = {}
    for one in instances:
        by_series.setdefault(one.SeriesInstanceUID, []).append(one)
    for uid, members in by_series.items():
        found = dict(counts(members))
        yield Series(SeriesInstanceUID=uid, state=worst(found), instances=len(members), counts=found)


def _files(root: Path, folder: str) -> Iterator[str]:
    """Files of a series folder; some of them nobody has named: their journal is deleted."""
    try:
        with os.scandir(root / folder) as entries:
            found = [one.name for one in entries if _FILE.fullmatch(one.name) and one.is_file()]
    except FileNotFoundError:
        return
    yield from (f"{folder}/{name}" for name in found)


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except (FileNotFoundError, NotADirectoryError):
        return None
