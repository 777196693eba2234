"""Healthy, degraded or down: the rules as a table."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lapidicom.cli.judgement import Level, judge, level
from lapidicom.cli.snapshot import (
    BrokerLook,
    Corrupted,
    CubeLook,
    DeadLettersLook,
    DelayedLook,
    JournalLook,
    LeftAlone,
    QueueLook,
    ReasonLook,
    Refusals,
    ServiceLook,
    Snapshot,
    VolumeLook,
    size,
)
from lapidicom.cli.verbs.status import judged
from lapidicom.common.topology import DEAD_LETTER_QUEUE, WORK_QUEUE


def but(look: Any, **changes: Any) -> Any:
    """The same look with other values."""
    return look.model_copy(update=changes)


NOW = datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)
GIB = 1 << 30

WORK = QueueLook(ready=3, unacknowledged=4, consumers=2, held_back=0, publish_rate=1.0, ack_rate=1.0)
JOURNAL = JournalLook(name="r.1", unrelayed_bytes=100, oldest=NOW, beat=NOW, finished=False, set_aside=0)
FULL = Refusals(status="0xA700", reason="disk full", count=3, latest=NOW - timedelta(seconds=20))
TORN = Refusals(status="0xA700", reason="torn", count=1, latest=NOW - timedelta(seconds=30))
CUBE = CubeLook(
    url="http://chris/api/v1/",
    reachable=True,
    generation="CUBE up to v5",
    token_accepted=True,
    may_register=True,
    sees_our_files=True,
)
READY = ServiceLook(service="registrar", address="registrar:8080", ready=True)
VOLUME = VolumeLook(
    path="/data",
    free_bytes=50 * GIB,
    total_bytes=100 * GIB,
    inodes=1000,
    sentinel="5a0b6d0e-1",
    needed_bytes=GIB,
)
LETTERS = DeadLettersLook(
    count=3,
    reasons=[
        ReasonLook(reason="file-missing", count=2, oldest=datetime.now(UTC) - timedelta(days=3)),
        ReasonLook(reason="refused", count=1),
    ],
)
BROKER = BrokerLook(address="amqp://rabbit/chris", version="3.10.8", alarms=[])

WELL = Snapshot(
    taken_at=NOW,
    broker=BROKER,
    work=WORK,
    delayed=DelayedLook(messages=5, held_back=0),
    dead_letters=DeadLettersLook(count=0, reasons=[]),
    journals=[JOURNAL],
    cube=CUBE,
    volume=VOLUME,
    receivers=[but(READY, service="receiver")],
    registrars=[READY],
)


def test_a_system_in_which_all_works_is_healthy_and_nothing_is_said() -> None:
    assert judge(WELL) == []
    assert level([]) is Level.HEALTHY


CASES: list[tuple[str, dict[str, Any], Level, str]] = [
    ("RabbitMQ away", {"broker": but(BROKER, fault="no answer")}, Level.DOWN, "no answer"),
    (
        "alarm",
        {"broker": but(BROKER, alarms=["memory on a"])},
        Level.DOWN,
        "in alarm (memory on a): nothing can be published",
    ),
    ("no work queue", {"work": None, "missing": [WORK_QUEUE]}, Level.DOWN, "there is no work queue"),
    (
        "nobody consumes, messages are in somebody's hands",
        {"work": but(WORK, ready=0, consumers=0)},
        Level.DOWN,
        "no registrar consumes, 4 messages wait",
    ),
    (
        "nobody consumes, nothing waits",
        {"work": but(WORK, ready=0, unacknowledged=None, consumers=0)},
        Level.DEGRADED,
        "no registrar consumes",
    ),
    (
        "a delay queue is missing",
        {"delayed": DelayedLook(messages=0, missing=["lapidicom.registrations.retry.7s"])},
        Level.DEGRADED,
        "missing: lapidicom.registrations.retry.7s",
    ),
    (
        "held back for a moment",
        {"held_back": 2, "held_back_seconds": 299.0},
        Level.NOTE,
        "2 messages are held back on their way to another queue",
    ),
    (
        "held back for five minutes",
        {"held_back": 3, "held_back_seconds": 300.0},
        Level.DEGRADED,
        "3 messages are held back on their way to another queue",
    ),
    ("dead letters", {"dead_letters": LETTERS}, Level.DEGRADED, "3 dead letters"),
    (
        "no dead-letter queue",
        {"dead_letters": None, "missing": [DEAD_LETTER_QUEUE]},
        Level.DEGRADED,
        "there is no queue for dead letters",
    ),
    (
        "the relay stands still",
        {"oldest_unrelayed": NOW - timedelta(seconds=61)},
        Level.DEGRADED,
        "a record waits for its relay since 61 s",
    ),
    (
        "a corrupted journal",
        {
            "journals": [
                but(JOURNAL, corrupted=[Corrupted(after=NOW - timedelta(hours=2), before=None)]),
            ]
        },
        Level.DEGRADED,
        "journals cannot be read at 1 places: instances received from "
        f"{NOW - timedelta(hours=2):%Y-%m-%d %H:%M} UTC to their end may not be registered",
    ),
    (
        "a journal of a newer version",
        {"left_alone": [LeftAlone(path="journals/3/r.1", reason="format 3")]},
        Level.DEGRADED,
        "1 journals of a newer version are left alone: journals/3/r.1 (format 3)",
    ),
    (
        "records set aside",
        {"journals": [but(JOURNAL, set_aside=2)]},
        Level.DEGRADED,
        "2 records were set aside: no message could be made of them",
    ),
    (
        "a receiver that only refuses",
        {"journals": [but(JOURNAL, refused=[FULL, TORN], last_stored=NOW - timedelta(seconds=21))]},
        Level.DOWN,
        "refused for the system's sake in the last 5 minutes, 3 x 0xA700 disk full, 1 x 0xA700 torn; "
        "nothing was stored since",
    ),
    (
        "a receiver that has refused, and another one that stores",
        {"journals": [but(JOURNAL, refused=[FULL]), but(JOURNAL, last_stored=NOW)]},
        Level.DEGRADED,
        "refused for the system's sake in the last 5 minutes, 3 x 0xA700 disk full; "
        "instances were stored since",
    ),
    (
        "instances that nobody could store",
        {"journals": [but(JOURNAL, refused=[but(FULL, status="0xC000", reason="no PatientID")])]},
        Level.NOTE,
        "refused for their content in the last 5 minutes, 3 x 0xC000 no PatientID",
    ),
    ("CUBE away", {"cube": but(CUBE, trouble="CUBE: no", remedy="start it")}, Level.DOWN, "CUBE: no"),
    (
        "no registrar is ready",
        {"registrars": [but(READY, address="r:1", ready=False, reasons=["CUBE: outage (http_403)"])]},
        Level.DOWN,
        "registrar r:1 is not ready: CUBE: outage (http_403)",
    ),
    (
        "one of two receivers is ready",
        {
            "receivers": [
                READY,
                ServiceLook(service="receiver", address="b:1", ready=False, reasons=["the volume is gone"]),
            ]
        },
        Level.DEGRADED,
        "receiver b:1 is not ready: the volume is gone",
    ),
    (
        "a receiver is degraded",
        {"receivers": [ServiceLook(service="receiver", address="b:1", ready=True, reasons=["too little"])]},
        Level.DEGRADED,
        "receiver b:1 is degraded: too little",
    ),
    (
        "nothing mounted",
        {"volume": but(VOLUME, sentinel="")},
        Level.DEGRADED,
        "no sentinel: the volume is not mounted here, or no receiver ever used it",
    ),
    ("no inodes", {"volume": but(VOLUME, inodes=0)}, Level.DOWN, "no free inodes: receivers refuse"),
    (
        "too little space",
        {"volume": but(VOLUME, free_bytes=GIB - 1)},
        Level.DOWN,
        "free space below CHRIS_MIN_FREE_SPACE: receivers refuse",
    ),
    (
        "almost too little space",
        {"volume": but(VOLUME, free_bytes=GIB)},
        Level.DEGRADED,
        "free space within 10 % of CHRIS_MIN_FREE_SPACE: receivers refuse, or soon will",
    ),
]


@pytest.mark.parametrize(
    ("changes", "expected", "what"), [row[1:] for row in CASES], ids=[row[0] for row in CASES]
)
def test_what_is_wrong_is_found_with_its_level_and_a_remedy(
    changes: dict[str, Any], expected: Level, what: str
) -> None:
    found = judge(but(WELL, **changes))
    assert [(one.level, one.what) for one in found] == [(expected, what)]
    assert found[0].remedy
    assert level(found) is max(expected, Level.HEALTHY)


@pytest.mark.parametrize(
    "changes",
    [
        {"broker": but(BROKER, alarms=None)},
        {"work": QueueLook(ready=3, consumers=1)},
        {"work": None, "delayed": None, "dead_letters": None},
        {"dead_letters": DeadLettersLook()},
        {"delayed": DelayedLook(messages=0)},
        {"journals": None, "volume": None},
        {"cube": None},
        {"receivers": None, "registrars": None},
        {"volume": but(VOLUME, inodes=None)},
        {"oldest_unrelayed": NOW - timedelta(seconds=60)},
    ],
)
def test_what_is_not_visible_or_within_bounds_is_not_judged(changes: dict[str, Any]) -> None:
    assert judge(but(WELL, **changes)) == []


@pytest.mark.parametrize(
    ("changes", "remedy"),
    [
        ({}, "see what the registrars say of themselves"),
        ({"registrars": None}, "start a registrar, or ask its /readyz"),
        ({"registrars": None, "cube": but(CUBE, trouble="CUBE answers 500", remedy="x")}, "mend CUBE"),
    ],
)
def test_a_work_queue_without_consumer_names_the_cause_where_that_is_known(
    changes: dict[str, Any], remedy: str
) -> None:
    found = judge(but(WELL, work=but(WORK, consumers=0), **changes))
    (work,) = [one for one in found if one.area == "work"]
    assert work.remedy.startswith(remedy)


def test_the_worst_finding_comes_first_and_gives_the_level() -> None:
    found = judge(but(WELL, dead_letters=LETTERS, work=None, missing=[WORK_QUEUE]))
    assert [one.level for one in found] == [Level.DOWN, Level.DEGRADED]
    assert level(found) == 2


def test_the_screen_says_of_each_area_what_was_seen_and_how_bad_it_is() -> None:
    unseen = {"volume": "nobody looks"}
    snapshot = but(WELL, dead_letters=LETTERS, volume=None, not_visible=unseen)
    told = {area.area: (area.state, area.seen) for area in judged(snapshot).areas}
    assert told["dead letters"] == ("degraded", "2 file-missing (oldest 3d 0h); 1 refused")
    assert told["volume"] == ("?", "not visible from here (nobody looks)")
    assert told["journals"] == ("ok", "1 under way, 0 finished; all relayed")
    assert told["work queue"] == ("ok", "3 ready; 4 unacknowledged; 2 consumers; in 1/s, out 1/s")


def test_the_document_is_the_snapshot_with_its_findings() -> None:
    told = judged(but(WELL, cube=None, not_visible={"cube": "nobody looks"})).model_dump(mode="json")
    assert told["status"] == "healthy"
    assert (told["cube"], told["not_visible"]) == (None, {"cube": "nobody looks"})
    assert told["findings"] == []
    assert {"areas", "held_back_seconds"} & set(told) == set()


@pytest.mark.parametrize(
    ("number", "told"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (3 << 40, "3.0 TiB")]
)
def test_a_size_is_told_with_its_prefix(number: int, told: str) -> None:
    assert size(number) == told
