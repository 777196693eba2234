"""Which outcome is this reply? Pure code; the statuses of CUBE's contract stand in one table.

Some replies cannot be judged alone: after a 500 one must know whether CUBE is well, after "Could not
find this path." whether the file is there. `judge` then returns the question, and the caller judges
again with its answer.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum, auto
from types import MappingProxyType
from typing import assert_never

from lapidicom.registrar.cube.contract import ALREADY_REGISTERED, PATH_NOT_FOUND
from lapidicom.registrar.cube.replies import Answer, Fault, NoAnswer, Reply

EXCERPT = 500
"""Characters of CUBE's answer that a dead letter keeps."""


class Outcome(StrEnum):
    """What a delivery has come to."""

    REGISTERED = "registered"
    ALREADY_REGISTERED = "already_registered"
    RETRY = "retry"
    """CUBE is well and failed all the same: an attempt is spent."""
    PERMANENT = "permanent"
    OUTAGE = "outage"
    """Not the message's fault: no attempt is spent."""
    NOT_YET_VISIBLE = "not_yet_visible"
    """CUBE does not see the file that we see: no attempt is spent."""
    NEWER = "newer"
    """The message's format is newer than this registrar: no attempt is spent."""


class Question(Enum):
    """What must be known before a reply can be judged."""

    IS_CUBE_WELL = auto()
    IS_THE_FILE_THERE = auto()


class Sight(Enum):
    """What we see of the file on our mount of the volume."""

    THERE = auto()
    ABSENT = auto()
    VOLUME_GONE = auto()


@dataclass(frozen=True, slots=True)
class Verdict:
    """An outcome and what is to be told about it.

    Attributes:
        outcome: what to do.
        reason: stable, for log lines and the dead letter; never a value.
        status: HTTP status, if there was one.
        excerpt: the beginning of CUBE's answer. May hold patient data: for the dead letter only.
        retry_after: seconds that CUBE asks to wait.
    """

    outcome: Outcome
    reason: str
    status: int | None = None
    excerpt: str = ""
    retry_after: float | None = None


STATUSES: Mapping[int, Outcome | Question] = MappingProxyType(
    {
        201: Outcome.REGISTERED,
        401: Outcome.OUTAGE,  # after a renewed token: user or password no longer fit
        403: Outcome.OUTAGE,  # only the user `chris` may register
        404: Outcome.OUTAGE,  # another route, another CUBE
        405: Outcome.OUTAGE,
        406: Outcome.OUTAGE,
        413: Outcome.OUTAGE,  # a proxy's limit
        415: Outcome.OUTAGE,
        429: Outcome.OUTAGE,  # a proxy's limit of rate
        500: Question.IS_CUBE_WELL,
        502: Outcome.OUTAGE,
        503: Outcome.OUTAGE,
        504: Outcome.OUTAGE,
    }
)
"""By status; 400 is judged by its body, 3xx is configuration, what stands nowhere is as a 500: retried."""


def judge(reply: Reply) -> Verdict | Question:
    """Judge the reply to `POST pacsfiles/`."""
    match reply:
        case NoAnswer(Fault.NO_ANSWER):
            return Question.IS_CUBE_WELL
        case NoAnswer(Fault.NOT_CONNECTED | Fault.NO_TOKEN):
            return Verdict(Outcome.OUTAGE, reply.fault.value)
        case Answer(status=400):
            return _judge_400(reply)
        case Answer(status=status):
            unknown = Outcome.OUTAGE if 300 <= status < 400 else Question.IS_CUBE_WELL
            found = STATUSES.get(status, unknown)
            return found if isinstance(found, Question) else _verdict(reply, found, f"http_{status}")
        case _:
            raise AssertionError(reply)


def judge_after_probe(reply: Reply, *, well: bool) -> Verdict:
    """Judge a reply after which one had to know whether CUBE is well."""
    outcome = Outcome.RETRY if well else Outcome.OUTAGE
    match reply:
        case NoAnswer():
            return Verdict(outcome, reply.fault.value)
        case Answer():
            return _verdict(reply, outcome, f"http_{reply.status}")


def judge_after_look(reply: Reply, sight: Sight) -> Verdict:
    """Judge "Could not find this path." after a look at the volume."""
    match sight:
        case Sight.THERE:
            return _verdict(reply, Outcome.NOT_YET_VISIBLE, "not_yet_visible")
        case Sight.ABSENT:
            return _verdict(reply, Outcome.PERMANENT, "file-missing")
        case Sight.VOLUME_GONE:
            return _verdict(reply, Outcome.OUTAGE, "volume_not_visible")
        case _:
            assert_never(sight)


def _judge_400(answer: Answer) -> Verdict | Question:
    """A 400 that is not JSON comes from Django before the API: a host that is not allowed, say."""
    if "json" not in answer.media_type:
        return _verdict(answer, Outcome.OUTAGE, "http_400_not_json")
    try:
        fields = json.loads(answer.body)
    except ValueError:
        return _verdict(answer, Outcome.OUTAGE, "http_400_not_json")
    if not isinstance(fields, dict):
        return _verdict(answer, Outcome.PERMANENT, "refused")
    path = fields.get("path")
    if isinstance(path, list) and ALREADY_REGISTERED in path:
        return _verdict(answer, Outcome.ALREADY_REGISTERED, "already_registered")
    if path == [PATH_NOT_FOUND] and len(fields) == 1:
        return Question.IS_THE_FILE_THERE
    names = ",".join(sorted(name for name in fields if name.isidentifier()))[:100]
    return _verdict(answer, Outcome.PERMANENT, f"refused: {names}")


def _verdict(reply: Reply, outcome: Outcome, reason: str) -> Verdict:
    match reply:
        case Answer():
            excerpt = reply.body[: EXCERPT * 4].decode("utf-8", "replace")[:EXCERPT]
            return Verdict(outcome, reason, reply.status, excerpt, reply.retry_after)
        case NoAnswer():
            return Verdict(outcome, reason)
