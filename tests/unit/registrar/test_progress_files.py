"""Progress files: what is registered for a message about a series, and that the last one comes last."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from lapidicom.common.broker import Delivery, Envelope, Header
from lapidicom.common.headers import HEADER_PROGRESS_SPACE
from lapidicom.common.messages import SeriesReceived, SeriesStarted
from lapidicom.common.progress import DEFAULT_SPACE
from lapidicom.common.topology import topology
from lapidicom.registrar.consumer.breaker import Breaker
from lapidicom.registrar.consumer.circuit import Circuit
from lapidicom.registrar.consumer.deliveries import Deliveries
from lapidicom.registrar.consumer.headers import History, Waiting, while_waiting
from lapidicom.registrar.consumer.progress import INSTANCES_MISSING, BehindInstances
from lapidicom.registrar.consumer.registration import Registration
from lapidicom.registrar.consumer.result import Result
from lapidicom.registrar.consumer.retry import Patience, WaitBehind, next_step
from lapidicom.registrar.cube.client import Cube
from lapidicom.registrar.cube.outcomes import Outcome, Sight, Verdict
from lapidicom.registrar.cube.replies import Answer, Fault, NoAnswer, Reply
from lapidicom.registrar.cube.series_outcomes import SeriesKey
from lapidicom.registrar.readiness import Readiness
from lapidicom.registrar.series.settling import Look
from lapidicom.registrar.settings import RegistrarSettings
from tests.support.stored import instance_stored

FOLDER = "SERVICES/PACS/ORTHANC/p-DOE_JANE-/MR-a-20240102/00001-T1-0123abc"
RETRIES = 3
SETTINGS = RegistrarSettings.model_validate(
    {
        "AMQP_URL": "amqp://h/",
        "CHRIS_URL": "http://h/",
        "CHRIS_USERNAME": "chris",
        "CHRIS_PASSWORD": "p",
        "CHRIS_FILES_ROOT": "/",
        "CHRIS_RETRY_DELAYS": "5",
        "CHRIS_PARK_DELAY": "20",
    }
)
_OF_INSTANCE = instance_stored().model_dump()
STARTED = SeriesStarted(**_OF_INSTANCE, folder=FOLDER, NumberOfSeriesRelatedInstances=192)
RECEIVED = SeriesReceived(
    **_OF_INSTANCE, folder=FOLDER, received=190, refused=2, ok=True, ended_at=datetime(2024, 1, 2, tzinfo=UTC)
)
SPACE: Mapping[str, Header] = {HEADER_PROGRESS_SPACE: DEFAULT_SPACE}
STORED = f"SERVICES/PACS/{DEFAULT_SPACE}/{FOLDER}/a1"


@dataclass
class Scene:
    """A registration with everything around it played.

    Attributes:
        message: about the series.
        headers: of its delivery.
        in_cube: files of the series that CUBE has; or what it answers.
        on_volume: files of the series on our mount; None: it does not answer.
        trouble: why CUBE is not well.
    """

    message: SeriesStarted | SeriesReceived
    headers: Mapping[str, Header] = field(default_factory=lambda: dict(SPACE))
    in_cube: int | Reply = 190
    on_volume: int | None = 190
    trouble: str | None = None
    sent: list[dict[str, Any]] = field(default_factory=list)
    searched: list[Mapping[str, str]] = field(default_factory=list)
    version: int = 1
    lapidicom_id: str = "life.1"
    acknowledged: int = 0
    published: list[Envelope] = field(default_factory=list)

    async def ack(self) -> None:
        self.acknowledged += 1

    async def _publish(self, envelope: Envelope) -> None:
        self.published.append(envelope)

    @property
    def type(self) -> str:
        return self.message.TYPE

    @property
    def body(self) -> bytes:
        return self.message.model_dump_json().encode()

    async def register(self, body: bytes) -> Reply:
        self.sent.append(json.loads(body))
        return Answer(201, "application/json", json.dumps({"fname": self.sent[-1]["path"]}).encode())

    async def search(self, parameters: Mapping[str, str]) -> Reply:
        self.searched.append(parameters)
        if isinstance(self.in_cube, int):
            return Answer(200, "application/json", b'{"count":%d,"results":[]}' % self.in_cube)
        return self.in_cube

    async def _look_at(self, series: SeriesKey) -> Look:
        assert series.folder == FOLDER
        if self.on_volume is None:
            raise OSError
        return Look(self.on_volume, touched=0)

    async def _look(self, _: str) -> Sight:
        return Sight.THERE

    async def _trouble(self) -> str | None:
        return self.trouble

    @property
    def registration(self) -> Registration:
        behind = BehindInstances(self._look_at, self._trouble, RETRIES)
        return Registration(self._trouble, self._look, behind)

    def play(self) -> Result:
        return asyncio.run(self.registration.register(cast(Cube, self), cast(Delivery, self)))

    def deliver(self, circuit: Circuit) -> None:
        """Take the delivery to its end."""
        delays = topology((5,), 20)
        deliveries = Deliveries(
            self.registration, circuit, self._publish, delays, SETTINGS, Readiness(), "registrar-0"
        )
        asyncio.run(deliveries.handle(cast(Cube, self), cast(Delivery, self)))


def waited(times: int) -> Mapping[str, Header]:
    return {**SPACE, **while_waiting({}, Waiting(INSTANCES_MISSING, 1.0, times))}


@pytest.mark.parametrize(
    ("message", "key", "value"),
    [
        (STARTED, "NumberOfSeriesRelatedInstances", "192"),
        (
            STARTED.model_copy(update={"NumberOfSeriesRelatedInstances": None}),
            "NumberOfSeriesRelatedInstances",
            "unknown",
        ),
        (RECEIVED, "OxidicomAttemptedPushCount", "190"),
    ],
)
def test_the_file_is_registered_as_oxidicom_does(
    message: SeriesStarted | SeriesReceived, key: str, value: str
) -> None:
    scene = Scene(message)
    result = scene.play()
    assert result.verdict == Verdict(Outcome.REGISTERED, "http_201", 201)
    assert scene.sent == [
        {
            "path": f"{STORED}/{key}={value}",
            "pacs_name": DEFAULT_SPACE,
            "PatientID": "p",
            "StudyDate": "20240102",
            "StudyInstanceUID": "1.2.3",
            "SeriesInstanceUID": "1.2.3.4",
            "ProtocolName": key,
            "SeriesDescription": value,
        }
    ]


@pytest.mark.parametrize("message", [STARTED, RECEIVED])
@pytest.mark.parametrize("headers", [{}, {HEADER_PROGRESS_SPACE: ".."}, {HEADER_PROGRESS_SPACE: 7}])
def test_a_message_without_a_file_leads_to_no_registration(
    message: SeriesStarted | SeriesReceived, headers: Mapping[str, Header]
) -> None:
    scene = Scene(message, headers)
    assert scene.play() == Result(None, message)
    assert scene.sent == scene.searched == []


def test_the_end_waits_until_cube_has_what_is_on_the_volume() -> None:
    scene = Scene(RECEIVED, in_cube=189)
    result = scene.play()
    assert result.verdict == Verdict(Outcome.BEHIND_OTHERS, INSTANCES_MISSING)
    assert scene.sent == []
    assert scene.searched == [{"fname": f"{FOLDER}/", "limit": "1", "offset": "2000000000"}]


def test_the_beginning_waits_for_nothing() -> None:
    scene = Scene(STARTED, in_cube=0)
    assert scene.play().verdict == Verdict(Outcome.REGISTERED, "http_201", 201)


@pytest.mark.parametrize(("times", "is_registered"), [(0, False), (2, False), (3, True), (9, True)])
def test_it_waits_as_often_as_an_instance_is_retried(times: int, is_registered: bool) -> None:
    scene = Scene(RECEIVED, waited(times), in_cube=0)
    result = scene.play()
    assert result.verdict is not None
    assert (result.verdict.outcome is Outcome.REGISTERED) is is_registered


@pytest.mark.parametrize(
    ("scene", "outcome"),
    [
        (Scene(RECEIVED, in_cube=NoAnswer(Fault.NOT_CONNECTED), trouble="away"), Outcome.OUTAGE),
        (Scene(RECEIVED, in_cube=NoAnswer(Fault.NO_ANSWER), trouble="away"), Outcome.OUTAGE),
        (Scene(RECEIVED, in_cube=NoAnswer(Fault.NO_ANSWER)), Outcome.BEHIND_OTHERS),
        (Scene(RECEIVED, on_volume=None), Outcome.HELD_UP),
    ],
)
def test_an_outage_is_no_wait(scene: Scene, outcome: Outcome) -> None:
    result = scene.play()
    assert result.verdict is not None
    assert result.verdict.outcome is outcome
    assert scene.sent == []


def test_each_wait_is_as_long_as_before_a_retry_and_counted() -> None:
    patience = Patience(3, (5, 30, 120), lambda _: 5)
    verdict = Verdict(Outcome.BEHIND_OTHERS, INSTANCES_MISSING)
    waiting = None
    for times, delay in enumerate((5, 30, 120, 120), 1):
        step = next_step(verdict, History(waiting=waiting), patience, 1000.0 + times, lambda _: False)
        assert step == WaitBehind(Waiting(INSTANCES_MISSING, 1001.0, times), delay)
        waiting = step.waiting


@pytest.mark.parametrize("message", [STARTED, RECEIVED])
def test_a_success_proves_nothing_about_instances(message: SeriesStarted | SeriesReceived) -> None:
    scene = Scene(message)
    circuit = Circuit(cast(Cube, scene), Breaker())
    scene.deliver(circuit)
    assert scene.acknowledged == 1
    assert len(scene.sent) == 1
    assert not circuit.succeeded_since(0)


@pytest.mark.parametrize(("fault", "key", "waits"), [(None, "5s", 1), ("refused: Modality", "20s", None)])
def test_a_wait_does_not_count_while_the_system_is_at_fault(
    fault: str | None, key: str, waits: int | None
) -> None:
    scene, breaker = Scene(RECEIVED, in_cube=0), Breaker()
    breaker.open_for = fault
    scene.deliver(Circuit(cast(Cube, scene), breaker))
    [envelope] = scene.published
    assert envelope.routing_key == f"lapidicom.registrations.retry.{key}"
    assert envelope.headers.get("lapidicom-refusals") == waits
    assert envelope.headers[HEADER_PROGRESS_SPACE] == DEFAULT_SPACE


def test_a_file_that_cube_refuses_is_counted_by_the_breaker_as_an_instance_is() -> None:
    failure = Result(Verdict(Outcome.PERMANENT, "refused: path"), RECEIVED, path=f"{STORED}/x=1").failure()
    assert failure is not None
    assert (failure.path, failure.series) == (f"{STORED}/x=1", "1.2.3.4")
    assert Result(Verdict(Outcome.INVALID, "undecodable"), RECEIVED).failure() is None
