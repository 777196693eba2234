"""Healthy, degraded or down: the rules as a table."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lapidicom.cli.errors import NotVisible
from lapidicom.cli.services import Readiness, Service
from lapidicom.cli.status.document import document
from lapidicom.cli.status.judgement import Level, judge
from lapidicom.cli.status.screen import age, rows, size
from lapidicom.cli.status.snapshot import (
    BrokerLook,
    Corrupted,
    CubeLook,
    DeadLettersLook,
    DelayedLook,
    JournalLook,
    LeftAlone,
    QueueLook,
    ReasonLook,
    Snapshot,
    VolumeLook,
)

NOW = datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)
UNSEEN = NotVisible("nobody looks")
GIB = 1 << 30

WORK = QueueLook(ready=3, unacknowledged=4, consumers=2, held_back=0, publish_rate=1.0, ack_rate=1.0)
JOURNAL = JournalLook("r.1", 100, NOW - timedelta(seconds=1), NOW, finished=False, set_aside=0)
CUBE = CubeLook("http://chris/api/v1/", True, "CUBE up to v5", True, True, True)
READY = Readiness(Service.REGISTRAR, "registrar:8080", ready=True)
VOLUME = VolumeLook("/data", 50 * GIB, 100 * GIB, 1000, "5a0b6d0e-1", GIB)
LETTERS = DeadLettersLook(
    3, [ReasonLook("file-missing", 2, NOW - timedelta(days=3)), ReasonLook("refused", 1, None)]
)

WELL = Snapshot(
    taken_at=NOW,
    broker=BrokerLook("amqp://rabbit/chris", "", "3.10.8", ()),
    work=WORK,
    delayed=DelayedLook(5, (), 0),
    dead_letters=DeadLettersLook(0, ()),
    journals=(JOURNAL,),
    cube=CUBE,
    volume=VOLUME,
    receivers=(replace(READY, service=Service.RECEIVER),),
    registrars=(READY,),
)


def test_a_system_in_which_all_works_is_healthy_and_nothing_is_said() -> None:
    judgement = judge(WELL)
    assert judgement.level is Level.HEALTHY
    assert judgement.findings == ()


CASES: list[tuple[str, dict[str, Any], Level, str]] = [
    ("RabbitMQ away", {"broker": BrokerLook("amqp://rabbit", "no answer")}, Level.DOWN, "no answer"),
    (
        "alarm",
        {"broker": replace(WELL.broker, alarms=("memory on a",))},
        Level.DOWN,
        "in alarm (memory on a): nothing can be published",
    ),
    ("no work queue", {"work": None}, Level.DOWN, "there is no work queue"),
    (
        "nobody consumes, messages are in somebody's hands",
        {"work": replace(WORK, ready=0, consumers=0)},
        Level.DOWN,
        "no registrar consumes, 4 messages wait",
    ),
    (
        "nobody consumes, nothing waits",
        {"work": replace(WORK, ready=0, unacknowledged=UNSEEN, consumers=0)},
        Level.DEGRADED,
        "no registrar consumes",
    ),
    (
        "a delay queue is missing",
        {"delayed": replace(WELL.delayed, missing=("lapidicom.registrations.retry.7s",))},  # type: ignore[type-var]
        Level.DEGRADED,
        "missing: lapidicom.registrations.retry.7s",
    ),
    (
        "held back for a moment",
        {"work": replace(WORK, held_back=2), "held_back_seconds": 299.0},
        Level.NOTE,
        "2 messages are held back on their way to another queue",
    ),
    (
        "held back for five minutes",
        {"delayed": DelayedLook(0, (), 1), "work": replace(WORK, held_back=2), "held_back_seconds": 300.0},
        Level.DEGRADED,
        "3 messages are held back on their way to another queue",
    ),
    ("dead letters", {"dead_letters": LETTERS}, Level.DEGRADED, "3 dead letters"),
    ("no dead-letter queue", {"dead_letters": None}, Level.DEGRADED, "there is no queue for dead letters"),
    (
        "the relay stands still",
        {"journals": (JOURNAL, replace(JOURNAL, oldest=NOW - timedelta(seconds=61)))},
        Level.DEGRADED,
        "a record waits for its relay since 61 s",
    ),
    (
        "a corrupted journal",
        {"journals": (replace(JOURNAL, corrupted=(Corrupted(NOW - timedelta(hours=2), None),)),)},
        Level.DEGRADED,
        "journals cannot be read at 1 places: instances received from "
        f"{NOW - timedelta(hours=2):%Y-%m-%d %H:%M} UTC to their end may not be registered",
    ),
    (
        "a journal of a newer version",
        {"left_alone": (LeftAlone("journals/3/r.1", "format 3"),)},
        Level.DEGRADED,
        "1 journals of a newer version are left alone: journals/3/r.1 (format 3)",
    ),
    (
        "records set aside",
        {"journals": (replace(JOURNAL, set_aside=2),)},
        Level.DEGRADED,
        "2 records were set aside: no message could be made of them",
    ),
    (
        "CUBE away",
        {"cube": CubeLook("u", False, "unknown", False, False, None, "CUBE: not_connected", "start it")},
        Level.DOWN,
        "CUBE: not_connected",
    ),
    (
        "no registrar is ready",
        {"registrars": (Readiness(Service.REGISTRAR, "r:1", False, ("CUBE: outage (http_403)",)),)},
        Level.DOWN,
        "registrar r:1 is not ready: CUBE: outage (http_403)",
    ),
    (
        "one of two receivers is ready",
        {"receivers": (READY, Readiness(Service.RECEIVER, "b:1", False, ("the volume is gone",)))},
        Level.DEGRADED,
        "receiver b:1 is not ready: the volume is gone",
    ),
    (
        "a receiver is degraded",
        {"receivers": (Readiness(Service.RECEIVER, "b:1", True, ("below CHRIS_MIN_FREE_SPACE",)),)},
        Level.DEGRADED,
        "receiver b:1 is degraded: below CHRIS_MIN_FREE_SPACE",
    ),
    (
        "nothing mounted",
        {"volume": replace(VOLUME, sentinel="")},
        Level.DEGRADED,
        "no sentinel: the volume is not mounted here, or no receiver ever used it",
    ),
    (
        "no inodes",
        {"volume": replace(VOLUME, inodes=0)},
        Level.DOWN,
        "no free inodes: receivers refuse",
    ),
    (
        "too little space",
        {"volume": replace(VOLUME, free_bytes=GIB - 1)},
        Level.DOWN,
        "free space below CHRIS_MIN_FREE_SPACE: receivers refuse",
    ),
    (
        "almost too little space",
        {"volume": replace(VOLUME, free_bytes=GIB)},
        Level.DEGRADED,
        "free space within 10 % of CHRIS_MIN_FREE_SPACE: receivers refuse, or soon will",
    ),
]


@pytest.mark.parametrize(
    ("changes", "level", "what"), [row[1:] for row in CASES], ids=[row[0] for row in CASES]
)
def test_what_is_wrong_is_found_with_its_level_and_a_remedy(
    changes: dict[str, Any], level: Level, what: str
) -> None:
    judgement = judge(replace(WELL, **changes))
    assert [(one.level, one.what) for one in judgement.findings] == [(level, what)]
    assert judgement.findings[0].remedy
    assert judgement.level is max(level, Level.HEALTHY)


@pytest.mark.parametrize(
    "changes",
    [
        {"broker": replace(WELL.broker, alarms=UNSEEN)},
        {
            "work": replace(
                WORK, unacknowledged=UNSEEN, held_back=UNSEEN, publish_rate=UNSEEN, ack_rate=UNSEEN
            )
        },
        {"work": UNSEEN, "delayed": UNSEEN, "dead_letters": UNSEEN},
        {"dead_letters": DeadLettersLook(UNSEEN, UNSEEN)},
        {"delayed": DelayedLook(0, (), UNSEEN)},
        {"journals": UNSEEN, "volume": UNSEEN},
        {"cube": UNSEEN},
        {"receivers": UNSEEN, "registrars": UNSEEN},
        {"volume": replace(VOLUME, inodes=None)},
        {"journals": (replace(JOURNAL, oldest=NOW - timedelta(seconds=60)),)},
        {"journals": (replace(JOURNAL, oldest=None),)},
    ],
)
def test_what_is_not_visible_or_within_bounds_is_not_judged(changes: dict[str, Any]) -> None:
    assert judge(replace(WELL, **changes)).findings == ()


@pytest.mark.parametrize(
    ("changes", "remedy"),
    [
        ({}, "see what the registrars say of themselves"),
        ({"registrars": UNSEEN}, "start a registrar, or ask its /readyz"),
        ({"registrars": UNSEEN, "cube": replace(CUBE, trouble="CUBE answers 500")}, "mend CUBE"),
    ],
)
def test_a_work_queue_without_consumer_names_the_cause_where_that_is_known(
    changes: dict[str, Any], remedy: str
) -> None:
    judgement = judge(replace(WELL, work=replace(WORK, consumers=0), **changes))
    (work,) = [one for one in judgement.findings if one.area == "work"]
    assert work.remedy.startswith(remedy)


def test_the_worst_finding_comes_first_and_gives_the_level() -> None:
    judgement = judge(replace(WELL, dead_letters=LETTERS, work=None))
    assert [one.level for one in judgement.findings] == [Level.DOWN, Level.DEGRADED]
    assert judgement.level == 2


def test_the_screen_says_of_each_area_what_was_seen_and_how_bad_it_is() -> None:
    snapshot = replace(WELL, dead_letters=LETTERS, volume=UNSEEN, journals=(replace(JOURNAL, oldest=None),))
    told = {area: (state, seen) for area, state, seen in rows(snapshot, judge(snapshot))}
    assert told["dead letters"] == ("degraded", "3: 2 file-missing (oldest 3 d); 1 refused")
    assert told["volume"] == ("?", "not visible from here (nobody looks)")
    assert told["journals"] == ("ok", "1 under way, 0 finished; all relayed")
    assert told["work queue"] == ("ok", "3 ready; 4 unacknowledged; 2 consumers; in 1.0/s, out 1.0/s")


def test_the_document_has_null_for_what_is_not_visible_and_the_reason_beside_it() -> None:
    snapshot = replace(WELL, cube=UNSEEN, work=replace(WORK, unacknowledged=UNSEEN, held_back=UNSEEN))
    told = document(snapshot, judge(snapshot))
    assert told["status"] == "healthy"
    assert told["cube"] is None
    assert told["work"]["unacknowledged"] is None
    assert told["not_visible"] == {
        "cube": "nobody looks",
        "held_back": "nobody looks",
        "work.held_back": "nobody looks",
        "work.unacknowledged": "nobody looks",
    }
    assert told["journals"][0]["oldest"] == NOW - timedelta(seconds=1)
    assert "stored" not in told["volume"]


@pytest.mark.parametrize(
    ("span", "told"),
    [
        (timedelta(seconds=-5), "0 s"),
        (timedelta(seconds=119), "119 s"),
        (timedelta(minutes=2), "2 min"),
        (timedelta(hours=47), "47 h"),
        (timedelta(hours=48), "2 d"),
    ],
)
def test_an_age_is_told_in_its_largest_unit(span: timedelta, told: str) -> None:
    assert age(span) == told


@pytest.mark.parametrize(
    ("number", "told"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (3 << 40, "3.0 TiB")]
)
def test_a_size_is_told_with_its_prefix(number: int, told: str) -> None:
    assert size(number) == told
