"""What comes back from CUBE, as values that know nothing of the HTTP library."""

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer.

    Attributes:
        status: HTTP status.
        media_type: of the body, without parameters, lower case.
        body: as it came; may hold patient data.
        retry_after: seconds that the server asks to wait.
    """

    status: int
    media_type: str
    body: bytes
    retry_after: float | None = None


class Fault(StrEnum):
    """Why there is no answer."""

    NOT_CONNECTED = "not_connected"
    """The request was never sent."""

    NO_ANSWER = "no_answer"
    """The request was sent, but the answer timed out or was cut off: CUBE may have done it."""

    NO_TOKEN = "no_token"  # noqa: S105 (a name)
    """CUBE gave no token for user and password: the request was never sent."""


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """There was no answer.

    Attributes:
        fault: why.
        detail: for the log: a status or the kind of failure, no text of CUBE's.
    """

    fault: Fault
    detail: str = ""


Reply = Answer | NoAnswer
