"""The processes of a history: listeners without threads, relays, and the broker between them and nowhere.

What they do is the product's code; here stands only in which steps they do it.
"""

import contextlib
import json
import posixpath
from collections.abc import Collection, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lapidicom.common.broker import BrokerError, ConnectionLost, Envelope, Refused, UnknownOutcome, Unroutable
from lapidicom.common.journal import records
from lapidicom.common.journal.format import folder_name
from lapidicom.common.journal.records import OpenSeries, SeriesKey
from lapidicom.common.open_series import marker_name
from lapidicom.receiver.association.new_life import mark_again
from lapidicom.receiver.errors import OutOfResources
from lapidicom.receiver.journal.commit import GroupCommit
from lapidicom.receiver.journal.entry import EndEntry, Entry
from lapidicom.receiver.journal.folder import OwnedJournal
from lapidicom.receiver.listener.app import build_store
from lapidicom.receiver.storage.file_meta import FileMeta
from lapidicom.receiver.storage.fixed_folders import SeriesIdentity
from lapidicom.receiver.storage.folders import SeriesFolder
from lapidicom.receiver.storage.instance_file import InstanceStore
from lapidicom.receiver.storage.open_markers import OpenMarker
from lapidicom.receiver.storage.volume import Volume, VolumeUnusable
from tests.support.journal_format_1 import JournalOfFormat1
from tests.support.journal_perils import Peril
from tests.support.journal_promises import Marked, Stored
from tests.support.journal_records import (
    ended,
    instance,
    instance_path,
    series_fields,
    series_folder,
    started,
)
from tests.support.relay_rig import RelayRig
from tests.support.simulated_disk import Killed

if TYPE_CHECKING:
    from tests.support.journal_history import History, Plan

ROOT = Path("/files")
SPOOL = ROOT / ".lapidicom"
RECEIVER = "receiver-1"
TAKEOVER = 120.0

_TITLES = ("ChRIS", "CHRIS_RECEIVER_2")
_LONG = 330_000
"""Characters of a description of which fourteen are more than the longest record."""
_LONG_LIST = 14

DIRECTORY_CACHES = (5.0, 180.0)
"""Seconds for which a network file system may hide what another host has made: less and more than it takes
until another host finishes a journal, so that its first look may come too early."""


class SimulatedBroker:
    """Stores messages, or not, as the seed says; looks at each publish whether it comes too early."""

    def __init__(self, history: "History") -> None:
        self._history = history
        self.faulty = history.chance.random() < 0.6
        self.stored: list[Envelope] = []

    async def publish(self, envelope: Envelope, relay: "RelayProcess") -> None:
        """Publish."""
        history = self._history
        self._look(envelope, relay)
        if not self.faulty or history.chance.random() < 0.9:
            self.stored.append(envelope)
            return
        error: BrokerError = history.chance.choice(
            (
                Unroutable("no"),
                Refused("no"),
                UnknownOutcome("stored"),
                UnknownOutcome("no"),
                ConnectionLost("no"),
            )
        )
        if str(error) == "stored":
            self.stored.append(envelope)
        raise error

    def _look(self, envelope: Envelope, relay: "RelayProcess") -> None:
        """Nothing is published before both syncs, unless its owner is taken for dead and it is durable."""
        if envelope.type != "InstanceStored":
            return
        history = self._history
        body = json.loads(envelope.body)
        same = [
            one
            for one in history.instances
            if (one.path, one.size, one.series.association_id)
            == (body["path"], body["size"], body["association_id"])
        ]
        assert same, "published before it was handed over"
        if any(one.entry.failure is not None for one in same):
            return  # answered with a failure: may be published, its file is whole
        if any(one.entry.durable and one.entry.settled for one in same):
            return
        life = envelope.lapidicom_id.partition(".")[0]
        assert relay.takes_for_ended(life), "published before both syncs"
        assert history.disk.is_durable(f"{ROOT}/{body['path']}"), "published before its file was durable"


class RelayProcess:
    """A relay; starts again when it was killed."""

    def __init__(self, history: "History", parent: str) -> None:
        self._history = history
        self._parent = parent
        self.is_busy = False
        self.start()

    def start(self) -> None:
        """A new process."""
        history = self._history
        plan = history.plan(0.5, 400)
        self._rig = RelayRig(
            ROOT,
            self,
            history.clock,
            file_system=history.file_system(plan, f"relay of {self._parent}", self._parent),
            parent=self._parent,
            takeover=TAKEOVER,
            days=0.0,
            directory_cache=history.disk.directory_cache,
        )
        remove_markers = self._rig.sweep.remove_markers

        def finish(life: str) -> None:
            history.finishing.add(life)
            remove_markers(life)

        self._rig.sweep.remove_markers = finish  # type: ignore[method-assign]

    async def publish(self, envelope: Envelope) -> None:
        """Publish."""
        await self._history.broker.publish(envelope, self)

    def takes_for_ended(self, life: str) -> bool:
        """Whether this relay finishes that life."""
        return any(
            one.life == life and one.follower is not None and one.follower.ended
            for one in self._rig.journals.watched()
        )

    def step(self) -> None:
        """Look at the volume, and publish what there is."""
        if self._history.loop.is_running() or self.is_busy:
            return
        with self._mortal():
            try:
                self._rig.work(self._history.loop.run_until_complete)
            finally:
                self._history.taken_for_dead |= {
                    one.life
                    for one in self._rig.journals.watched()
                    if one.follower is not None and one.follower.ended
                }

    def retain(self) -> None:
        """Delete what is relayed."""
        if not self.is_busy:
            with self._mortal():
                self._rig.retain()

    @contextlib.contextmanager
    def _mortal(self) -> Iterator[None]:
        self.is_busy = True
        try:
            yield
        except OSError:
            return
        except Killed:
            self.start()
        finally:
            self.is_busy = False

    @property
    def events(self) -> list[tuple[str, dict[str, Any]]]:
        """What it reported."""
        return self._rig.events


class Owner:
    """A listener: its volume, its journal without threads, and its associations. A dead one is replaced."""

    def __init__(self, history: "History", parent: str) -> None:
        self._history = history
        self._parent = parent
        self._tasks: list[Iterator[None]] = []
        self.marked: dict[tuple[str, str], Marked] = {}
        self._group: GroupCommit | JournalOfFormat1 | None = None
        self._store: InstanceStore
        self._plan: Plan
        self._lives: set[str] = set()
        self.is_busy = False

    def die(self) -> None:
        """The process is gone, and whoever waited for an answer gets none."""
        self._group = None
        self._tasks.clear()

    def _start(self) -> None:
        history, chance = self._history, self._history.chance
        history.lives += 1
        self._plan = plan = history.plan(0.8, 700)
        fs = history.file_system(plan, f"owner of {self._parent}", self._parent)
        life = f"{chance.getrandbits(128):032x}"
        self._lives = {life}
        lives = [life]
        # Most faults shall come behind the many calls with which a listener tries its volume.
        plan.is_armed = chance.random() < 0.2
        volume = Volume(
            ROOT, SPOOL, folder_name(RECEIVER, life), min_free_space=0, fsync=True, file_system=fs
        )
        plan.is_armed = True
        self._store = build_store(volume, fs, fsync=True, most_folders=chance.choice((1, 256)))

        if Peril.OLD_FORMAT in history.perils and not history.is_long and chance.random() < 0.3:
            self._group = JournalOfFormat1(fs, SPOOL, RECEIVER, life, self._parent, history.segment_limit)
            return

        def make_life() -> OwnedJournal:
            life = lives.pop() if lives else f"{chance.getrandbits(128):032x}"
            return OwnedJournal(
                fs,
                SPOOL,
                RECEIVER,
                life,
                self._parent,
                fsync=True,
                longest_silence=TAKEOVER / 2,
                clock=history.clock,
            )

        self._group = GroupCommit(
            make_life,
            RECEIVER,
            observe=lambda event, /, **fields: history.steps.append(f"{event} {fields}"),
            on_next=self._mark_again,
            segment_limit=history.segment_limit,
        )

    def _mark_again(self, life: str, series: Collection[OpenSeries]) -> None:
        self._lives.add(life)
        self._store.volume.begin_life(folder_name(RECEIVER, life))
        mark_again(self._store.markers, life, series)
        for one in series:
            fields = json.loads(one.fields)
            marked = self.marked.get((fields["association_id"], fields["SeriesInstanceUID"]))
            if marked is not None and marked.path:
                name = marker_name(life, fields["association_id"])
                marked.path = f"{posixpath.dirname(marked.path)}/{name}"

    def step(self) -> None:
        """One step of an association, or of the committer."""
        chance = self._history.chance
        with self._mortal():
            if self._group is None:
                self._start()
            elif chance.random() < 0.3:
                self._group.commit_waiting()
            elif self._tasks and (len(self._tasks) > 3 or chance.random() < 0.8):
                task = chance.choice(self._tasks)
                for _ in range(chance.randrange(1, 6)):
                    if next(task, self) is self:
                        self._tasks.remove(task)
                        break
            else:
                self._tasks.append(self._association(f"association-{self._history.lives}-{chance.random()}"))

    def beat(self) -> None:
        """A heartbeat, and a look at the volume; a listener with stale descriptors is replaced."""
        with self._mortal():
            if self._group is not None:
                self._group.beat()
                if not self._store.volume.watch():
                    self.die()

    @contextlib.contextmanager
    def _mortal(self) -> Iterator[None]:
        if self.is_busy:
            raise AssertionError("a paused process goes on")
        self.is_busy = True
        try:
            yield
        except (OSError, Killed, VolumeUnusable):
            self.die()  # killed, or no journal could be made
        finally:
            self.is_busy = False

    def _association(self, association: str) -> Iterator[None]:
        """Stores some instances of some series, and ends them."""
        history, chance = self._history, self._history.chance
        group = self._group
        assert group is not None
        called = chance.choice(_TITLES) if Peril.KEPT in history.perils else _TITLES[0]
        is_long = history.is_long and chance.random() < 0.5
        numbers = range(1, _LONG_LIST + 1) if is_long else (chance.randrange(1, 3),)
        books = [
            SeriesInAssociation(self, group, association, series, called, is_long=is_long)
            for series in numbers
        ]
        for book in books:
            for _ in range(1 if is_long else chance.randrange(1, 5)):
                yield from book.store()
        for book in books:
            book.end()

    # --- what its associations use ---

    @property
    def history(self) -> "History":
        """In which it lives."""
        return self._history

    @property
    def store(self) -> InstanceStore:
        """Of this process."""
        return self._store

    @property
    def faults_met(self) -> int:
        """How many faults have struck this process."""
        return self._plan.struck

    def is_refused_without_cause(self, faults_met: int) -> bool:
        """Whether a refusal just now has none: no fault since, a sound volume, an owner taken for alive."""
        return (
            self._plan.struck == faults_met
            and self._store.volume.fault is None
            and self._lives.isdisjoint(self._history.taken_for_dead)
        )


class SeriesInAssociation:
    """A series as one association stores it: marker, file, rename, record beside the folder's sync, answer.

    That of an owner of the version before knows neither markers nor fixed folders.
    """

    def __init__(
        self,
        owner: Owner,
        group: GroupCommit | JournalOfFormat1,
        association: str,
        number: int,
        called: str,
        *,
        is_long: bool,
    ) -> None:
        self._owner = owner
        self._group = group
        self._association = association
        self._number = number
        self._meta = FileMeta("1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1", "MODALITY", called)
        self._folder: SeriesFolder | None = None
        self._marker: OpenMarker | None = None
        self._marked_in = ""
        self._marked = owner.marked.setdefault((association, f"1.2.3.{number}"), Marked())
        self._count = 0
        self._is_started = False
        self._starts = started(association, number)
        if is_long:
            fields = series_fields(association, number) | {"StudyDescription": "x" * _LONG}
            self._starts = records.series_started(fields)
        self._is_old = isinstance(group, JournalOfFormat1)
        uid = f"9.{number}" if self._is_old else f"1.2.3.{number}"
        self._identity = SeriesIdentity("MODALITY", "1", "1.2.3", uid)
        self._wanted = series_folder(number)
        if not self._is_old and owner.history.chance.random() < 0.3:
            self._wanted += "-described-otherwise"

    def store(self) -> Generator[None, None, None]:
        """Store an instance."""
        history, chance = self._owner.history, self._owner.history.chance
        store, group = self._owner.store, self._group
        number = chance.randrange(1, 7) if chance.random() < 0.3 else chance.randrange(10, 10_000)
        variant = chance.randrange(2) if Peril.REPLACED in history.perils else 0
        data_set = f"{number} {variant}".encode() * (1 + number % 3 + variant)
        name = posixpath.basename(instance_path(number, self._number))
        faults_met = self._owner.faults_met
        try:
            file = store.new_file()
            file.write([self._meta.encode(name.encode()), data_set])
            yield
            faults_met = self._owner.faults_met
            if self._folder is None:
                if not self._is_old:
                    self._mark()
                    yield
                    faults_met = self._owner.faults_met
                self._folder = store.folders.get(self._identity, self._wanted)
                yield
                faults_met = self._owner.faults_met
            self._folder, placed = file.place(self._folder, name)
        except OSError:
            return
        except OutOfResources as refusal:
            if self._owner.is_refused_without_cause(faults_met):
                history.refused.append(f"{name}: {refusal}")
            return
        path = f"{self._folder.path}/{name}"
        history.steps.append(f"{placed}: {path} {file.size} {self._association}")
        entry = Entry(
            [self._placed(instance(number, self._association, self._number, file.size))],
            series=self._key,
            starts=None if self._is_started else self._placed(self._starts),
        )
        one = Stored(path, file.size, data_set, self._key, entry, marked=self._marked, is_old=self._is_old)
        history.instances.append(one)
        over = group.life_id if group.life_id in history.finishing else ""
        group.submit(entry)
        yield
        try:
            store.sync_folder(self._folder)
            is_sound = True
        except OutOfResources:
            is_sound = False
        yield
        if not self._marked_in:
            is_sound &= self._keep_open()
            yield
        while entry.failure is None and not entry.durable:
            yield
        if self._marked_in != group.life_id:
            is_sound &= self._keep_open()
        one.journal = group.folder
        one.answered = is_sound and entry.failure is None
        assert not one.answered or self._is_old or self._marked_in != over, f"no marker: {one}"
        self._is_started |= one.answered
        self._count += one.answered
        yield
        group.settle(entry)
        file.close()
        yield

    def end(self) -> None:
        """Record its end."""
        if self._is_started:
            bodies = [self._placed(ended(self._count, self._association, self._number))]
            self._group.submit(EndEntry(bodies, [self._key], self._ended))

    def _ended(self) -> None:
        self._marked.is_ended = True
        if self._marker is not None:
            latest = marker_name(self._group.life_id, self._association)
            paths = {self._marker.path, f"{posixpath.dirname(self._marker.path)}/{latest}"}
            self._owner.store.markers.remove(paths)

    @property
    def _key(self) -> SeriesKey:
        assert self._folder is not None
        return SeriesKey(self._association, self._folder.path)

    def _placed(self, record: bytes) -> bytes:
        """A record about the folder where the series is."""
        assert self._folder is not None
        return record.replace(series_folder(self._number).encode(), self._folder.path.encode())

    def _mark(self) -> OpenMarker:
        name = marker_name(self._group.life_id, self._association)
        if self._marker is None or self._marker.name != name:
            markers = self._owner.store.markers
            self._marker = markers.make("MODALITY", self._identity.SeriesInstanceUID, name)
        return self._marker

    def _keep_open(self) -> bool:
        if self._is_old:
            return True
        life, before = self._group.life_id, self._marker
        try:
            marker = self._mark()
            marker.sync()
        except OSError:
            return False
        self._marked_in = life
        self._marked.path = marker.path
        if before is not None and before is not marker:
            self._owner.store.markers.remove((before.path,))
        return True
