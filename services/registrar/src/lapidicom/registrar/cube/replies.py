"""What comes back from CUBE, as values that know nothing of the HTTP library."""

import json
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any


@dataclass(frozen=True)
class Answer:
    """An HTTP answer.

    Attributes:
        status: HTTP status.
        media_type: of the body, without parameters, lower case.
        body: as it came; may hold patient data.
        retry_after: seconds that the server asks to wait.
        is_whole: whether nothing of the body was cut off, because it is longer than CUBE's answers are.
    """

    status: int
    media_type: str
    body: bytes
    retry_after: float | None = None
    is_whole: bool = True

    @cached_property
    def json(self) -> Any:
        """The JSON of the body; None if it is none."""
        if not self.is_whole or "json" not in self.media_type:
            return None
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None

    @property
    def fields(self) -> dict[str, Any]:
        """The fields of a body that is a JSON object; none of any other body."""
        return self.json if isinstance(self.json, dict) else {}


def media_type(content_type: str | None) -> str:
    """The media type of a Content-Type header, without its parameters."""
    return (content_type or "").partition(";")[0].strip().lower()


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
        detail: what failed and where, in a sentence for the log; no text of CUBE's.
    """

    fault: Fault
    detail: str = ""


Reply = Answer | NoAnswer
