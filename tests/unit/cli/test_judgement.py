"""Healthy, degraded or down: the rules as a table."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from lapidicom.cli.answers import Check, NotVisible, Result, checked
from lapidicom.cli.broker_look import DeadLetters, DelayQueues, OfReason, WorkQueue
from lapidicom.cli.journals import Journals
from lapidicom.cli.times import age
from lapidicom.cli.verbs.status import Status, judged
from lapidicom.cli.volume import check_space
from lapidicom.common.journal.bad_lines import BadLines
from lapidicom.common.journal.format import Position
from lapidicom.common.journal.reader import UnknownJournal


def but(look: Any, **changes: Any) -> Any:
    """The same look with other values."""
    return look.model_copy(update=changes)


def volume(needed: int = 1, free_inodes: int = 9, sentinel: str = "5a0b6d0e-1") -> list[Check]:
    """A volume of 100 GiB, of which 50 are free, and so many needed."""
    gib, inodes = 1 << 18, (1000, free_inodes, free_inodes)
    found = os.statvfs_result((4096, 4096, 100 * gib, 50 * gib, 50 * gib, *inodes, 0, 255))
    return check_space(found, Path("/data"), sentinel, needed << 30)


NOW = datetime.now(UTC)
WORK = WorkQueue(ready=3, unacknowledged=4, consumers=2)
UNSEEN = NotVisible("nobody looks")
CUBE = [checked("CUBE", "reachable", "", "http://chris/api/v1/"), checked("CUBE", "storage", UNSEEN)]
READY = checked("receivers", "a:1", "", "a:1 is ready")
FULL = {"0xA700 disk full": 3, "0xA700 torn": 1}
LETTERS = DeadLetters(
    count=3,
    reasons=[
        OfReason(reason="file-missing", count=2, oldest=datetime.now(UTC) - timedelta(days=3)),
        OfReason(reason="refused", count=1),
    ],
)
WELL: dict[str, Any] = {
    "broker": [checked("RabbitMQ", "reachable", "", "amqp://rabbit/chris")],
    "work": WORK,
    "delayed": DelayQueues(messages=5, held_back=0),
    "dead_letters": DeadLetters(),
    "journals": Journals(under_way=1, unrelayed_bytes=100, oldest_unrelayed=NOW),
    "cube": CUBE,
    "volume": volume(),
    "receivers": [READY],
    "registrars": [READY],
}


def judge(**changes: Any) -> Status:
    return judged(**(WELL | changes))


def test_a_system_in_which_all_works_is_healthy_and_nothing_is_said() -> None:
    assert (judge().findings, judge().status) == ([], "healthy")


CASES: list[tuple[str, dict[str, Any], Result, str]] = [
    ("no work queue", {"work": WorkQueue(missing=True)}, Result.FAIL, "there is no work queue"),
    (
        "nobody consumes, messages are in somebody's hands",
        {"work": but(WORK, ready=0, consumers=0)},
        Result.FAIL,
        "no registrar consumes, 4 messages wait",
    ),
    (
        "nobody consumes, nothing waits",
        {"work": but(WORK, ready=0, unacknowledged=UNSEEN, consumers=0)},
        Result.DEGRADED,
        "no registrar consumes",
    ),
    (
        "a delay queue is missing",
        {"delayed": DelayQueues(messages=0, missing=["lapidicom.registrations.retry.7s"], held_back=0)},
        Result.DEGRADED,
        "missing: lapidicom.registrations.retry.7s",
    ),
    (
        "held back",
        {"delayed": DelayQueues(messages=5, held_back=2)},
        Result.NOTE,
        "2 messages are held back on their way to another queue",
    ),
    ("dead letters", {"dead_letters": LETTERS}, Result.DEGRADED, "3 dead letters"),
    (
        "no dead-letter queue",
        {"dead_letters": DeadLetters(missing=True)},
        Result.DEGRADED,
        "there is no queue for dead letters",
    ),
    (
        "the relay stands still",
        {"journals": Journals(oldest_unrelayed=NOW - timedelta(seconds=3700))},
        Result.DEGRADED,
        "a record waits for its relay, for 1h 1m",
    ),
    (
        "a corrupted journal",
        {"journals": Journals(corrupted=[BadLines(Position(1, 40), 9, NOW - timedelta(hours=2), None)])},
        Result.DEGRADED,
        "journals cannot be read at 1 places: instances received from "
        f"{NOW - timedelta(hours=2):%Y-%m-%d %H:%M} UTC to their end may not be registered",
    ),
    (
        "a journal of a newer version",
        {"journals": Journals(left_alone=[UnknownJournal("journals/3/r.1", "r.1", "format 3")])},
        Result.DEGRADED,
        "1 journals of a newer version are left alone: journals/3/r.1 (format 3)",
    ),
    (
        "records set aside",
        {"journals": Journals(set_aside=2)},
        Result.DEGRADED,
        "2 records were set aside: no message could be made of them",
    ),
    (
        "a receiver that only refuses",
        {"journals": Journals(refused=FULL, last_refused=NOW, last_stored=NOW - timedelta(seconds=1))},
        Result.FAIL,
        "refused for the system's sake in the last 5 minutes, 3 x 0xA700 disk full, 1 x 0xA700 torn; "
        "nothing was stored since",
    ),
    (
        "a receiver that has refused, and another one that stores",
        {"journals": Journals(refused=FULL, last_refused=NOW - timedelta(seconds=1), last_stored=NOW)},
        Result.DEGRADED,
        "refused for the system's sake in the last 5 minutes, 3 x 0xA700 disk full, 1 x 0xA700 torn; "
        "instances were stored since",
    ),
    (
        "instances that nobody could store",
        {"journals": Journals(refused={"0xC000 no PatientID": 3})},
        Result.NOTE,
        "refused for their content in the last 5 minutes, 3 x 0xC000 no PatientID",
    ),
    (
        "CUBE away",
        {"cube": [checked("CUBE", "reachable", "CUBE: no", remedy="start it")]},
        Result.FAIL,
        "CUBE: no",
    ),
    (
        "nothing mounted",
        {"volume": volume(sentinel="")},
        Result.DEGRADED,
        "no sentinel: an empty mount point, or no receiver ever used it",
    ),
    ("no inodes", {"volume": volume(free_inodes=0)}, Result.FAIL, "no free inodes: receivers refuse"),
    (
        "too little space",
        {"volume": volume(needed=51)},
        Result.FAIL,
        "50.0 GiB free of 100.0 GiB, below CHRIS_MIN_FREE_SPACE (51.0 GiB): receivers refuse",
    ),
    (
        "almost too little space",
        {"volume": volume(needed=49)},
        Result.DEGRADED,
        "50.0 GiB free of 100.0 GiB, within 10 % of CHRIS_MIN_FREE_SPACE (49.0 GiB): receivers refuse, "
        "or soon will",
    ),
]


@pytest.mark.parametrize(
    ("changes", "expected", "what"), [row[1:] for row in CASES], ids=[row[0] for row in CASES]
)
def test_what_is_wrong_is_found_with_its_level_and_a_remedy(
    changes: dict[str, Any], expected: Result, what: str
) -> None:
    found = judge(**changes)
    assert [(one.result, one.seen) for one in found.findings] == [(expected, what)]
    assert found.findings[0].remedy
    assert found.status == {Result.FAIL: "down", Result.DEGRADED: "degraded"}.get(expected, "healthy")


@pytest.mark.parametrize(
    "changes",
    [
        {"work": but(WORK, unacknowledged=UNSEEN), "delayed": DelayQueues(messages=0, held_back=UNSEEN)},
        {"work": UNSEEN, "delayed": UNSEEN, "dead_letters": UNSEEN},
        {"journals": UNSEEN, "volume": UNSEEN, "cube": UNSEEN},
        {"receivers": UNSEEN, "registrars": UNSEEN},
        {"volume": volume(needed=45)},
        {"journals": Journals(oldest_unrelayed=NOW - timedelta(seconds=20))},
    ],
)
def test_what_is_not_visible_or_within_bounds_is_not_judged(changes: dict[str, Any]) -> None:
    assert judge(**changes).findings == []


def test_the_worst_finding_comes_first_and_gives_the_level() -> None:
    found = judge(dead_letters=LETTERS, work=WorkQueue(missing=True))
    assert [one.result for one in found.findings] == [Result.FAIL, Result.DEGRADED]
    assert found.status == "down"


def test_the_screen_says_of_each_area_what_was_seen_and_how_bad_it_is() -> None:
    changes = {"dead_letters": LETTERS, "volume": UNSEEN, "work": WorkQueue(missing=True)}
    rows = {area.area: (area.state, area.seen) for area in judge(**changes).areas}
    assert rows["dead letters"] == ("degraded", "2 file-missing (oldest 3d 0h); 1 refused")
    assert rows["volume"] == ("?", "not visible from here (nobody looks)")
    assert rows["journals"] == ("ok", f"1 under way, 0 finished; 100 B not relayed, oldest {age(NOW)}")
    assert rows["work queue"] == ("down", "there is no such queue")
    assert rows["CUBE"] == ("ok", "http://chris/api/v1/; storage not visible")
    well = {area.area: area.seen for area in judge(journals=Journals(under_way=1)).areas}
    assert well["journals"] == "1 under way, 0 finished; all relayed"
    assert well["work queue"] == "3 ready; 4 unacknowledged; 2 consumers"
    assert well["volume"].startswith("/data, sentinel 5a0b6d0e; 50.0 GiB free of 100.0 GiB, CHRIS_MIN_")
    full = judge(volume=volume(needed=51))
    assert (full.areas[1].state, full.areas[1].seen) == ("down", full.findings[0].seen)


def test_what_is_not_visible_has_its_reason_in_the_document() -> None:
    document = judge(cube=UNSEEN, work=but(WORK, unacknowledged=UNSEEN)).model_dump(mode="json")
    assert document["status"] == "healthy"
    assert document["cube"] == document["work"]["unacknowledged"] == {"reason": "nobody looks"}
