"""Which outcome has the registration of a series? Pure code, for CUBE v6.

"Already registered" is a question: from which folder, with how many files? So is a 500, which may be a first
contact at the same time as another one, or a series that is half done; and so is a missing answer: CUBE goes
on when its client has left. `judge_series` then returns the question; the caller searches, and judges again.
"""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from lapidicom.registrar.cube.contract import DUPLICATE_SERIES, OTHER_COUNT
from lapidicom.registrar.cube.outcomes import (
    AGAIN_AFTER_500,
    WHEN_WELL,
    Outcome,
    Question,
    Verdict,
    refused_fields,
    verdict_on,
)
from lapidicom.registrar.cube.replies import Answer, Fault, NoAnswer, Reply

PENDING: Final = "pending"


@dataclass(frozen=True, slots=True)
class SeriesKey:
    """The series that was to be registered.

    Attributes:
        pacs_name: its PACS.
        uid: its SeriesInstanceUID; CUBE has one of each PACS.
        folder: its folder, relative to CUBE's storage root.
    """

    pacs_name: str
    uid: str
    folder: str


class SeriesQuestion(Enum):
    """What must be known before a reply can be judged."""

    IS_IT_REGISTERED = auto()


@dataclass(frozen=True, slots=True)
class Found:
    """What CUBE's searches say of a series.

    Attributes:
        folder: of the series with that PACS and UID; None if there is none.
        deletion_status: of that series.
        files: how many DICOM files CUBE knows in our folder.
    """

    folder: str | None
    deletion_status: str
    files: int


def judge_series(reply: Reply, series: SeriesKey) -> Verdict | Question | SeriesQuestion:
    """Judge the reply to `POST pacs/series/`."""
    match reply:
        case Answer(status=201) if _describes(reply, series):
            return Verdict(Outcome.REGISTERED, "http_201", 201)
        case Answer(status=400) if reply.json == [DUPLICATE_SERIES.format(series.uid, series.pacs_name)]:
            return SeriesQuestion.IS_IT_REGISTERED
        case NoAnswer(Fault.NOT_CONNECTED | Fault.NO_TOKEN):
            return verdict_on(reply, Outcome.OUTAGE)
        case Answer() if named := refused_fields(reply):
            if _says_other_count(reply):
                return verdict_on(reply, Outcome.NOT_YET_VISIBLE, "count-differs")
            return verdict_on(reply, Outcome.PERMANENT, f"refused: {','.join(sorted(named))[:100]}")
        case Answer(status=status) if WHEN_WELL.get(status, Outcome.RETRY) is None:
            return verdict_on(reply, Outcome.OUTAGE)
        case _:
            return Question.IS_CUBE_WELL


def judge_found(reply: Reply, series: SeriesKey, found: Found, on_disk: int) -> Verdict:
    """Judge a reply of a CUBE that is well, after its searches and a look at the folder.

    Args:
        reply: to the registration.
        series: that was to be registered.
        found: by the searches.
        on_disk: DICOM files in the folder.
    """
    if found.folder is None and found.files:
        # The series is being made just now, or was never made to its end.
        return verdict_on(reply, Outcome.RETRY, "half-registered")
    if found.folder is None:
        again = AGAIN_AFTER_500 if isinstance(reply, Answer) and reply.status == 500 else 0
        return verdict_on(reply, Outcome.RETRY, again=again)
    if found.deletion_status == PENDING:
        return verdict_on(reply, Outcome.HELD_UP, "deletion-pending")
    if found.folder != series.folder:
        return verdict_on(reply, Outcome.PERMANENT, "other-folder")
    if found.files < on_disk:
        return verdict_on(reply, Outcome.PERMANENT, "late-instances")
    if found.files > on_disk:
        return verdict_on(reply, Outcome.NOT_YET_VISIBLE, "files-missing")
    return verdict_on(reply, Outcome.ALREADY_REGISTERED, "already_registered")


def _describes(answer: Answer, series: SeriesKey) -> bool:
    fields = answer.fields
    shown = (fields.get("pacs_identifier"), fields.get("SeriesInstanceUID"), fields.get("folder_path"))
    return shown == (series.pacs_name, series.uid, series.folder)


def _says_other_count(answer: Answer) -> bool:
    texts = answer.fields.get("non_field_errors")
    return isinstance(texts, list) and len(texts) == 1 and bool(OTHER_COUNT.fullmatch(str(texts[0])))
