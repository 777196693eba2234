"""Headers that travel with a retried, parked or dead-lettered message. Plain values, a few KiB at most."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from lapidicom.common.headers import Header
from lapidicom.registrar.cube.outcomes import Verdict

ATTEMPTS: Final = "lapidicom-attempts"
"""Attempts spent: registrations that failed at a CUBE that was well."""

FIRST_ATTEMPT: Final = "lapidicom-first-attempt"
LAST_ATTEMPT: Final = "lapidicom-last-attempt"
REASON: Final = "lapidicom-reason"
HTTP_STATUS: Final = "lapidicom-http-status"
ANSWER: Final = "lapidicom-answer"
"""The beginning of CUBE's answer. May hold patient data."""

REGISTRAR: Final = "lapidicom-registrar"

WAITING_FOR: Final = "lapidicom-waiting-for"
"""Why it is parked, if that may be a fault of its own."""

WAITING_SINCE: Final = "lapidicom-waiting-since"
"""ISO 8601: when it was parked for that reason first; or, refused on the way, when that was last counted."""

REFUSALS: Final = "lapidicom-refusals"
"""How often it was refused on the way to CUBE, with a success of another message between two of them."""

_OF_AN_ATTEMPT: Final = frozenset(
    {ATTEMPTS, FIRST_ATTEMPT, LAST_ATTEMPT, REASON, HTTP_STATUS, ANSWER, REGISTRAR}
)
_OF_WAITING: Final = frozenset({WAITING_FOR, WAITING_SINCE, REFUSALS})


@dataclass(frozen=True, slots=True)
class Waiting:
    """A message that was parked for what may be a fault of its own.

    Attributes:
        reason: why.
        since: seconds since the epoch.
        refusals: counted so far.
    """

    reason: str
    since: float
    refusals: int = 0


@dataclass(frozen=True, slots=True)
class History:
    """What happened to a message so far.

    Attributes:
        attempts: attempts spent.
        first: when the first one was spent, ISO 8601; empty if none was.
        waiting: if it was parked for what may be a fault of its own, and has not been retried since.
    """

    attempts: int = 0
    first: str = ""
    waiting: Waiting | None = None


def history(headers: Mapping[str, Header]) -> History:
    """Read the history; what is missing or malformed counts as no attempt and no waiting."""
    first = headers.get(FIRST_ATTEMPT)
    return History(_count(headers.get(ATTEMPTS)), first if isinstance(first, str) else "", _waiting(headers))


def after_attempt(
    headers: Mapping[str, Header], verdict: Verdict, attempts: int, now: str, registrar: str
) -> dict[str, Header]:
    """The headers of a message whose attempt failed: the old ones, with this attempt's result.

    Args:
        headers: of the delivery.
        verdict: why it failed.
        attempts: spent so far, this one included.
        now: ISO 8601.
        registrar: name of this registrar.
    """
    result: dict[str, Header] = {
        ATTEMPTS: attempts,
        FIRST_ATTEMPT: history(headers).first or now,
        LAST_ATTEMPT: now,
        REASON: verdict.reason,
        REGISTRAR: registrar,
    }
    if verdict.status is not None:
        result[HTTP_STATUS] = verdict.status
    if verdict.excerpt:
        result[ANSWER] = verdict.excerpt
    return _without(headers, _OF_AN_ATTEMPT | _OF_WAITING) | result


def while_waiting(headers: Mapping[str, Header], waiting: Waiting) -> dict[str, Header]:
    """The headers of a message that is parked for what may be a fault of its own."""
    result: dict[str, Header] = {
        WAITING_FOR: waiting.reason,
        WAITING_SINCE: iso(waiting.since),
    }
    if waiting.refusals:
        result[REFUSALS] = waiting.refusals
    return _without(headers, _OF_WAITING) | result


def no_longer_waiting(headers: Mapping[str, Header]) -> dict[str, Header]:
    """The headers of a message for which something else holds than when it was parked."""
    return _without(headers, _OF_WAITING)


def iso(seconds: float) -> str:
    """A time of the epoch as ISO 8601, UTC, with milliseconds."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def _waiting(headers: Mapping[str, Header]) -> Waiting | None:
    reason, since = headers.get(WAITING_FOR), headers.get(WAITING_SINCE)
    if not isinstance(reason, str) or not isinstance(since, str):
        return None
    try:
        when = datetime.fromisoformat(since).timestamp()
    except (ValueError, OverflowError):
        return None
    return Waiting(reason, when, _count(headers.get(REFUSALS)))


def _count(value: Header) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def _without(headers: Mapping[str, Header], names: frozenset[str]) -> dict[str, Header]:
    return {name: value for name, value in headers.items() if name not in names}
