"""Which outcome is this reply? Pure code; the statuses of CUBE's contract stand in one table.

CUBE is recognised by what it says, not by its status: a proxy or a login page answers 200 as well. Some
replies cannot be judged alone: after a 500 one must know whether CUBE is well and whether the file is
there. `judge` then returns the question, and the caller judges again with its answer.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum, auto
from types import MappingProxyType
from typing import Final, assert_never

from lapidicom.registrar.cube.contract import ALREADY_REGISTERED, FIELDS, PACS_EXISTS, PATH_NOT_FOUND
from lapidicom.registrar.cube.replies import Answer, Fault, NoAnswer, Reply

EXCERPT: Final = 500
"""Characters of CUBE's answer that a dead letter keeps."""

VOLUME_NOT_VISIBLE: Final = "volume_not_visible"

AGAIN_FOR_A_NEW_PACS: Final = 3
AGAIN_AFTER_500: Final = 1
"""Who loses a race of two registrations of one path gets a 500; asked again, CUBE knows the path."""


class Outcome(StrEnum):
    """What a registration has come to."""

    REGISTERED = "registered"
    ALREADY_REGISTERED = "already_registered"
    RETRY = "retry"
    """CUBE is well and failed all the same: an attempt is spent."""
    PERMANENT = "permanent"
    """CUBE refused it, and would again."""
    INVALID = "invalid"
    """CUBE was not asked: no state of the system would make this message fit."""
    OUTAGE = "outage"
    """CUBE serves nobody now: no attempt is spent."""
    REFUSED_ON_THE_WAY = "refused_on_the_way"
    """CUBE is well, but something before it does not let this message through: no attempt is spent."""
    NOT_YET_VISIBLE = "not_yet_visible"
    """The file is not where both CUBE and we see it: no attempt is spent."""
    BEHIND_OTHERS = "behind_others"
    """It is to come behind messages that are not registered yet: it waits as they are retried."""
    HELD_UP = "held_up"
    """Neither the message's fault nor, for all that is known, CUBE's: no attempt is spent."""
    UNKNOWN_FORMAT = "unknown_format"
    """A type or version that this registrar does not know: another one may."""


SUCCESSES: Final = frozenset({Outcome.REGISTERED, Outcome.ALREADY_REGISTERED})


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
    """An outcome and what is known about it.

    Attributes:
        outcome: what to do.
        reason: stable, for log lines and the dead letter; never a value.
        status: HTTP status, if there was one.
        excerpt: the beginning of CUBE's answer. May hold patient data: for the dead letter only.
        retry_after: seconds that CUBE asks to wait.
        explanation: why, in a sentence for the operator; empty if the reason says all.
        again: how often the question may be repeated at once before this verdict holds.
    """

    outcome: Outcome
    reason: str
    status: int | None = None
    excerpt: str = ""
    retry_after: float | None = None
    explanation: str = ""
    again: int = 0


_REGISTERED: Final = Verdict(Outcome.REGISTERED, "http_201", 201)

WHEN_WELL: Mapping[int, Outcome | None] = MappingProxyType(
    {
        401: None,  # after a renewed token: user or password no longer fit
        429: None,  # a limit of rate: it asks us to wait
        400: Outcome.REFUSED_ON_THE_WAY,  # without any of CUBE's fields
        403: Outcome.REFUSED_ON_THE_WAY,
        404: Outcome.REFUSED_ON_THE_WAY,
        405: Outcome.REFUSED_ON_THE_WAY,
        413: Outcome.REFUSED_ON_THE_WAY,
        415: Outcome.REFUSED_ON_THE_WAY,
        406: Outcome.HELD_UP,
        502: Outcome.HELD_UP,  # a proxy in an upgrade
        503: Outcome.HELD_UP,
        504: Outcome.HELD_UP,
    }
)
"""By status of what is not CUBE's own answer to a registration: the outcome if CUBE proves to be well.

None: it needs no proof, that is an outage. 3xx are as 406; all that stands nowhere, such as 500 or 200, is
failed by CUBE itself: retried.
"""


def judge(reply: Reply, path: str) -> Verdict | Question:
    """Judge the reply to `POST pacsfiles/`.

    Args:
        reply: of CUBE, or of what is in its place.
        path: that was to be registered.
    """
    match reply:
        case Answer(status=201) if reply.fields.get("fname") == path:
            return _REGISTERED
        case NoAnswer(Fault.NO_ANSWER):
            return Question.IS_CUBE_WELL
        case NoAnswer(Fault.NOT_CONNECTED | Fault.NO_TOKEN, detail):
            return Verdict(Outcome.OUTAGE, reply.fault.value, explanation=detail)
        case Answer() if named := refused_fields(reply):
            return _judge_refusal(reply, named)
        case Answer(status=status) if WHEN_WELL.get(status, Outcome.RETRY) is None:
            return verdict_on(reply, Outcome.OUTAGE)
        case _:
            return Question.IS_CUBE_WELL


def judge_after_probe(reply: Reply, trouble: str | None) -> Verdict | Question:
    """Judge a reply after which one had to know whether CUBE is well.

    Args:
        reply: to the registration.
        trouble: why CUBE is not well; None if it is.
    """
    if trouble is not None:
        return verdict_on(reply, Outcome.OUTAGE, explanation=trouble)
    outcome = _when_well(reply)
    return Question.IS_THE_FILE_THERE if outcome is Outcome.RETRY else verdict_on(reply, outcome)


def judge_after_look(reply: Reply, sight: Sight) -> Verdict:
    """Judge a reply of a CUBE that is well after a look at the volume."""
    match sight:
        case Sight.VOLUME_GONE:
            return verdict_on(reply, Outcome.HELD_UP, VOLUME_NOT_VISIBLE)
        case Sight.THERE if _says_not_found(reply):
            return verdict_on(reply, Outcome.NOT_YET_VISIBLE, "not_yet_visible")
        case Sight.ABSENT if _says_not_found(reply):
            return verdict_on(reply, Outcome.PERMANENT, "file-missing")
        case Sight.ABSENT:  # the storage vanished while CUBE was at it; the next answer tells more
            return verdict_on(reply, Outcome.NOT_YET_VISIBLE, "file_not_visible")
        case Sight.THERE:
            again = AGAIN_AFTER_500 if isinstance(reply, Answer) and reply.status == 500 else 0
            return verdict_on(reply, Outcome.RETRY, again=again)
        case _:
            assert_never(sight)


def refused_fields(reply: Reply) -> frozenset[str]:
    """The fields that CUBE's refusal of a registration names; none if the reply is no such refusal."""
    if not isinstance(reply, Answer) or reply.status != 400:
        return frozenset()
    return FIELDS.intersection(name for name, texts in reply.fields.items() if isinstance(texts, list))


def _when_well(reply: Reply) -> Outcome:
    match reply:
        case NoAnswer():
            return Outcome.RETRY
        case Answer(status=status) if 300 <= status < 400:
            return Outcome.HELD_UP
        case Answer(status=status):
            return WHEN_WELL.get(status) or Outcome.RETRY


def _judge_refusal(answer: Answer, named: frozenset[str]) -> Verdict | Question:
    fields = answer.fields
    if "path" in named and ALREADY_REGISTERED in fields["path"]:
        return verdict_on(answer, Outcome.ALREADY_REGISTERED, "already_registered")
    if _says_not_found(answer):
        return Question.IS_THE_FILE_THERE
    if fields == {"pacs_name": [PACS_EXISTS]}:
        return verdict_on(answer, Outcome.RETRY, "pacs_exists", again=AGAIN_FOR_A_NEW_PACS)
    return verdict_on(answer, Outcome.PERMANENT, f"refused: {','.join(sorted(named))[:100]}")


def _says_not_found(reply: Reply) -> bool:
    return isinstance(reply, Answer) and reply.status == 400 and reply.fields == {"path": [PATH_NOT_FOUND]}


def verdict_on(
    reply: Reply, outcome: Outcome, reason: str = "", *, explanation: str = "", again: int = 0
) -> Verdict:
    """A verdict with what the reply says; the reason by default is its status or fault."""
    match reply:
        case Answer(status=status):
            excerpt = reply.body[: EXCERPT * 4].decode("utf-8", "replace")[:EXCERPT]
            reason = reason or f"http_{status}"
            return Verdict(outcome, reason, status, excerpt, reply.retry_after, explanation, again)
        case NoAnswer(fault=fault, detail=detail):
            return Verdict(outcome, reason or fault.value, explanation=explanation or detail, again=again)
