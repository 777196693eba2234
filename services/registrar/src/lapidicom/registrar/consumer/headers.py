"""Headers that travel with a retried, parked or dead-lettered message. Plain values, a few KiB at most."""

from collections.abc import Mapping
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class History:
    """What happened to a message so far.

    Attributes:
        attempts: attempts spent.
        first: when the first one was spent, ISO 8601; empty if none was.
    """

    attempts: int = 0
    first: str = ""


def history(headers: Mapping[str, Header]) -> History:
    """Read the history; what is missing or malformed counts as no attempt."""
    attempts, first = headers.get(ATTEMPTS), headers.get(FIRST_ATTEMPT)
    return History(
        attempts if isinstance(attempts, int) and attempts > 0 else 0,
        first if isinstance(first, str) else "",
    )


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
    told: dict[str, Header] = {
        ATTEMPTS: attempts,
        FIRST_ATTEMPT: history(headers).first or now,
        LAST_ATTEMPT: now,
        REASON: verdict.reason,
        REGISTRAR: registrar,
    }
    if verdict.status is not None:
        told[HTTP_STATUS] = verdict.status
    if verdict.excerpt:
        told[ANSWER] = verdict.excerpt
    stale = {ATTEMPTS, FIRST_ATTEMPT, LAST_ATTEMPT, REASON, HTTP_STATUS, ANSWER, REGISTRAR}
    return {name: value for name, value in headers.items() if name not in stale} | told
