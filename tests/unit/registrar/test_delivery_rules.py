import asyncio
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from lapidicom.common.broker import ConnectionLost, Delivery, Envelope, Header
from lapidicom.common.topology import topology
from lapidicom.registrar.consumer.breaker import Breaker
from lapidicom.registrar.consumer.circuit import Circuit
from lapidicom.registrar.consumer.deliveries import Deliveries
from lapidicom.registrar.consumer.headers import iso
from lapidicom.registrar.consumer.progress import BehindInstances
from lapidicom.registrar.consumer.registration import Registration
from lapidicom.registrar.cube.client import Cube
from lapidicom.registrar.cube.outcomes import Outcome, Sight, Verdict
from lapidicom.registrar.cube.replies import Answer, Fault, NoAnswer, Reply
from lapidicom.registrar.cube.series_outcomes import SeriesKey
from lapidicom.registrar.readiness import Readiness
from lapidicom.registrar.series.settling import Look
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
NOW = 1_000_000.0
HOUR = 3600


@dataclass
class Scene:
    """The delivery rules with everything around them played; `steps` shows in which order things happened.

    Attributes:
        replies: of CUBE, in turn; the last one for ever.
        trouble: why CUBE is not well.
        sight: what is seen of the file.
        lost: the connection that consumes has ended.
        window: of the breaker: 0 blames the message at once.
    """

    replies: Reply | Exception | list[Reply]
    trouble: str | None = None
    sight: Sight = Sight.THERE
    lost: bool = False
    window: float = 0.0
    steps: list[str] = field(default_factory=list)
    published: list[Envelope] = field(default_factory=list)

    body: bytes = instance_stored().model_dump_json().encode()
    type: str = "InstanceStored"
    version: int = 1
    lapidicom_id: str = "life.1"
    headers: dict[str, Header] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.readiness = Readiness()
        self.circuit = Circuit(cast(Cube, self), Breaker(self.window), clock=lambda: NOW)

    async def register(self, _: bytes) -> Reply:
        self.steps.append("post")
        if isinstance(self.replies, Exception):
            raise self.replies
        if not isinstance(self.replies, list):
            return self.replies
        return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]

    async def ack(self) -> None:
        if self.lost:
            raise ConnectionLost("gone")
        self.steps.append("ack")

    async def _publish(self, envelope: Envelope) -> None:
        self.steps.append(f"publish {envelope.exchange} {envelope.routing_key}")
        self.published.append(envelope)

    async def _trouble(self) -> str | None:
        self.steps.append("probe")
        return self.trouble

    async def _look(self, path: str) -> Sight:
        assert path == instance_stored().path
        self.steps.append("look")
        return self.sight

    async def _look_at(self, _: SeriesKey) -> Look:
        raise AssertionError("only for messages about a series")

    def play(self) -> Verdict | None:
        behind = BehindInstances(self._look_at, self._trouble, SETTINGS.http_retries)
        registration = Registration(self._trouble, self._look, behind)
        delays = topology(SETTINGS.retry_delays, SETTINGS.park_delay)
        deliveries = Deliveries(
            registration, self.circuit, self._publish, delays, SETTINGS, self.readiness, "r1"
        )
        return asyncio.run(deliveries.handle(cast(Cube, self), cast(Delivery, self)))

    def outcome(self) -> Outcome | None:
        verdict = self.play()
        return verdict.outcome if verdict else None


def answer(row: contract.Answer) -> Answer:
    return Answer(row.status, row.content_type.partition(";")[0], row.body.encode())


def waiting(reason: str, seconds: float, refusals: int = 0) -> dict[str, Header]:
    """The headers of a message that has been waiting for so long."""
    told: dict[str, Header] = {
        "lapidicom-waiting-for": reason,
        "lapidicom-waiting-since": iso(NOW - seconds),
    }
    return told | ({"lapidicom-refusals": refusals} if refusals else {})


AWAY = "CUBE's database is down"
CREATED = Answer(201, "application/json", f'{{"fname":"{instance_stored().path}"}}'.encode())
KNOWN = answer(contract.ALREADY_REGISTERED)
FAILED = answer(contract.SERVER_ERROR)
PARK = "publish lapidicom lapidicom.registrations.retry.20s"
BURY = "publish lapidicom.dead-letter lapidicom.registrations"
RETRY = "publish lapidicom lapidicom.registrations.retry.5s"
SECOND_RETRY = "publish lapidicom lapidicom.registrations.retry.30s"
NOT_FOUND = answer(contract.COULD_NOT_FIND_PATH)
NEW_PACS = answer(contract.PACS_ALREADY_EXISTS)
REFUSED = Answer(400, "application/json", b'{"StudyDate":["x"]}')
BLOCKED = Answer(403, "text/html", b"<html>Blocked</html>")
PAGE = Answer(200, "text/html", b"<html>Log in</html>")
AFTER_500 = ["post", "probe", "look", "post", "probe", "look"]


@pytest.mark.parametrize(
    ("scene", "steps"),
    [
        (Scene(CREATED), ["post", "ack"]),
        (Scene(KNOWN), ["post", "ack"]),
        # An attempt is spent only by a CUBE that is well, for a file that is there.
        (Scene(FAILED), [*AFTER_500, RETRY, "ack"]),
        (Scene([FAILED, KNOWN]), ["post", "probe", "look", "post", "ack"]),
        (Scene(FAILED, trouble=AWAY), ["post", "probe", PARK, "ack"]),
        (Scene(FAILED, sight=Sight.VOLUME_GONE), ["post", "probe", "look", PARK, "ack"]),
        (Scene(FAILED, sight=Sight.ABSENT), ["post", "probe", "look", PARK, "ack"]),
        (Scene(FAILED, headers={"lapidicom-attempts": 1}), [*AFTER_500, SECOND_RETRY, "ack"]),
        (Scene(FAILED, headers={"lapidicom-attempts": 2}), [*AFTER_500, BURY, "ack"]),
        (Scene(FAILED, trouble=AWAY, headers={"lapidicom-attempts": 2}), ["post", "probe", PARK, "ack"]),
        (Scene(NoAnswer(Fault.NO_ANSWER)), ["post", "probe", "look", RETRY, "ack"]),
        (Scene(NoAnswer(Fault.NO_ANSWER), trouble=AWAY), ["post", "probe", PARK, "ack"]),
        (Scene(NoAnswer(Fault.NOT_CONNECTED)), ["post", PARK, "ack"]),
        (Scene(PAGE, trouble=AWAY), ["post", "probe", PARK, "ack"]),
        (Scene(PAGE), ["post", "probe", "look", RETRY, "ack"]),
        # Several create one PACS.
        (Scene([NEW_PACS, CREATED]), ["post", "post", "ack"]),
        (Scene([NEW_PACS] * 3 + [CREATED]), ["post"] * 4 + ["ack"]),
        (Scene(NEW_PACS), ["post"] * 4 + [RETRY, "ack"]),
        (Scene([NEW_PACS, FAILED, KNOWN]), ["post", "post", "probe", "look", "post", "ack"]),
        # Where is the file?
        (Scene(NOT_FOUND), ["post", "look", PARK, "ack"]),
        (Scene(NOT_FOUND, headers=waiting("not_yet_visible", HOUR - 1)), ["post", "look", PARK, "ack"]),
        (Scene(NOT_FOUND, headers=waiting("not_yet_visible", HOUR)), ["post", "look", BURY, "ack"]),
        (Scene(NOT_FOUND, sight=Sight.ABSENT), ["post", "look", BURY, "ack"]),
        (Scene(NOT_FOUND, sight=Sight.VOLUME_GONE), ["post", "look", PARK, "ack"]),
        # Refused on the way
        (Scene(BLOCKED), ["post", "probe", PARK, "ack"]),
        (Scene(BLOCKED, trouble=AWAY), ["post", "probe", PARK, "ack"]),
        # Whose fault is it?
        (Scene(REFUSED), ["post", BURY, "ack"]),
        (Scene(REFUSED, window=60), ["post", PARK, "ack"]),
        (Scene(FAILED, window=60, headers={"lapidicom-attempts": 2}), [*AFTER_500, PARK, "ack"]),
        # Not to be read
        (Scene(CREATED, body=b"{", window=60), [BURY, "ack"]),
        (Scene(CREATED, type="Rumour"), [PARK, "ack"]),
        (Scene(CREATED, version=0), [PARK, "ack"]),
        (Scene(CREATED, version=2), [PARK, "ack"]),
        (Scene(KeyError("a fault of ours")), ["post", RETRY, "ack"]),
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


def test_an_outage_changes_nothing_in_the_message() -> None:
    headers: dict[str, Header] = {
        "lapidicom-attempts": 1,
        "lapidicom-reason": "http_500",
        "traceparent": "t",
        **waiting("http_403", 100, refusals=1),
    }
    scene = Scene(FAILED, trouble=AWAY, headers=headers)
    assert scene.outcome() is Outcome.OUTAGE
    (envelope,) = scene.published
    assert envelope == Envelope(
        "lapidicom", "lapidicom.registrations.retry.20s", "InstanceStored", 1, "life.1", scene.body, headers
    )


@pytest.mark.parametrize(("kind", "version"), [("InstanceStored", 2), ("SeriesMoved", 1)])
def test_a_message_of_an_unknown_format_is_left_whole_and_shown_as_degraded(kind: str, version: int) -> None:
    headers: dict[str, Header] = {"lapidicom-attempts": 1, "later": "x"}
    scene = Scene(CREATED, type=kind, version=version, body=b"\xff\x00", headers=headers)
    assert scene.outcome() is Outcome.UNKNOWN_FORMAT
    (envelope,) = scene.published
    assert (envelope.type, envelope.version, envelope.body, envelope.headers) == (
        kind,
        version,
        b"\xff\x00",
        headers,
    )
    (degraded,) = scene.readiness.degraded()
    assert f"{kind} version {version}" in degraded


def test_an_attempt_that_is_not_spent_leaves_the_count_alone_and_notes_why_the_message_waits() -> None:
    scene = Scene(BLOCKED, headers={"lapidicom-attempts": 1})
    scene.play()
    (envelope,) = scene.published
    assert envelope.headers == {
        "lapidicom-attempts": 1,
        "lapidicom-waiting-for": "http_403",
        "lapidicom-waiting-since": iso(NOW),
        "lapidicom-refusals": 1,
    }


def test_refusals_on_the_way_with_successes_of_others_between_them_end_as_a_dead_letter() -> None:
    scene = Scene(BLOCKED, headers=waiting("http_403", 30, refusals=1))
    scene.circuit.succeeded()
    scene.play()
    (envelope,) = scene.published
    assert envelope.exchange == "lapidicom.dead-letter"
    assert envelope.headers["lapidicom-reason"] == "refused-on-the-way: http_403"
    assert envelope.headers["lapidicom-answer"] == "<html>Blocked</html>"
    assert not [name for name in envelope.headers if "waiting" in name or "refusals" in name]


def test_a_dead_letter_bears_what_happened() -> None:
    scene = Scene(FAILED, headers={"lapidicom-attempts": 2, "lapidicom-first-attempt": "t0"})
    scene.play()
    (envelope,) = scene.published
    told: dict[str, Any] = dict(envelope.headers)
    assert told.pop("lapidicom-last-attempt") == iso(NOW)
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


def test_messages_that_all_fail_alike_are_an_outage_that_names_the_reason() -> None:
    scene = Scene(REFUSED, window=60)
    outcomes = []
    for number in range(11):
        message = instance_stored(number, PatientID=f"p{number}", SeriesInstanceUID=f"1.2.{number}")
        scene.body = message.model_dump_json().encode()
        verdict = scene.play()
        assert verdict is not None
        outcomes.append(verdict.outcome)
    assert outcomes == [Outcome.PERMANENT] * 9 + [Outcome.OUTAGE] * 2
    assert verdict.reason == "refused: StudyDate"
    assert {envelope.exchange for envelope in scene.published} == {"lapidicom"}
    scene.readiness.cube = None
    assert "no registration succeeds: refused: StudyDate" not in scene.readiness.reasons()
    scene.readiness.open_for = lambda: scene.circuit.open_for
    assert "no registration succeeds: refused: StudyDate" in scene.readiness.reasons()


def test_a_registration_that_cube_still_takes_shows_that_the_message_is_at_fault() -> None:
    scene = Scene([CREATED, REFUSED, KNOWN], window=60)
    scene.play()
    scene.steps.clear()
    scene.play()
    assert scene.steps == ["post", "post", BURY, "ack"]


def test_a_registration_that_cube_takes_no_more_leaves_it_open_whose_fault_it_is() -> None:
    scene = Scene([CREATED, NOT_FOUND, NOT_FOUND], sight=Sight.ABSENT, window=60)
    scene.play()
    scene.steps.clear()
    scene.play()
    assert scene.steps == ["post", "look", "post", PARK, "ack"]
