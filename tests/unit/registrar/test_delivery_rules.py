import asyncio
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from lapidicom.common.broker import ConnectionLost, Delivery, Envelope, Header
from lapidicom.common.topology import topology
from lapidicom.registrar.consumer.deliveries import Deliveries
from lapidicom.registrar.consumer.registration import Registration
from lapidicom.registrar.cube.client import Cube
from lapidicom.registrar.cube.outcomes import Outcome, Sight
from lapidicom.registrar.cube.replies import Answer, Fault, NoAnswer, Reply
from lapidicom.registrar.cube.volume import Invisible
from lapidicom.registrar.settings import RegistrarSettings
from tests.support.cube import contract
from tests.support.stored import instance_stored

SETTINGS = RegistrarSettings.model_validate(
    {
        "AMQP_URL": "amqp://h/",
        "CHRIS_URL": "http://h/",
        "CHRIS_USERNAME": "chris",
        "CHRIS_PASSWORD": "p",
        "CHRIS_FILES_ROOT": "/",
        "CHRIS_RETRY_DELAYS": "5,30",
        "CHRIS_PARK_DELAY": "20",
        "CHRIS_HTTP_RETRIES": "2",
    }
)


@dataclass
class Scene:
    """The delivery rules with everything around them played; `steps` tells in which order things happened."""

    reply: Reply | Exception
    well: bool = True
    sight: Sight = Sight.THERE
    lost: bool = False
    steps: list[str] = field(default_factory=list)
    published: list[Envelope] = field(default_factory=list)

    body: bytes = instance_stored().model_dump_json().encode()
    type: str = "InstanceStored"
    version: int = 1
    lapidicom_id: str = "life.1"
    headers: dict[str, Header] = field(default_factory=dict)

    async def register(self, _: bytes) -> Reply:
        self.steps.append("post")
        if isinstance(self.reply, Exception):
            raise self.reply
        return self.reply

    async def ack(self) -> None:
        if self.lost:
            raise ConnectionLost("gone")
        self.steps.append("ack")

    async def _publish(self, envelope: Envelope) -> None:
        self.steps.append(f"publish {envelope.exchange} {envelope.routing_key}")
        self.published.append(envelope)

    async def _is_well(self) -> bool:
        self.steps.append("probe")
        return self.well

    def _look(self, path: str) -> Sight:
        assert path == instance_stored().path
        return self.sight

    def play(self) -> Outcome | None:
        registration = Registration(self._is_well, self._look, Invisible(2))
        delays = topology(SETTINGS.retry_delays, SETTINGS.park_delay)
        deliveries = Deliveries(registration, self._publish, delays, SETTINGS, "r1")
        verdict = asyncio.run(deliveries.handle(cast(Cube, self), cast(Delivery, self)))
        return verdict.outcome if verdict else None


def answer(row: contract.Answer) -> Answer:
    return Answer(row.status, row.content_type.partition(";")[0], row.body.encode())


CREATED = Answer(201, "application/json", b"{}")
FAILED = answer(contract.SERVER_ERROR)
PARK = "publish lapidicom lapidicom.registrations.retry.20s"
BURY = "publish lapidicom.dead-letter lapidicom.registrations"
NOT_FOUND = answer(contract.COULD_NOT_FIND_PATH)


@pytest.mark.parametrize(
    ("scene", "steps"),
    [
        (Scene(CREATED), ["post", "ack"]),
        (Scene(answer(contract.ALREADY_REGISTERED)), ["post", "ack"]),
        (Scene(FAILED), ["post", "probe", "publish lapidicom lapidicom.registrations.retry.5s", "ack"]),
        (Scene(FAILED, well=False), ["post", "probe", PARK, "ack"]),
        (
            Scene(FAILED, headers={"lapidicom-attempts": 1}),
            ["post", "probe", "publish lapidicom lapidicom.registrations.retry.30s", "ack"],
        ),
        (Scene(FAILED, headers={"lapidicom-attempts": 2}), ["post", "probe", BURY, "ack"]),
        (Scene(FAILED, well=False, headers={"lapidicom-attempts": 2}), ["post", "probe", PARK, "ack"]),
        (Scene(NoAnswer(Fault.NO_ANSWER), well=False), ["post", "probe", PARK, "ack"]),
        (Scene(NoAnswer(Fault.NOT_CONNECTED)), ["post", PARK, "ack"]),
        (Scene(NOT_FOUND), ["post", PARK, "ack"]),
        (Scene(NOT_FOUND, sight=Sight.ABSENT), ["post", BURY, "ack"]),
        (Scene(NOT_FOUND, sight=Sight.VOLUME_GONE), ["post", PARK, "ack"]),
        (Scene(answer(contract.FORBIDDEN)), ["post", PARK, "ack"]),
        (Scene(Answer(400, "application/json", b'{"StudyDate":["x"]}')), ["post", BURY, "ack"]),
        (Scene(CREATED, body=b"{"), [BURY, "ack"]),
        (Scene(CREATED, type="Rumour"), [BURY, "ack"]),
        (Scene(CREATED, version=0), [BURY, "ack"]),
        (Scene(CREATED, version=2), [PARK, "ack"]),
        (
            Scene(KeyError("a fault of ours")),
            ["post", "publish lapidicom lapidicom.registrations.retry.5s", "ack"],
        ),
    ],
)
def test_a_delivery_ends_by_ack_behind_its_registration_or_its_onward_publish(
    scene: Scene, steps: list[str]
) -> None:
    scene.play()
    assert scene.steps == steps


def test_a_lost_connection_ends_the_session_and_never_the_message() -> None:
    with pytest.raises(ConnectionLost):
        Scene(CREATED, lost=True).play()


def test_parking_changes_nothing_in_the_message() -> None:
    headers: dict[str, Header] = {"lapidicom-attempts": 1, "lapidicom-reason": "http_500", "traceparent": "t"}
    scene = Scene(FAILED, well=False, headers=headers)
    assert scene.play() is Outcome.OUTAGE
    (envelope,) = scene.published
    assert envelope == Envelope(
        "lapidicom", "lapidicom.registrations.retry.20s", "InstanceStored", 1, "life.1", scene.body, headers
    )


def test_a_dead_letter_tells_what_happened() -> None:
    scene = Scene(FAILED, headers={"lapidicom-attempts": 2, "lapidicom-first-attempt": "t0"})
    scene.play()
    (envelope,) = scene.published
    told: dict[str, Any] = dict(envelope.headers)
    assert told.pop("lapidicom-last-attempt") > "2024"
    assert told == {
        "lapidicom-attempts": 3,
        "lapidicom-first-attempt": "t0",
        "lapidicom-reason": "http_500",
        "lapidicom-http-status": 500,
        "lapidicom-answer": '{"error":"Internal server error"}',
        "lapidicom-registrar": "r1",
    }


def test_a_fault_of_ours_is_retried_and_then_a_dead_letter_with_its_name() -> None:
    scene = Scene(KeyError("DOE^JANE"), headers={"lapidicom-attempts": 2})
    scene.play()
    (envelope,) = scene.published
    assert envelope.headers["lapidicom-reason"] == "internal-error: KeyError"


def test_a_hanging_volume_is_an_outage() -> None:
    scene = Scene(NOT_FOUND, sight=Sight.ABSENT)
    blocked = asyncio.Event()

    async def play() -> Outcome | None:
        async def hang(_: object, __: str) -> Sight:
            await blocked.wait()
            return Sight.THERE

        registration = Registration(scene._is_well, scene._look, Invisible(2), look_seconds=0.01)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("lapidicom.registrar.consumer.registration.asyncio.to_thread", hang)
            result = await registration.register(cast(Cube, scene), "InstanceStored", 1, scene.body)
        return result.verdict.outcome if result.verdict else None

    assert asyncio.run(play()) is Outcome.OUTAGE
