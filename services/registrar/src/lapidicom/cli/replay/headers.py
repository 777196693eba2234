"""Headers of a replayed message: attempts start anew, what had happened before goes along. Pure code.

A registrar passes on headers that it does not know: a message that fails again comes back to the dead
letters with the id of its replay.
"""

from collections.abc import Mapping
from typing import Final

from lapidicom.cli.dead_letters.letter import DeadLetter
from lapidicom.common.headers import Header
from lapidicom.registrar.consumer import headers as told

REPLAY: Final = "lapidicom-replay"
"""Id of the last replay that took it."""

REPLAYS: Final = "lapidicom-replays"
"""How often it was replayed."""

REPLAYED_AT: Final = "lapidicom-replayed-at"
FORMER_REASON: Final = "lapidicom-former-reason"
FORMER_STATUS: Final = "lapidicom-former-http-status"
FORMER_ATTEMPTS: Final = "lapidicom-former-attempts"
"""Attempts spent before the last replay, those before earlier replays included."""

EDITED: Final = "lapidicom-edited"
"""Names of the fields that operators have changed, separated by commas."""

_OF_THE_LAST_ATTEMPT = frozenset(
    {told.ATTEMPTS, told.LAST_ATTEMPT, told.REASON, told.HTTP_STATUS, told.ANSWER, told.REGISTRAR}
)


def replayed(letter: DeadLetter, replay: str, now: str, edited: tuple[str, ...] = ()) -> dict[str, Header]:
    """The headers with which a dead letter is published again.

    Args:
        letter: the dead letter.
        replay: id of the replay.
        now: ISO 8601.
        edited: names of the fields that are changed now.
    """
    headers: dict[str, Header] = {
        name: value
        for name, value in letter.headers.items()
        # The client library reads headers of bytes, of a foreign message, but cannot publish them.
        if name not in _OF_THE_LAST_ATTEMPT and not isinstance(value, bytes)
    }
    headers |= {
        REPLAY: replay,
        REPLAYS: _count(letter.headers, REPLAYS) + 1,
        REPLAYED_AT: now,
        FORMER_REASON: letter.reason,
        FORMER_ATTEMPTS: _count(letter.headers, FORMER_ATTEMPTS) + letter.attempts,
    }
    headers.pop(FORMER_STATUS, None)
    if letter.http_status is not None:
        headers[FORMER_STATUS] = letter.http_status
    before = headers.get(EDITED)
    names = {*(before.split(",") if isinstance(before, str) and before else ()), *edited}
    if names:
        headers[EDITED] = ",".join(sorted(names))
    return headers


def replay_of(headers: Mapping[str, object]) -> str:
    """Id of the replay that last took a message; empty if none did."""
    value = headers.get(REPLAY)
    return value if isinstance(value, str) else ""


def _count(headers: Mapping[str, Header], name: str) -> int:
    value = headers.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
