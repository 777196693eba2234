"""Asks all who may know of a UID: journals, dead letters, queues, CUBE and volume.

Whoever cannot be asked is told as not visible.
"""

import errno
import os
import re
from collections.abc import Iterable
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Final

from aio_pika.abc import AbstractConnection

from lapidicom.cli.causes import cause_of, remedy
from lapidicom.cli.cube import Catalogue, RegisteredFile, catalogue
from lapidicom.cli.dead_letters import look
from lapidicom.cli.errors import NotVisible, OperatorError
from lapidicom.cli.in_thread import Pulse, of_volume
from lapidicom.cli.letter import DeadLetter
from lapidicom.cli.queues import Waiting, waiting
from lapidicom.cli.shell import Shell
from lapidicom.cli.trace.journals import AssociationEnd, Found, Subject, search
from lapidicom.cli.trace.story import InCube, Letter, State, Story, worst
from lapidicom.common.broker import BrokerError
from lapidicom.common.file_system import FileSystem
from lapidicom.common.instance.path import PACS_ROOT
from lapidicom.common.journal.survey import Survey
from lapidicom.common.messages import SeriesReceived

_FILE: Final = re.compile(r"[^/]*?-([0-9.]{1,64})\.dcm", re.ASCII)
_MOST_BY_NAME: Final = 20
"""Files in CUBE that are named after one SOPInstanceUID: one for each PACS that sent it."""

_REQUESTS_A_SECOND: Final = 20.0


@dataclass
class Trace:
    """All that is known of a UID.

    Attributes:
        uid: the UID.
        subject: what it is.
        stories: of its instances.
        associations: that brought the series.
        series: of the study, if it is one.
        letters: dead letters about the series as a whole.
        since: how far the journals reach back.
        unreadable: journal segments that end with a bad line.
        waiting: how many messages wait in RabbitMQ, of whatever.
        not_visible: who could not be asked, and why.
    """

    uid: str
    subject: Subject
    stories: list[Story]
    associations: list[AssociationEnd]
    series: list[str]
    letters: list[Letter] = field(default_factory=list)
    since: datetime | None = None
    unreadable: int = 0
    waiting: Waiting | None = None
    not_visible: dict[str, NotVisible] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._by_path = {story.path: story for story in self.stories if story.path}

    @property
    def state(self) -> State:
        """The state that the exit status tells: that of the worst instance."""
        return State.DEAD_LETTER if self.letters else worst(story.state for story in self.stories)

    def story_of(self, path: str, series_uid: str = "") -> Story:
        """The story of a file; a new one if nobody has told of it yet."""
        story = self._by_path.get(path)
        if story is None:
            folders = path.split("/")
            name = _FILE.fullmatch(folders[-1])
            story = Story(name[1] if name else "", folders[2] if len(folders) > 3 else "", path, series_uid)
            self.stories.append(story)
            self._by_path[path] = story
        return story

    def knows(self, path: str) -> bool:
        """Whether somebody has told of this file."""
        return path in self._by_path


def gather(shell: Shell, uid: str) -> Trace:
    """Ask all who may know.

    Raises:
        OperatorError: the settings are wrong.
    """
    return shell.run(_gather(shell, uid))


async def _gather(shell: Shell, uid: str) -> Trace:
    trace = await _from_journals(shell, uid)
    await _ask(shell, trace)
    await _look_at_volume(shell.settings.files_root, trace)
    trace.stories.sort(key=lambda story: (story.pacs_name, story.path, story.sop_uid))
    return trace


async def _from_journals(shell: Shell, uid: str) -> Trace:
    spool = shell.settings.spool
    unseen: NotVisible | None = None
    found = Found()
    if spool is None:
        unseen = NotVisible("set CHRIS_FILES_ROOT or CHRIS_SPOOL_DIR")
    else:
        pulse = Pulse()
        try:
            if not await of_volume(spool.is_dir):
                raise FileNotFoundError(errno.ENOENT, "there is no folder", str(spool))
            total = await of_volume(Survey(FileSystem(), str(spool)).size)
            with shell.output.progress("reading journals", total) as advance:

                def on_read(count: int) -> None:
                    pulse.beat()
                    advance(count)

                found = await of_volume(
                    partial(search, Survey(FileSystem(), str(spool), on_read), uid), pulse
                )
        except OSError as error:
            unseen = NotVisible(f"{error.strerror or 'unreadable'}: {error.filename or spool}")
    stories = found.merged()
    trace = Trace(uid, found.subject, stories, found.associations, sorted(found.series))
    trace.since, trace.unreadable = found.since, found.unreadable
    if unseen is not None:
        trace.not_visible["journals"] = unseen
    return trace


async def _ask(shell: Shell, trace: Trace) -> None:
    settings = shell.settings
    try:
        async with shell.connection() as link:
            trace.waiting = await waiting(link, (*settings.retry_delays, settings.park_delay))
            await _read_letters(link, trace)
    except (BrokerError, OperatorError) as error:
        trace.not_visible["dead letters"] = NotVisible(str(error))
        if trace.waiting is None:
            trace.not_visible["queues"] = NotVisible(str(error))
    unseen: NotVisible | None = None
    if settings.cube is None:
        unseen = NotVisible("set CHRIS_URL, CHRIS_USERNAME and CHRIS_PASSWORD")
    else:
        try:
            async with catalogue(settings.cube, _REQUESTS_A_SECOND) as known:
                await known.check_generation()
                await _ask_cube(known, trace)
        except OperatorError as error:
            unseen = NotVisible(error.what)
    if unseen is not None:
        trace.not_visible["CUBE"] = unseen
        for story in trace.stories:
            if story.cube is None:
                story.cube = unseen


async def _read_letters(link: "AbstractConnection", trace: Trace) -> None:
    async with aclosing(look(link)) as letters:
        async for letter, _ in letters:
            sop_uid, series_uid = letter.uid("SOPInstanceUID"), letter.uid("SeriesInstanceUID")
            if trace.uid not in (sop_uid, series_uid):
                continue
            if trace.uid == sop_uid:
                trace.subject = Subject.INSTANCE
            elif trace.subject is not Subject.INSTANCE:
                trace.subject = Subject.SERIES
            if letter.type == SeriesReceived.TYPE or not letter.path:
                trace.letters.append(_letter(letter))
            else:
                trace.story_of(letter.path, series_uid).letters.append(_letter(letter))


def _letter(letter: DeadLetter) -> Letter:
    cause = cause_of(letter.reason)
    return Letter(
        letter.id,
        letter.reason,
        cause.meaning,
        remedy(letter),
        letter.died_at,
        letter.http_status,
        letter.attempts,
    )


async def _ask_cube(known: Catalogue, trace: Trace) -> None:
    filed = [story for story in trace.stories if story.path]
    if trace.subject is Subject.STUDY:
        return
    if trace.subject is Subject.INSTANCE and filed:
        for story in filed:
            await _ask_for_file(known, story)
        return
    if trace.subject is not Subject.SERIES:
        by_name = await known.list(most=_MOST_BY_NAME, fname_icontains=f"-{trace.uid}.dcm")
        _take_over(trace, by_name.files.values())
        if by_name.files:
            trace.subject = Subject.INSTANCE
        if trace.subject is Subject.INSTANCE:
            return
    of_series = await known.list(SeriesInstanceUID=trace.uid)
    if of_series.files or of_series.unlistable:
        trace.subject = Subject.SERIES
    _take_over(trace, of_series.files.values(), trace.uid)
    if of_series.unlistable:
        for story in filed:
            if story.cube is None and await known.is_registered(story.path):
                story.cube = InCube("", "")


async def _ask_for_file(known: Catalogue, story: Story) -> None:
    listing = await known.list(most=1, fname_exact=story.path)
    row = listing.files.get(story.path)
    if row is not None:
        story.cube = InCube(row.url, row.registered_at)
    elif listing.unlistable:
        story.cube = InCube("", "")


def _take_over(trace: Trace, rows: Iterable[RegisteredFile], series_uid: str = "") -> None:
    for row in rows:
        trace.story_of(row.path, series_uid).cube = InCube(row.url, row.registered_at)


async def _look_at_volume(root: Path | None, trace: Trace) -> None:
    try:
        unseen = await of_volume(partial(_why_not_visible, root))
        if unseen is None and root is not None:
            pulse = Pulse()
            await of_volume(partial(_look_at_files, root, trace, pulse), pulse)
    except OSError as error:
        unseen = NotVisible(error.strerror or "the volume does not answer")
    if unseen is not None:
        trace.not_visible["volume"] = unseen
        for story in trace.stories:
            story.file = unseen


def _look_at_files(root: Path, trace: Trace, pulse: Pulse) -> None:
    if trace.subject is Subject.SERIES:
        for folder in sorted({story.path.rpartition("/")[0] for story in trace.stories if story.path}):
            _add_files(root, folder, trace)
    for story in trace.stories:
        if story.path and story.file is None:
            story.file = _size(root / story.path)
            pulse.beat()


def _why_not_visible(root: Path | None) -> NotVisible | None:
    if root is None:
        return NotVisible("set CHRIS_FILES_ROOT")
    if not (root / PACS_ROOT).is_dir():
        return NotVisible(f"there is no {PACS_ROOT} below CHRIS_FILES_ROOT={root}")
    return None


def _add_files(root: Path, folder: str, trace: Trace) -> None:
    """Files of a series folder of which nobody has told: their journal is deleted."""
    try:
        with os.scandir(root / folder) as entries:
            for entry in entries:
                path = f"{folder}/{entry.name}"
                if not trace.knows(path) and _FILE.fullmatch(entry.name) and entry.is_file():
                    trace.story_of(path, trace.uid)
    except OSError:
        return  # each file is looked at by itself, and its fault told


def _size(path: Path) -> int | NotVisible | None:
    try:
        return path.stat().st_size
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        return NotVisible(error.strerror or "the volume does not answer")
