"""`lapidicom trace`: where an instance, a series or a study is.

Journals, dead letters, queues, CUBE and volume are asked; whoever cannot be asked is not visible, and the
answer says so.
"""

import errno
import os
import re
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from lapidicom.cli.causes import cause_of, remedy
from lapidicom.cli.cube import Catalogue, catalogue
from lapidicom.cli.dead_letters import look
from lapidicom.cli.errors import OperatorError
from lapidicom.cli.in_thread import Pulse, of_volume
from lapidicom.cli.letter import DeadLetter, short_id
from lapidicom.cli.masking import masked_path
from lapidicom.cli.queues import waiting
from lapidicom.cli.reconcile.volume import SUFFIX
from lapidicom.cli.shell import Because, Limit, Shell, ShowPhi, command
from lapidicom.cli.survey import read_journals
from lapidicom.cli.third_count import Pacs
from lapidicom.cli.trace.journals import search
from lapidicom.cli.trace.story import Detail, InCube, Instance, Letter, Subject, Trace
from lapidicom.common.broker import BrokerError
from lapidicom.common.instance.path import PACS_ROOT
from lapidicom.common.instance.tags import is_uid
from lapidicom.common.settings import CubeSection, PacsSection

_FILE: Final = re.compile(r"[^/]*?-([0-9.]{1,64})\.dcm", re.ASCII)
_MOST_BY_NAME: Final = 20
"""Files in CUBE that are named after one SOPInstanceUID: one for each PACS that sent it."""

_REQUESTS_A_SECOND: Final = 20.0


@command(
    "lapidicom trace 1.2.840.113619.2.5.1",
    "lapidicom trace 1.2.840.113619.2.5 --limit 0",
    "lapidicom trace A12345 --show-phi --because 'the ward asks'",
)
async def trace(
    shell: Shell,
    uid: Annotated[
        str,
        typer.Argument(
            metavar="UID",
            help="Of an instance, a series or a study; with --show-phi an accession number.",
        ),
    ],
    limit: Limit = None,
    show_phi: ShowPhi = False,
    because: Because = "",
) -> int:
    """Show the whole story of an instance, a series or a study: from journals, volume, RabbitMQ and CUBE.

    Nothing is changed, and nothing is taken from the work queue or a delay queue: what is relayed, not in
    CUBE and not a dead letter is waiting.

    Exit status: 0 registered; 1 unknown; 10 waiting; 11 not relayed yet; 12 dead letter; 13 refused;
    14 set aside; 15 stored, but nothing asks for its registration; 16 stored or relayed, what became of it is
    not visible from here. A series or a study is as its worst instance; 17 the PACS has more instances of it.
    """
    if not (is_uid(uid) or show_phi):
        raise OperatorError("this is no UID", "an accession number is patient data: it needs --show-phi")
    what = uid if "." in uid and is_uid(uid) else "an accession number"
    async with shell.seeing_patient_data(show_phi, because, what):
        found = await _Gathering(shell, uid, show_phi=show_phi).trace(shell.rows(limit))
    if shell.output.json or found.subject is not Subject.INSTANCE:
        shell.output.show(found)
    else:
        for one in found.instances:
            shell.output.show(Detail(**dict(one)))
        for line in found.surroundings():
            shell.output.text(line)
    shell.more(found.instances_not_shown)
    return found.state.exit_status


class _Gathering:
    """All that becomes known of a UID; with `show_phi` paths are shown, and accession numbers looked for."""

    def __init__(self, shell: Shell, wanted: str, *, show_phi: bool) -> None:
        self._shell, self._show_phi = shell, show_phi
        self._trace = Trace(uid=wanted, by_accession=show_phi)
        self._by_path: dict[str, Instance] = {}

    async def trace(self, limit: int) -> Trace:
        """Ask everybody, and keep so many instances (0: all)."""
        settings, trace = self._shell.settings, self._trace
        spool, cube, root = settings.spool, settings.cube, settings.files_root
        await self._ask("journals", spool, "set CHRIS_FILES_ROOT or CHRIS_SPOOL_DIR", self._read_journals)
        await self._ask("dead letters", settings.retry_delays, "", self._ask_rabbitmq)
        await self._ask("CUBE", cube, "set CHRIS_URL, CHRIS_USERNAME and CHRIS_PASSWORD", self._ask_cube)
        await self._ask("volume", root, "set CHRIS_FILES_ROOT", self._look_at_volume)
        if settings.pacs_address and trace.subject not in {Subject.INSTANCE, Subject.UNKNOWN}:
            await self._ask("PACS", settings, "", self._ask_pacs)
        if trace.waiting is None:
            trace.not_visible["queues"] = trace.not_visible["dead letters"]
        trace.judge(limit, str if self._show_phi else masked_path)
        return trace

    async def _ask(self, who: str, setting: Any, remedy: str, ask: Callable[[Any], Awaitable[None]]) -> None:
        """Ask one of them, if it can be asked from here."""
        if setting is None:
            self._trace.not_visible[who] = remedy
            return
        try:
            await ask(setting)
        except (BrokerError, OperatorError) as error:
            self._trace.not_visible[who] = str(error)
        except OSError as error:  # of other files the names are patient data
            place = f": {error.filename}" if error.filename and who == "journals" else ""
            self._trace.not_visible[who] = f"{error.strerror or 'unreadable'}{place}"

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
            self._trace.instances.append(one)
            self._by_path[path] = one
        return self._by_path[path]

    async def _read_journals(self, spool: Path) -> None:
        if not await of_volume(spool.is_dir):
            raise FileNotFoundError(errno.ENOENT, "there is no folder", str(spool))
        look = partial(search, trace=self._trace)
        self._trace.instances = await read_journals(self._shell.output, spool, look)
        self._by_path = {one.path: one for one in self._trace.instances if one.path}

    async def _ask_rabbitmq(self, retry_delays: tuple[int, ...]) -> None:
        async with self._shell.connection() as link:
            self._trace.waiting = await waiting(link, (*retry_delays, self._shell.settings.park_delay))
            async with look(link) as letters:
                async for letter, _ in letters:
                    if not self._trace.is_about(letter.fields):
                        continue
                    of_series = letter.is_of_series or not letter.path
                    one = None if of_series else self._at(letter.path, letter.uid("SeriesInstanceUID"))
                    (one.dead_letters if one else self._trace.dead_letters_of_series).append(_letter(letter))

    async def _ask_cube(self, section: CubeSection) -> None:
        async with catalogue(section, _REQUESTS_A_SECOND) as cube:
            found, filed = self._trace, list(self._by_path)
            if found.subject is Subject.INSTANCE and filed:
                for path in filed:
                    await self._take(cube, {path}, {"fname_exact": path})
                return
            if found.subject in {Subject.INSTANCE, Subject.UNKNOWN}:
                if await self._take(cube, (), {"fname_icontains": f"-{found.uid}.dcm"}, _MOST_BY_NAME):
                    found.subject = Subject.INSTANCE
                if found.subject is Subject.INSTANCE:
                    return
            kinds = [Subject.SERIES, Subject.STUDY, *([Subject.ACCESSION] if found.by_accession else [])]
            for kind in kinds if found.subject is Subject.UNKNOWN else [found.subject]:
                if await self._take(cube, filed, {kind.value: found.uid}):
                    found.subject = kind
                    return

    async def _take(
        self, cube: Catalogue, known: Iterable[str], search: dict[str, str], most: int | None = None
    ) -> bool:
        """Note which instances CUBE has; whether any. It cannot list a row whose file it does not find."""
        listing = await cube.list(most, **search)
        for row in listing.files.values():
            if not row.path.endswith(SUFFIX):
                continue  # a progress file of the series
            one = self._at(row.path, row.series_uid)
            one.cube = InCube(url=row.url, registered_at=row.registered_at)
            self._trace.note_study(one.pacs_name, row.series_uid, row.study_uid)
        for path in known if listing.unlistable else ():
            one = self._by_path[path]
            if one.cube is None and await cube.is_registered(path):
                one.cube = InCube()
        return bool(listing.files or listing.unlistable)

    async def _look_at_volume(self, root: Path) -> None:
        pulse = Pulse()
        if not await of_volume((root / PACS_ROOT).is_dir):
            raise OperatorError(f"there is no {PACS_ROOT} below CHRIS_FILES_ROOT={root}")
        await of_volume(partial(self._look_at_files, root, pulse), pulse)

    async def _ask_pacs(self, section: PacsSection) -> None:
        trace, pacs = self._trace, Pacs(section)
        for (name, series), study in sorted(trace.studies.items()):
            if trace.subject is Subject.SERIES:
                trace.of_pacs[name, study] = {series: await pacs.of_series(name, study, series)}
            elif (name, study) not in trace.of_pacs:
                trace.of_pacs[name, study] = await pacs.of_study(name, study)

    def _look_at_files(self, root: Path, pulse: Pulse) -> None:
        if self._trace.subject is Subject.SERIES:
            for folder in sorted({path.rpartition("/")[0] for path in self._by_path}):
                for name in _files(root / folder):
                    self._at(f"{folder}/{name}", self._trace.uid)
        for path, one in self._by_path.items():
            with suppress(FileNotFoundError, NotADirectoryError):
                one.file_size = (root / path).stat().st_size
            pulse.beat()


def _letter(letter: DeadLetter) -> Letter:
    told = {name: getattr(letter, name) for name in ("id", "died_at", "reason", "http_status", "attempts")}
    what_to_do = remedy(letter.reason, short_id(letter.id))
    return Letter(**told, meaning=cause_of(letter.reason).meaning, remedy=what_to_do)


def _files(folder: Path) -> list[str]:
    """Files of a series folder; some of them nobody has named: their journal is deleted."""
    try:
        with os.scandir(folder) as entries:
            return [one.name for one in entries if _FILE.fullmatch(one.name) and one.is_file()]
    except FileNotFoundError:
        return []
