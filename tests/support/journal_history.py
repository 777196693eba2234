"""One history of a volume: owners that store, relays that publish, and faults, all by one seed.

The code of journal and relay is the product's; the disk, the broker, the clock and the order in which
the processes go on are simulated. A fault is one of: power cut, kill, short write, failed call, full
disk, and a pause during which the rest of the world goes on, takes the paused one for dead, finishes
its journal and perhaps deletes it.
"""

import asyncio
import contextlib
import errno
import json
import posixpath
import random
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lapidicom.common.broker import BrokerError, ConnectionLost, Envelope, Refused, UnknownOutcome, Unroutable
from lapidicom.common.file_system import FileSystem
from lapidicom.common.journal.records import SeriesKey
from lapidicom.receiver.journal.commit import GroupCommit
from lapidicom.receiver.journal.entry import Entry
from lapidicom.receiver.journal.life import DIRECTORY, Life
from tests.support.journal_records import ended, instance, instance_path, key, started
from tests.support.relay_rig import Clock, RelayRig
from tests.support.simulated_disk import Disk, Killed, PowerCut, SimulatedFileSystem

ROOT = Path("/files")
TAKEOVER = 120.0
_EFFECTS = ("power", "kill", "error", "full", "short", "pause")


@dataclass
class Stored:
    """An instance that an owner has handed to its journal."""

    path: str
    size: int
    association: str
    folder: str
    message: dict[str, Any]
    entry: Entry
    answered: bool | None = None
    replaced: bool = False


@dataclass
class Plan:
    """Which calls of a process meet a fault."""

    at: dict[int, str] = field(default_factory=dict)
    calls: int = 0


class History:
    """Runs one history; `check` then tells whether the promises were kept.

    Args:
        seed: decides everything.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.chance = random.Random(seed)
        self.clock = Clock()
        self.disk = Disk(self.clock)
        self.disk.make_folders(f"{ROOT}/.lapidicom/incoming")
        self.disk.make_folders(f"{ROOT}/{posixpath.dirname(posixpath.dirname(instance_path(0)))}")
        self.broker = SimulatedBroker(self)
        self.instances: list[Stored] = []
        self.steps: list[str] = []
        self.faults_left = True
        self.loop = asyncio.new_event_loop()
        self.lives = 0
        count = self.chance.choice((1, 1, 2))
        self.owners = [Owner(self, f"supervisor-{number}") for number in range(count)]
        self.relays = [self._relay(f"supervisor-{number}") for number in range(count)]
        self.other = self._relay("supervisor-other")
        self.paused = 0

    # --- the processes ---

    def _relay(self, parent: str) -> "RelayProcess":
        return RelayProcess(self, parent)

    def plan(self, chance_of_fault: float, calls: int) -> Plan:
        """Faults for one process."""
        chance = self.chance
        plan = Plan()
        while self.faults_left and chance.random() < chance_of_fault:
            # Some early, some late: most processes do not live for long.
            plan.at[int(calls ** (chance.random() ** 0.5))] = chance.choice(_EFFECTS)
            chance_of_fault *= 0.8
        return plan

    def file_system(self, plan: Plan, who: str) -> FileSystem:
        """The system calls of a process with this plan."""
        after: list[str] = []

        def before_call(name: str, path: str) -> int | None:
            plan.calls += 1
            effect = plan.at.get(plan.calls) if self.faults_left else None
            if effect is None:
                return None
            self.steps.append(f"{who}: {effect} at {name} {path}")
            if effect in ("power", "kill") and self.chance.random() < 0.5:
                after.append(effect)  # the call itself is still done
                return None
            return self._strike(effect, name)

        def after_call(name: str, _path: str) -> None:
            if after:
                self._strike(after.pop(), name)

        return SimulatedFileSystem(self.disk, before_call, after_call)

    def _strike(self, effect: str, name: str) -> int | None:
        match effect:
            case "power":
                raise PowerCut
            case "kill":
                raise Killed
            case "error":
                raise OSError(errno.EIO, "EIO")
            case "full" if name in ("open", "write", "mkdir", "rename", "fsync", "fdatasync"):
                raise OSError(errno.ENOSPC, "ENOSPC")
            case "short" if name == "write":
                return self.chance.randrange(60)
            case "pause":
                self._pause()
        return None

    def _pause(self) -> None:
        """The world goes on without the process that is in this call."""
        if self.paused or self.loop.is_running():
            return
        self.paused += 1
        try:
            for _ in range(self.chance.randrange(1, 12)):
                self._anyone()
            self.clock.now += self.chance.choice((5.0, TAKEOVER + 1))
            for _ in range(self.chance.randrange(1, 12)):
                self._anyone()
        finally:
            self.paused -= 1

    def _anyone(self) -> None:
        """Somebody who is not paused goes on."""
        everyone: list[Owner | RelayProcess] = [*self.owners, *self.relays, self.other]
        one = self.chance.choice(everyone)
        if one.is_busy:
            return
        if isinstance(one, RelayProcess) and self.chance.random() < 0.3:
            one.retain()
        else:
            one.step()

    # --- the run ---

    def run(self) -> None:
        """Let everything happen, until nothing is left to do."""
        try:
            with contextlib.suppress(PowerCut):
                for _ in range(self.chance.randrange(10, 200)):
                    self._step()
            if self.chance.random() < 0.5:
                self.steps.append("the power is cut")
                self.disk.lose_power(self.chance)
            self.faults_left = False
            self._finish()
        finally:
            self.loop.close()

    def _step(self) -> None:
        chance = self.chance
        try:
            match chance.randrange(12):
                case 0 | 1:
                    chance.choice(self.relays).step()
                case 2:
                    self.other.step()
                case 3:
                    self.clock.now += chance.choice((1.0, 10.0, 50.0))
                case 4:
                    chance.choice(self.owners).beat()
                case 5 if chance.random() < 0.2:
                    chance.choice([*self.relays, self.other]).retain()
                case _:
                    chance.choice(self.owners).step()
        except PowerCut:
            self.steps.append("the power is cut")
            self.disk.lose_power(self.chance)
            self.faults_left = self.chance.random() < 0.3
            for owner in self.owners:
                owner.die()
            for relay in (*self.relays, self.other):
                relay.start()
            if chance.random() < 0.5:
                raise

    def _finish(self) -> None:
        """Nobody who was there is left; the relay of another receiver finds what they left."""
        self.steps.append("the end")
        for owner in self.owners:
            owner.die()
        self.broker.faulty = False
        last = RelayProcess(self, "supervisor-last")
        last.step()
        self.clock.now += TAKEOVER + 1
        for _ in range(12):
            last.step()
            self.clock.now += 20
        self.last = last

    # --- the promises ---

    def check(self) -> None:
        """Whether the promises were kept.

        Raises:
            AssertionError: one was not.
        """
        messages = [(envelope, json.loads(envelope.body)) for envelope in self.broker.stored]
        stored_paths = {body["path"] for envelope, body in messages if envelope.type == "InstanceStored"}
        for one in self.instances:
            if one.answered and not one.replaced:
                assert one.path in stored_paths, f"lost: {one}"
        known = [one.message for one in self.instances]
        for envelope, body in messages:
            if envelope.type == "InstanceStored":
                # `received_at` and the like are normalised by the model; what names the file is not.
                assert any(body["path"] == m["path"] and body["size"] == m["size"] for m in known), body
        self._check_order()
        ended_series = {
            SeriesKey(body["association_id"], body["folder"])
            for envelope, body in messages
            if envelope.type == "SeriesReceived"
        }
        for one in self.instances:
            if one.answered and not one.replaced:
                assert SeriesKey(one.association, one.folder) in ended_series, f"never ended: {one}"

    def _check_order(self) -> None:
        """Of two messages of one journal, the later one was stored again behind the earlier one."""
        first: dict[str, dict[float, int]] = {}
        last: dict[str, dict[float, int]] = {}
        for index, envelope in enumerate(self.broker.stored):
            life, _, rest = envelope.lapidicom_id.partition(".")
            number, _, how = rest.partition(".")
            rank = float(number) + (1e9 if how else 0.0)
            first.setdefault(life, {}).setdefault(rank, index)
            last.setdefault(life, {})[rank] = index
        for life, ranks in first.items():
            latest = -1
            for rank in sorted(ranks):
                if rank < 1e9:
                    assert last[life][rank] > latest, f"order: {life}.{rank}"
                    latest = max(latest, ranks[rank])


class SimulatedBroker:
    """Stores messages, or not, as the seed says; looks at each publish whether it comes too early."""

    def __init__(self, history: History) -> None:
        self._history = history
        self.faulty = history.chance.random() < 0.6
        self.stored: list[Envelope] = []

    async def publish(self, envelope: Envelope, relay: "RelayProcess") -> None:
        """Publish."""
        history = self._history
        history.broker.look(envelope, relay)
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

    def look(self, envelope: Envelope, relay: "RelayProcess") -> None:
        """Nothing is published before both syncs, unless its owner is taken for dead and it is durable."""
        if envelope.type != "InstanceStored":
            return
        history = self._history
        body = json.loads(envelope.body)
        same = [one for one in history.instances if (one.path, one.size) == (body["path"], body["size"])]
        assert same, "published before it was handed over"
        if any(one.entry.failure is not None for one in same):
            return  # answered with a failure: may be published, its file is whole
        if any(one.entry.durable and one.entry.settled for one in same) or any(one.replaced for one in same):
            return
        life = envelope.lapidicom_id.partition(".")[0]
        assert relay.takes_for_ended(life), "published before both syncs"
        assert history.disk.is_durable(f"{ROOT}/{body['path']}"), "published before its file was durable"


class RelayProcess:
    """A relay; starts again when it was killed."""

    def __init__(self, history: History, parent: str) -> None:
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
            file_system=history.file_system(plan, f"relay of {self._parent}"),
            parent=self._parent,
            takeover=TAKEOVER,
            days=0.0,
        )

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
            self._rig.work(self._history.loop.run_until_complete)

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
        """What it told."""
        return self._rig.events


class Owner:
    """A listener: its journal, without threads, and its associations. A dead one is replaced."""

    def __init__(self, history: History, parent: str) -> None:
        self._history = history
        self._parent = parent
        self._group: GroupCommit | None = None
        self._tasks: list[Iterator[None]] = []
        self.is_busy = False
        self._spool = ROOT / ".lapidicom"

    def die(self) -> None:
        """The process is gone, and whoever waited for an answer gets none."""
        self._group = None
        self._tasks.clear()

    def _start(self) -> None:
        history = self._history
        history.lives += 1
        fs = history.file_system(history.plan(0.8, 500), f"owner of {self._parent}")
        self._fs = fs
        self._incoming = ""

        def make_life() -> Life:
            life = f"{history.chance.getrandbits(128):032x}"
            return Life(fs, self._spool, "receiver-1", life, self._parent, fsync=True)

        self._group = GroupCommit(
            make_life,
            "receiver-1",
            observe=lambda event, /, **fields: history.steps.append(f"{event} {fields}"),
            on_life=lambda _: None,
            segment_limit=history.chance.choice((2000, 5000, 1 << 20)),
        )

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
        """A heartbeat."""
        with self._mortal():
            if self._group is not None:
                self._group.beat()

    @contextlib.contextmanager
    def _mortal(self) -> Iterator[None]:
        if self.is_busy:
            raise AssertionError("a paused process goes on")
        self.is_busy = True
        try:
            yield
        except (OSError, Killed):
            self.die()  # killed, or no journal could be made
        finally:
            self.is_busy = False

    def _association(self, association: str) -> Iterator[None]:
        """Stores some instances, and ends."""
        chance = self._history.chance
        group = self._group
        assert group is not None
        series = chance.randrange(1, 3)
        count = 0
        is_started = False
        for _ in range(chance.randrange(1, 5)):
            number = chance.randrange(1, 9) if chance.random() < 0.2 else chance.randrange(10, 10_000)
            size = chance.randrange(1, 30)
            stored = yield from self._store(group, association, series, number, size, first=not is_started)
            is_started = is_started or stored
            count += stored
        if is_started:
            group.submit(Entry([ended(count, association, series)], ends=[key(association, series)]))

    def _store(
        self, group: GroupCommit, association: str, series: int, number: int, size: int, *, first: bool
    ) -> Generator[None, None, bool]:
        """Store one instance as the receiver does: file, rename, record beside the folder's sync, answer."""
        fs, history = self._fs, self._history
        path = instance_path(number, series)
        folder = posixpath.dirname(path)
        try:
            temporary = f"{self._spool}/incoming/{history.chance.getrandbits(64):x}"
            self._write(temporary, b"d" * size)
            yield
            self._make_folder(folder)
            yield
            fs.rename(temporary, f"{ROOT}/{path}")
        except OSError:
            return False
        for one in history.instances:
            if one.path == path and one.size != size:
                one.replaced = True
        body = instance(number, association, series, size)
        entry = Entry(
            [body], series=key(association, series), starts=started(association, series) if first else None
        )
        message = json.loads(b"{%b}" % body)["message"]
        one = Stored(path, size, association, folder, message, entry)
        history.instances.append(one)
        group.submit(entry)
        yield
        try:
            self._sync(f"{ROOT}/{folder}")
            in_folder = True
        except OSError:
            in_folder = False
        yield
        while entry.failure is None and not entry.durable:
            yield
        group.settle(entry)
        one.answered = in_folder and entry.failure is None
        yield
        return one.answered

    def _write(self, path: str, data: bytes) -> None:
        fd = self._fs.open(path, 0o101, 0o660)  # O_WRONLY | O_CREAT
        try:
            if self._fs.write(fd, data) != len(data):
                raise OSError(errno.ENOSPC, "short write")
            self._fs.fsync(fd)
        finally:
            self._fs.close(fd)

    def _make_folder(self, folder: str) -> None:
        with contextlib.suppress(FileExistsError):
            self._fs.mkdir(f"{ROOT}/{folder}", 0o775)
        self._sync(f"{ROOT}/{posixpath.dirname(folder)}")

    def _sync(self, folder: str) -> None:
        fd = self._fs.open(folder, DIRECTORY)
        try:
            self._fs.fsync(fd)
        finally:
            self._fs.close(fd)


def run_history(seed: int, tell: Callable[[str], object] = print) -> History:
    """Run and check one history; a broken promise is told with its seed and its steps.

    Raises:
        AssertionError: a promise was broken.
    """
    history = History(seed)
    try:
        history.run()
        history.check()
    except BaseException:
        tell(f"history {seed}:\n" + "\n".join(history.steps))
        raise
    return history
