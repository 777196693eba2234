"""Dead letters as a registrar publishes them."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from lapidicom.common.broker import Envelope, Header
from lapidicom.common.messages import InstanceStored, SeriesSettling
from lapidicom.common.topology import DEAD_LETTER_EXCHANGE, WORK_QUEUE, topology
from lapidicom.registrar.consumer.headers import after_attempt
from lapidicom.registrar.cube.outcomes import Outcome, Verdict
from tests.support.queues import publish
from tests.support.stored import instance_stored

LIFE = "0b3f62c19f3e4d6a8f5b2c7d1e9a4b60"
"""The life of the journal from which they came."""


def dead_letter(
    number: int = 1,
    reason: str = "refused: StudyDate",
    status: int | None = 400,
    answer: str = '{"StudyDate":["Date has wrong format. Use one of these formats instead: YYYY-MM-DD."]}',
    *,
    attempts: int = 1,
    died: datetime | None = None,
    life: str = LIFE,
    headers: dict[str, Header] | None = None,
    body: bytes | None = None,
    message: InstanceStored | SeriesSettling | None = None,
    **changes: Any,
) -> Envelope:
    """A message that a registrar gave up.

    Args:
        number: sequence number of its record, and of its instance.
        reason: why.
        status: of CUBE's answer; None for none.
        answer: of CUBE's.
        attempts: spent.
        died: when it was given up; by default a minute ago.
        life: of the journal's.
        headers: those that it had before, such as a replay's.
        body: in place of a message.
        message: in place of a message with `changes`.
        changes: of the message's fields.
    """
    when = (died or datetime.now(UTC) - timedelta(minutes=1)).isoformat(timespec="milliseconds")
    verdict = Verdict(Outcome.PERMANENT, reason, status, answer)
    told = after_attempt(headers or {}, verdict, attempts, when, "registrar-0.1")
    sent = message or instance_stored(number, **changes)
    return Envelope(
        DEAD_LETTER_EXCHANGE,
        WORK_QUEUE,
        sent.TYPE,
        sent.VERSION,
        f"{life}.{number}",
        sent.model_dump_json().encode() if body is None else body,
        told,
    )


def bury(url: str, letters: Iterable[Envelope], delays: tuple[int, ...] = (1,)) -> None:
    """Publish them into the dead-letter queue, in their order; makes the topology exist first."""
    publish(url, topology(delays, delays[0]), letters)
