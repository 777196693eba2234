"""A world in which one series comes, settles and is registered, in a time of its own.

Receivers and RabbitMQ are played, the registrars' rules are the product's, and CUBE is the stand-in.
"""

import asyncio
import heapq
import os
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import httpx

from lapidicom.common.broker import Delivery, Envelope, Header
from lapidicom.common.lonk import Outbox
from lapidicom.common.messages import InstanceStored, Message, SeriesReceived, SeriesSettling
from lapidicom.common.open_series import markers_folder
from lapidicom.common.topology import DEAD_LETTER_EXCHANGE, WORK_QUEUE, delay_queue, topology
from lapidicom.registrar.consumer.breaker import Breaker
from lapidicom.registrar.consumer.circuit import Circuit
from lapidicom.registrar.consumer.deliveries import Deliveries
from lapidicom.registrar.consumer.progress import BehindInstances
from lapidicom.registrar.consumer.registration import Registration
from lapidicom.registrar.cube.client import Cube
from lapidicom.registrar.cube.generation import Generation
from lapidicom.registrar.cube.http import HttpClient
from lapidicom.registrar.cube.outcomes import Sight
from lapidicom.registrar.cube.probe import hindrance, trouble_of, trouble_with_series
from lapidicom.registrar.cube.series_outcomes import SeriesKey
from lapidicom.registrar.cube.token import TokenAuth
from lapidicom.registrar.readiness import Readiness
from lapidicom.registrar.series.folder import look
from lapidicom.registrar.series.gateway import SeriesGateway
from lapidicom.registrar.series.registration import SeriesRegistration
from lapidicom.registrar.series.settling import Look, SeriesPatience
from lapidicom.registrar.series.settling_messages import SettlingMessages, settling_of
from lapidicom.registrar.settings import RegistrarSettings
from tests.support.cube.accounts import USERS
from tests.support.cube.app import StandInCube
from tests.support.cube.request import API
from tests.support.cube.series import SeriesDatabase

START = 1_700_000_000.0
SETTLE = 10.0
FOLDER = "SERVICES/PACS/CT/1-A-/MR-a-20240102/00001-T1-0123abc"
UID = "1.2.3.4"

SETTINGS = RegistrarSettings.model_validate(
    {
        "AMQP_URL": "amqp://h/",
        "CHRIS_URL": f"http://localhost{API}",
        "CHRIS_USERNAME": "chris",
        "CHRIS_PASSWORD": USERS["chris"],
        "CHRIS_FILES_ROOT": "/",
    }
)
TOPOLOGY = topology(SETTINGS.retry_delays, SETTINGS.park_delay)
_DELAYS = {delay_queue(delay): delay for delay in TOPOLOGY.delays}


class KilledError(BaseException):
    """A registrar is killed here."""


@dataclass
class _Delivery:
    """A message in a registrar's hands."""

    world: "SeriesWorld"
    envelope: Envelope
    acknowledged: bool = False

    @property
    def type(self) -> str:
        return self.envelope.type

    @property
    def version(self) -> int:
        return self.envelope.version

    @property
    def body(self) -> bytes:
        return self.envelope.body

    @property
    def headers(self) -> dict[str, Header]:
        return dict(self.envelope.headers)

    @property
    def lapidicom_id(self) -> str:
        return self.envelope.lapidicom_id

    async def ack(self) -> None:
        self.world.step()
        self.acknowledged = True


@dataclass
class SeriesWorld:
    """The world.

    Args:
        root: an empty folder: CUBE's storage root.
        kills: steps (publishes and acks, counted from 1) at which the registrar is killed.
        registrars: how many take turns.
        generation: of CUBE at the start.

    Attributes:
        now: seconds since the epoch.
        dead: the dead letters.
        kept: all that was ever published, with its time.
        outbox: of LONK, emptied by nobody.
    """

    root: Path
    kills: frozenset[int] = frozenset()
    registrars: int = 1
    generation: int = 6
    now: float = START
    dead: list[Envelope] = field(default_factory=list)
    kept: list[tuple[float, Envelope]] = field(default_factory=list)
    outbox: Outbox = field(default_factory=Outbox)
    missing: float = 3600.0
    files_at_end: int = 0

    def __post_init__(self) -> None:
        self.cube = self.new_cube(self.generation)
        self._events: list[tuple[float, int, Callable[[], Coroutine[Any, Any, None]]]] = []
        self._order = 0
        self._changes = 0
        self._steps = 0
        self._turn = 0
        self._deliveries: list[Deliveries] = []
        self._client: Cube | None = None
        self.under = Generation.PER_FILE if self.generation == 5 else Generation.PER_SERIES
        (self.root / FOLDER).parent.mkdir(parents=True, exist_ok=True)
        (self.root / ".lapidicom").mkdir(exist_ok=True)

    def new_cube(self, generation: int) -> StandInCube:
        """A CUBE that has registered nothing, over the same storage."""
        return StandInCube(self.root, generation=generation, second=0.0)

    # Receivers

    def at(self, seconds: float, act: Callable[[], None]) -> None:
        """Do something so many seconds after the start."""

        async def acting() -> None:
            act()

        self._schedule(START + seconds, acting)

    def open(self, association: str) -> None:
        """An association is about to have its first success."""
        folder = self._markers()
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"life.{association}").touch()
        self._touch(folder)

    def close(self, association: str) -> None:
        """The end record of an association is durable."""
        (self._markers() / f"life.{association}").unlink()
        self._touch(self._markers())

    def store(self, number: int) -> InstanceStored:
        """An instance gets its final name, or is there already."""
        path = self.root / FOLDER / f"{number:04}-1.2.{number}.dcm"
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(b"DICM")
            self._touch(path.parent)
        return InstanceStored(
            **_TAGS,
            path=f"{FOLDER}/{path.name}",
            SOPClassUID="1.2",
            SOPInstanceUID=f"1.2.{number}",
            TransferSyntaxUID="1.2.840.10008.1.2.1",
            size=4,
            received_at=datetime.fromtimestamp(self.now, UTC),
        )

    def remove(self, number: int) -> None:
        """Somebody removes a file."""
        (self.root / FOLDER / f"{number:04}-1.2.{number}.dcm").unlink()
        self._touch(self.root / FOLDER)

    def received(self, *, files: bool = True) -> SeriesReceived:
        """The message of an association that ends now."""
        return SeriesReceived(
            **_TAGS,
            folder=FOLDER,
            received=1,
            refused=0,
            ok=True,
            ended_at=datetime.fromtimestamp(self.now, UTC),
            files=self.on_disk() if files else None,
        )

    def settling(self, message: InstanceStored) -> SeriesSettling:
        """The message with which the series of an instance begins to settle."""
        return settling_of(message, {})

    def publish(self, message: Message, lag: float = 0.0, headers: dict[str, Header] | None = None) -> None:
        """A message reaches the work queue, in a while."""
        self._order += 1
        body = message.model_dump_json().encode()
        envelope = Envelope(
            "lapidicom", WORK_QUEUE, message.TYPE, message.VERSION, f"life.{self._order}", body, headers or {}
        )
        self._enqueue(envelope, self.now + lag)

    def on_disk(self) -> int:
        """How many instances the folder holds."""
        return len(list((self.root / FOLDER).glob("*.dcm")))

    # CUBE

    @property
    def created(self) -> int:
        """How many registrations were answered 201."""
        return self.cube.answers[f"POST {API}pacs/series/ 201"]

    @property
    def database_created(self) -> int:
        """How often CUBE has made the series, whatever it answered."""
        return sum(cast(Any, self.cube.registrations).created.values())

    @property
    def posts(self) -> int:
        """How many registrations came; the probe's, without fields, too."""
        return sum(n for name, n in self.cube.answers.items() if name.startswith(f"POST {API}pacs/series/"))

    def registered(self) -> int | None:
        """How many files CUBE v6 knows of the series; None if it does not know the series."""
        database = self.cube.registrations
        if not isinstance(database, SeriesDatabase) or database.find(("CT", UID)) is None:
            return None
        return len(database.files)

    @property
    def reasons(self) -> list[str]:
        """Why there are dead letters."""
        return [str(letter.headers["lapidicom-reason"]) for letter in self.dead]

    # Registrars and RabbitMQ

    def run(self, hours: float = 48.0) -> None:
        """Let time pass until nothing is left to happen.

        Raises:
            AssertionError: something still waits after so long.
        """
        asyncio.run(self._run(START + hours * 3600))

    def step(self) -> None:
        """A place at which a registrar may be killed."""
        self._steps += 1
        if self._steps in self.kills:
            raise KilledError

    async def _run(self, end: float) -> None:
        async with AsyncExitStack() as stack:
            transport = httpx.ASGITransport(cast(Any, self._serve))
            http = await stack.enter_async_context(HttpClient(transport, connect_seconds=5, seconds=60))
            url = SETTINGS.cube_url
            self._client = Cube(http, url, TokenAuth(url, "chris", USERS["chris"]))
            self._deliveries = [self._registrar() for _ in range(self.registrars)]
            while self._events:
                when, _, act = heapq.heappop(self._events)
                assert when < end, f"still waits: {self.kept[-3:]}"
                self.now = max(self.now, when)
                await act()

    async def _serve(self, scope: Any, receive: Any, send: Any) -> None:
        await self.cube(scope, receive, send)

    def _registrar(self) -> Deliveries:
        client = cast(Cube, self._client)

        async def look_at(series: SeriesKey) -> Look:
            return look(self.root, self.root / ".lapidicom", series.pacs_name, series.uid, series.folder)

        async def look_at_file(path: str) -> Sight:
            return Sight.THERE if (self.root / path).exists() else Sight.ABSENT

        async def of_files() -> str | None:
            return await trouble_of(client)

        async def of_series() -> str | None:
            return await trouble_with_series(client)

        registration = (
            Registration(of_files, look_at_file, BehindInstances(look_at, of_files, SETTINGS.http_retries))
            if self.under is Generation.PER_FILE
            else SeriesRegistration(
                SeriesGateway(of_series, look_at, lambda: self.now),
                look_at,
                look_at_file,
                SettlingMessages(self._onward, lambda: self.now),
                TOPOLOGY.delays,
                lambda _: SeriesPatience(SETTLE, 600.0, self.missing),
                lambda: self.now,
            )
        )
        circuit = Circuit(client, Breaker(), shared=0, clock=lambda: self.now)
        return Deliveries(
            registration, circuit, self._onward, TOPOLOGY, SETTINGS, Readiness(), "r", outbox=self.outbox
        )

    async def _onward(self, envelope: Envelope) -> None:
        self.step()
        if envelope.exchange == DEAD_LETTER_EXCHANGE:
            self.dead.append(envelope)
        else:
            self._enqueue(envelope, self.now + _DELAYS.get(envelope.routing_key, 0.0))
        self.step()

    def _enqueue(self, envelope: Envelope, when: float) -> None:
        self.kept.append((when, envelope))
        delivery = _Delivery(self, envelope)

        async def deliver() -> None:
            turn = self._turn = (self._turn + 1) % self.registrars
            try:
                client = cast(Cube, self._client)
                verdict = await self._deliveries[turn].handle(client, cast(Delivery, delivery))
                if verdict is not None and verdict.outcome.value == "outage":
                    await self._ask_again()
            except KilledError:
                self._deliveries[turn] = self._registrar()
                if not delivery.acknowledged:
                    self._schedule(self.now + 0.5, deliver)

        self._schedule(when, deliver)

    async def _ask_again(self) -> None:
        """What registrars do in an outage: ask which CUBE it is, and go on when it is well."""
        self.under, reason = await hindrance(cast(Cube, self._client), "auto")
        if reason is None:
            self._deliveries = [self._registrar() for _ in range(self.registrars)]

    def _schedule(self, when: float, act: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._order += 1
        heapq.heappush(self._events, (when, self._order, act))

    def _markers(self) -> Path:
        return self.root / ".lapidicom" / markers_folder("CT", UID)

    def _touch(self, folder: Path) -> None:
        """Give a folder a time of its own: the changes of hours happen within a tick of the real clock."""
        self._changes += 1
        os.utime(folder, ns=(0, int(START * 1e9) + self._changes))


_TAGS: dict[str, Any] = {
    "pacs_name": "CT",
    "StudyInstanceUID": "1.2.3",
    "SeriesInstanceUID": UID,
    "PatientID": "1",
    "StudyDate": "20240102",
    "PatientName": "A",
    "association_id": "a",
    "calling_ae_title": "CT",
    "called_ae_title": "ChRIS",
    "peer_address": "127.0.0.1:1",
    "receiver": "r",
}
